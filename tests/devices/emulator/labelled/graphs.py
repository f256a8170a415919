"""Kernels on graphs in compressed rows: node by node, edge by edge, a warp or a block for each."""

from dataclasses import dataclass

import numpy as np
from devices.emulator.labelled.cases import Case, Launch, in_any_order, integers, table, zeros

Rng = np.random.Generator
CASES: list[Case] = []
case = table(CASES)
FAR = 1 << 20


@dataclass(frozen=True)
class Graph:
    """A directed graph: the edges of v go to to[first[v]:first[v + 1]], sorted."""

    first: np.ndarray
    to: np.ndarray

    @property
    def nodes(self) -> int:
        return len(self.first) - 1

    @property
    def edges(self) -> int:
        return len(self.to)

    @property
    def degree(self) -> np.ndarray:
        return np.diff(self.first)

    @property
    def origin(self) -> np.ndarray:
        """Where each edge begins."""
        return np.repeat(np.arange(self.nodes, dtype="i4"), self.degree)


def from_matrix(adjacent: np.ndarray) -> Graph:
    first = np.append(0, adjacent.sum(1).cumsum()).astype("i4")
    return Graph(first, np.nonzero(adjacent)[1].astype("i4"))


def graph(rng: Rng, n: int = 100, density: float = 0.06) -> Graph:
    """Both ways along each edge; a ring holds it together, and the first node has most neighbours."""
    adjacent = rng.random((n, n)) < density
    adjacent[0, : n // 2] = True
    adjacent[np.arange(n), (np.arange(n) + 1) % n] = True
    adjacent |= adjacent.T
    np.fill_diagonal(adjacent, False)
    return from_matrix(adjacent)


def upper(g: Graph) -> Graph:
    """Each edge once, from the lower number to the higher."""
    adjacent = np.zeros((g.nodes, g.nodes), bool)
    adjacent[g.origin, g.to] = True
    return from_matrix(np.triu(adjacent))


def levels(g: Graph, start: int, most: int) -> np.ndarray:
    """How far each node is from the start; -1 beyond `most`."""
    level = np.full(g.nodes, -1, "i4")
    level[start] = 0
    for now in range(most):
        reached = np.unique(g.to[level[g.origin] == now])
        level[reached[level[reached] < 0]] = now + 1
    return level


# ---------------------------------------------------------------- bfs.cu


@case(
    "bfs.cu",
    (4,),
    (32,),
    {
        "MISSING_GUARD": "out-of-bounds",
        "OFF_BY_ONE": "out-of-bounds",
        "MISSING_ATOMIC": "global-race",
        "SAME_VALUE": "global-race",
    },
)
def bfs_nodes(rng: Rng) -> Launch:
    g = graph(rng)
    last = g.nodes - 1  # is among those whose neighbours are looked at
    start, after = levels(g, last, 1), levels(g, last, 2)
    start[last] = after[last] = 1
    return [g.first, g.to, start, zeros(1), 1, g.nodes], {2: after, 3: np.array(1)}


def _list(rng: Rng) -> tuple[Graph, np.ndarray, np.ndarray, np.ndarray]:
    """A graph, who has been visited, the list of these, and who comes next."""
    g = graph(rng, density=0.02)
    level = levels(g, 0, 2)
    return g, (level >= 0) & (level < 2), np.flatnonzero(level == 1).astype("i4"), level == 2


LIST_FAULTS = {
    "LAST_ELEMENT": "out-of-bounds",
    "UNSAFE_GUARD": "global-race",
    "MISSING_ATOMIC": "global-race",
}


@case("bfs.cu", (3,), (32,), LIST_FAULTS)
def bfs_list(rng: Rng) -> Launch:
    g, visited, list_, next_ = _list(rng)
    new = np.flatnonzero(next_)
    args = [g.first, g.to, visited.astype("i4"), list_, len(list_), zeros(len(new)), zeros(1)]
    return args, {5: in_any_order(new), 6: np.array(len(new))}


@case("bfs.cu", (15,), (128,), {"MISSING_GUARD": "out-of-bounds", "WRONG_MASK": "warp-divergence"})
def bfs_warps(rng: Rng) -> Launch:
    g, visited, list_, _ = _list(rng)
    list_ = np.append(list_, g.nodes - 1).astype("i4")  # whose row is the last
    reached = np.zeros(g.nodes, bool)
    for v in list_:
        reached[g.to[g.first[v] : g.first[v + 1]]] = True
    new = np.flatnonzero(reached & ~visited)
    args = [g.first, g.to, visited.astype("i4"), list_, len(list_), zeros(len(new)), zeros(1)]
    return args, {5: in_any_order(new), 6: np.array(len(new))}


@case(
    "bfs.cu",
    (32,),
    (64,),
    {
        "MISSING_BARRIER": "shared-race uninitialised",
        "EARLY_RETURN": "barrier-divergence",
    },
)
def bfs_edges(rng: Rng) -> Launch:
    g = graph(rng)
    level = levels(g, 0, 1)
    new = np.flatnonzero(levels(g, 0, 2) == 2)
    reached = (level >= 0).astype("i4")
    args = [g.origin, g.to, g.edges, level, reached, 1, zeros(len(new)), zeros(1)]
    return args, {6: in_any_order(new), 7: np.array(len(new))}


# ---------------------------------------------------------------- components.cu


def _final_labels(got: np.ndarray, g: Graph, before: np.ndarray) -> bool:
    """One round lowers labels at least to those of neighbours, and to none that was not there."""
    least = before.copy()
    np.minimum.at(least, g.to, before[g.origin])
    return bool((got <= least).all() and (got >= before.min()).all())


@case(
    "components.cu",
    (4,),
    (32,),
    {
        "OFF_BY_ONE": "out-of-bounds",
        "MISSING_ATOMIC": "global-race",
        "UNSAFE_GUARD": "global-race",
    },
)
def labels_push(rng: Rng) -> Launch:
    g = graph(rng)
    label = rng.permutation(g.nodes).astype("i4")
    before = label.copy()
    args = [g.first, g.to, label, zeros(1), g.nodes]
    return args, {2: lambda got: _final_labels(got, g, before), 3: np.array(1)}


def _pull(rng: Rng) -> Launch:
    g = graph(rng)
    old = rng.permutation(g.nodes).astype("i4")
    least = old.copy()
    np.minimum.at(least, g.origin, old[g.to])
    return [g.first, g.to, old, old.copy(), g.nodes], {3: least}


@case("components.cu", (2,), (32,), {"IN_PLACE": "global-race"})
def labels_pull(rng: Rng) -> Launch:
    return _pull(rng)


@case(
    "components.cu",
    (25,),
    (128,),
    {"WRONG_MASK": "warp-divergence", "SAME_VALUE": "global-race"},
)
def labels_warp(rng: Rng) -> Launch:
    return _pull(rng)


@case(
    "components.cu",
    (20,),
    (64,),
    {"MISSING_GUARD": "out-of-bounds", "MISSING_ATOMIC": "global-race"},
)
def hook_edges(rng: Rng) -> Launch:
    g = upper(graph(rng))
    args = [g.origin, g.to, np.arange(g.nodes, dtype="i4"), g.edges]
    # All hang together, so there is one root; and a parent's number is lower than its child's.
    return args, {
        2: lambda got: (
            (got == np.arange(g.nodes)).sum() == 1 and bool((got <= np.arange(g.nodes)).all())
        )
    }


# ---------------------------------------------------------------- rank.cu


def _rank(g: Graph, old: np.ndarray) -> np.ndarray:
    new = np.full(g.nodes, 0.15 / g.nodes)
    np.add.at(new, g.origin, 0.85 * old[g.to] / g.degree[g.to])  # both ways along each edge
    return new


def _rank_args(rng: Rng) -> tuple[Graph, np.ndarray]:
    return graph(rng), rng.random(100).astype("f4")


@case("rank.cu", (4,), (32,), {"OFF_BY_ONE": "out-of-bounds", "IN_PLACE": "global-race"})
def rank_pull(rng: Rng) -> Launch:
    g, old = _rank_args(rng)
    return [g.first, g.to, g.degree, old, zeros(100, dtype="f4"), 100], {4: _rank(g, old)}


@case("rank.cu", (4,), (32,), {"MISSING_ATOMIC": "global-race", "HALF_ATOMIC": "global-race"})
def rank_push(rng: Rng) -> Launch:
    g, old = _rank_args(rng)
    return [g.first, g.to, old, zeros(100, dtype="f4"), 100], {3: _rank(g, old)}


@case(
    "rank.cu",
    (100,),
    (64,),
    {
        "MISSING_BARRIER": "shared-race uninitialised",
        "UNINITIALISED": "uninitialised",
        "CONDITIONAL_BARRIER": "barrier-divergence",
    },
)
def rank_block(rng: Rng) -> Launch:
    g, old = _rank_args(rng)
    return [g.first, g.to, g.degree, old, zeros(100, dtype="f4"), 100], {4: _rank(g, old)}


@case("rank.cu", (2,), (64,), {"MISSING_ATOMIC": "shared-race", "MISSING_BARRIER": "shared-race"})
def rank_change(rng: Rng) -> Launch:
    a, b = rng.random((2, 100)).astype("f4")
    return [a, b, zeros(1, dtype="f4"), 100], {2: np.abs(a - b).sum()}


# ---------------------------------------------------------------- paths.cu


def _paths(rng: Rng) -> tuple[Graph, np.ndarray, np.ndarray, np.ndarray]:
    """A graph, weights (the same both ways), distances along at most two edges and along three."""
    g = graph(rng, density=0.02)
    both = integers(rng, 1, 99, 100, 100)
    weight = np.ascontiguousarray(np.minimum(both, both.T)[g.origin, g.to])
    rounds = [np.where(np.arange(g.nodes) == 0, 0, FAR).astype("i4")]
    for _ in range(3):
        rounds.append(rounds[-1].copy())
        np.minimum.at(rounds[-1], g.to, rounds[-2][g.origin] + weight)
    return g, weight, rounds[2], rounds[3]


@case(
    "paths.cu",
    (4,),
    (32,),
    {
        "PLAIN_READ": "global-race",
        "MISSING_ATOMIC": "global-race",
        "SAME_VALUE": "global-race",
    },
)
def relax_nodes(rng: Rng) -> Launch:
    g, weight, old, new = _paths(rng)
    args = [g.first, g.to, weight, old, zeros(1), g.nodes]
    return args, {3: lambda got: bool((got <= new).all()), 4: np.array(1)}


@case("paths.cu", (2,), (64,), {"OFF_BY_ONE": "out-of-bounds", "UNSAFE_GUARD": "global-race"})
def relax_edges(rng: Rng) -> Launch:
    g, weight, old, new = _paths(rng)
    return [g.origin, g.to, weight, old, old.copy(), g.edges], {4: new}


@case(
    "paths.cu",
    (100,),
    (32,),
    {
        "MISSING_ATOMIC": "shared-race",
        "CONDITIONAL_BARRIER": "barrier-divergence shared-race",
        "MISSING_BARRIER": "shared-race",
    },
)
def relax_block(rng: Rng) -> Launch:
    g, weight, old, new = _paths(rng)
    return [g.first, g.to, weight, old, old.copy()], {4: new}


# ---------------------------------------------------------------- triangles.cu


def _triangles(rng: Rng, n: int = 100) -> tuple[Graph, int]:
    g = graph(rng, n)
    adjacent = np.zeros((n, n), int)
    adjacent[g.origin, g.to] = 1
    # The last two rows end with the last edge; both are neighbours of one node, but not of each other.
    adjacent[[3, 3, -1, -2], [-1, -2, 3, 3]] = 1
    adjacent[[-1, -2], [-2, -1]] = 0
    return upper(from_matrix(adjacent)), int(np.trace(adjacent @ adjacent @ adjacent)) // 6


@case("triangles.cu", (4,), (32,), {"OFF_BY_ONE": "out-of-bounds", "MISSING_ATOMIC": "global-race"})
def triangles_nodes(rng: Rng) -> Launch:
    g, count = _triangles(rng)
    return [g.first, g.to, zeros(1, dtype="u4"), g.nodes], {2: np.array(count)}


@case(
    "triangles.cu",
    (100,),
    (128,),
    {
        "MISSING_GUARD": "out-of-bounds",
        "WRONG_MASK": "warp-divergence",
        "LAST_ELEMENT": "out-of-bounds",
    },
)
def triangles_warp(rng: Rng) -> Launch:
    g, count = _triangles(rng, 70)
    return [g.origin, g.first, g.to, zeros(1, dtype="u4"), g.edges], {3: np.array(count)}


@case(
    "triangles.cu",
    (100,),
    (64,),
    {
        "UNINITIALISED": "uninitialised",
        "MISSING_BARRIER": "shared-race uninitialised",
        "MISSING_ATOMIC": "shared-race",
    },
)
def triangles_block(rng: Rng) -> Launch:
    g, count = _triangles(rng)
    return [g.first, g.to, zeros(1, dtype="u4")], {2: np.array(count)}


# ---------------------------------------------------------------- sets.cu


@case("sets.cu", (16,), (64,), {"MISSING_ATOMIC": "global-race", "HALF_ATOMIC": "global-race"})
def degrees(rng: Rng) -> Launch:
    g = graph(rng)
    once = upper(g)
    return [once.origin, once.to, zeros(100), once.edges], {2: g.degree}


@case("sets.cu", (4,), (32,), {"IN_PLACE": "global-race", "NEIGHBOURS_OUT": "global-race"})
def independent_round(rng: Rng) -> Launch:
    g = graph(rng)
    priority = rng.permutation(g.nodes).astype("i4")
    old = zeros(g.nodes, dtype="u1")
    best = np.argmax(priority)
    old[best] = 1
    beside = np.zeros(g.nodes, bool)
    beside[g.to[g.origin == best]] = True
    greatest = np.full(g.nodes, -1)
    np.maximum.at(greatest, g.origin, np.where(old[g.to] == 0, priority[g.to], -1))
    new = np.where(beside, 2, np.where((greatest < priority) | (old == 1), 1, 0))
    return [g.first, g.to, priority, old, old.copy(), g.nodes], {4: new}


@case("sets.cu", (4,), (32,), {"MISSING_GUARD": "out-of-bounds"})
def colour_ready(rng: Rng) -> Launch:
    g = graph(rng)
    old = np.full(g.nodes, -1, "i4")
    old[:40] = np.arange(40) % 20
    new = old.copy()
    for v in range(g.nodes):
        seen = old[g.to[(g.origin == v) & (g.to < v)]]
        if (seen >= 0).all():
            new[v] = next(c for c in range(32) if c not in seen)
    return [g.first, g.to, old, old.copy(), g.nodes], {3: new}


@case("sets.cu", (2,), (64,), {"MISSING_ATOMIC": "global-race", "MISSING_GUARD": "out-of-bounds"})
def take_pieces(rng: Rng) -> Launch:
    x = rng.random(200).astype("f4")
    return [x, zeros(200, dtype="f4"), zeros(1), 7, 200], {1: x * x}


@case("sets.cu", (2,), (128,), {"MISSING_BARRIER": "shared-race", "OFF_BY_ONE": "out-of-bounds"})
def busy_nodes(rng: Rng) -> Launch:
    g = graph(rng, 200)
    busy = np.flatnonzero(g.degree > 25)
    return [g.first, 25, zeros(len(busy)), zeros(1), 200], {
        2: in_any_order(busy),
        3: np.array(len(busy)),
    }
