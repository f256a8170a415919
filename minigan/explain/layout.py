"""Where the nodes of a graph are drawn: in layers, after Sugiyama, Tagawa & Toda (1981).

Each node lies below all of its parents. An edge over several layers is bent around the nodes between
by a joint in each layer. Layers are ordered so that few edges cross, by moving nodes to the mean of
their neighbours; then each layer is shifted so that edges are as straight as its order allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 8
_JOINT = 0.4  # of a node's width is what an edge needs to pass by
_LEAF = 0.1  # how much a node without parents resists when others push it aside


@dataclass(frozen=True)
class Layout:
    """Places in units of a node's width and of a layer's height.

    places  (x, layer) for each node, x from 0
    routes  the points between the two ends of each edge (parent, child) that it passes
    width   the largest x
    """

    places: list[tuple[float, int]]
    routes: dict[tuple[int, int], list[tuple[float, int]]]
    width: float


def layout(parents: Sequence[Sequence[int]]) -> Layout:
    """Draw the graph in which node i has `parents[i]`, all of smaller numbers."""
    layer_of = _layers(parents)
    above, chains = _with_joints(parents, layer_of)
    rows: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    for i, layer in enumerate(layer_of):
        rows[layer].append(i)
    below: list[list[int]] = [[] for _ in above]
    for child, its in enumerate(above):
        for parent in its:
            below[parent].append(child)
    rows = _ordered(rows, above, below)
    weights = [1.0 if its else _LEAF for its in parents] + [1.0] * (len(above) - len(parents))
    widths = [1.0] * len(parents) + [_JOINT] * (len(above) - len(parents))
    xs = _straightened(rows, above, below, weights, widths)
    places = [(xs[i], layer_of[i]) for i in range(len(layer_of))]
    return Layout(
        places=places[: len(parents)],
        routes={edge: [places[joint] for joint in chain] for edge, chain in chains.items()},
        width=max(xs, default=0.0),
    )


def _layers(parents: Sequence[Sequence[int]]) -> list[int]:
    """One below the lowest parent; what has no parents, just above its highest child."""
    layer_of: list[int] = []
    for its in parents:
        layer_of.append(1 + max((layer_of[parent] for parent in its), default=-1))
    for i, its in enumerate(parents):
        children = [layer_of[child] for child, theirs in enumerate(parents) if i in theirs]
        if not its and children:
            layer_of[i] = min(children) - 1
    return layer_of


def _with_joints(
    parents: Sequence[Sequence[int]], layer_of: list[int]
) -> tuple[list[list[int]], dict[tuple[int, int], list[int]]]:
    """The parents of nodes and joints in the layer just above; the joints of each long edge.

    Joints are numbered behind the nodes, and their layers are added to `layer_of`.
    """
    above: list[list[int]] = [[] for _ in parents]
    chains: dict[tuple[int, int], list[int]] = {}
    for child, its in enumerate(parents):
        for parent in dict.fromkeys(its):
            upper = parent
            chain = chains[parent, child] = []
            for layer in range(layer_of[parent] + 1, layer_of[child]):
                above.append([upper])
                upper = len(layer_of)
                layer_of.append(layer)
                chain.append(upper)
            above[child].append(upper)
    return above, chains


# ---------------------------------------------------------------------- the order in each layer


def _ordered(
    rows: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> list[list[int]]:
    best, fewest = rows, _crossings(rows, above)
    for sweep in range(_SWEEPS):
        rows = [list(row) for row in rows]
        downwards = sweep % 2 == 0
        order = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        neighbours = above if downwards else below
        for layer in order:
            fixed = rows[layer - 1 if downwards else layer + 1]
            place = {node: i for i, node in enumerate(fixed)}
            rows[layer] = _by_mean(rows[layer], place, neighbours)
        crossings = _crossings(rows, above)
        if crossings < fewest:
            best, fewest = rows, crossings
    return best


def _by_mean(row: list[int], place: dict[int, int], neighbours: list[list[int]]) -> list[int]:
    """A layer in the order of the mean places of its neighbours; who has none stays where it is."""
    key = {}
    for i, node in enumerate(row):
        known = [place[other] for other in neighbours[node]]
        key[node] = sum(known) / len(known) if known else float(i)
    return sorted(row, key=key.__getitem__)


def _crossings(rows: list[list[int]], above: list[list[int]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {node: i for i, node in enumerate(upper)}
        ends = [sorted(place[parent] for parent in above[node]) for node in lower]
        seen: list[int] = []
        for its in ends:
            total += sum(1 for a in seen for b in its if a > b)
            seen.extend(its)
    return total


# ---------------------------------------------------------------------- the places in each layer


def _straightened(
    rows: list[list[int]],
    above: list[list[int]],
    below: list[list[int]],
    weights: list[float],
    widths: list[float],
) -> list[float]:
    """x for each node and joint: near the mean of its neighbours', in the order of its layer."""
    xs = [0.0] * len(above)
    gaps = [[0.0, *((widths[a] + widths[b]) / 2 for a, b in pairwise(row))] for row in rows]
    for row, gap in zip(rows, gaps, strict=True):
        reach = 0.0
        for node, step in zip(row, gap, strict=True):
            reach += step
            xs[node] = reach
    for sweep in range(2 * _SWEEPS):
        for layer in range(len(rows)) if sweep % 2 else range(len(rows) - 1, -1, -1):
            row = rows[layer]
            wanted = []
            for node in row:
                wanted.append(_mean_place(node, xs, (*above[node], *below[node]), weights))
            pulls = [weights[node] for node in row]
            for node, x in zip(row, _apart(wanted, pulls, gaps[layer]), strict=True):
                xs[node] = x
    leftmost = min(xs, default=0.0)
    return [x - leftmost for x in xs]


def _mean_place(
    node: int, xs: list[float], neighbours: Sequence[int], weights: list[float]
) -> float:
    """The weighted mean of the neighbours' places; without any, the node's own."""
    total = sum(weights[other] for other in neighbours)
    return sum(weights[other] * xs[other] for other in neighbours) / total if total else xs[node]


def _apart(wanted: list[float], weights: list[float], gaps: list[float]) -> list[float]:
    """The places nearest to the wanted ones, by weighted squares, that keep the gaps.

    This is isotonic regression, by pooling adjacent violators (Barlow et al. 1972): neighbours that
    would be too near form a block, which lies at its members' mean.
    """
    offsets = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    blocks: list[tuple[float, float, int]] = []  # mean of what its members want, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] >= mean:
            other, heavier, more = blocks.pop()
            mean = (mean * weight + other * heavier) / (weight + heavier)
            weight, count = weight + heavier, count + more
        blocks.append((mean, weight, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    return [x + offset for x, offset in zip(flat, offsets, strict=True)]
