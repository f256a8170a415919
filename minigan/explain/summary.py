"""A graph too large to draw node by node, as groups of nodes that belong together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

from minigan.explain.tracing import Traced


@dataclass(frozen=True)
class Group:
    """Nodes that were created one after the other, with the leaves that they use first."""

    title: str
    operations: list[Traced]
    leaves: list[Traced]


def groups(nodes: Sequence[Traced], limit: int) -> list[Group]:
    """At most `limit` groups: by module, as deep as the limit allows; outside modules, by line.

    A group is a run in the order of creation, so that groups have an order as nodes have: what a
    group uses comes before it. Where even the outermost modules and lines change too often, the
    runs are of equal lengths; where they are few, long ones are cut into parts.
    """
    operations = [each for each in nodes if each.node.op is not None]
    deepest = max((len(each.applied.modules) for each in operations if each.applied), default=0)
    for depth in range(deepest, -1, -1):
        runs = [list(run) for _, run in groupby(operations, key=lambda each: _home(each, depth))]
        if len(runs) <= limit:
            parts = [
                part for run in runs for part in _parts(run, _title(run[0], depth), runs, limit)
            ]
            return _with_leaves(*zip(*parts, strict=True))
    length = -(-len(operations) // limit)
    starts = range(0, len(operations), length)
    runs = [operations[start : start + length] for start in starts]
    titles = [
        f"operations {start + 1} to {start + len(run)}"
        for start, run in zip(starts, runs, strict=True)
    ]
    return _with_leaves(titles, runs)


def _parts(
    run: list[Traced], title: str, runs: Sequence[list[Traced]], limit: int
) -> list[tuple[str, list[Traced]]]:
    """A run with its title; in parts, where runs are few and this one is long."""
    longest = -(-2 * sum(map(len, runs)) // limit)
    if len(runs) > limit // 4 or len(run) <= longest:
        return [(title, run)]
    starts = range(0, len(run), longest)
    return [
        (f"{title}, part {i + 1}", run[start : start + longest]) for i, start in enumerate(starts)
    ]


def _home(each: Traced, depth: int) -> Hashable:
    if each.applied is None:
        return None
    return each.applied.modules[:depth] or each.applied.place


def _title(each: Traced, depth: int) -> str:
    if each.applied is None:
        return "operations"
    home = each.applied.modules[:depth]
    if home:
        return ".".join(home)
    place = each.applied.place
    return "operations" if place is None else f"line {place.line}"


def _with_leaves(titles: Sequence[str], runs: Sequence[list[Traced]]) -> list[Group]:
    seen: set[Traced] = set()
    found = []
    for title, run in zip(titles, runs, strict=True):
        used = dict.fromkeys(p for each in run for p in each.parents if p and p.node.op is None)
        leaves = [leaf for leaf in used if leaf not in seen]
        seen.update(leaves)
        found.append(Group(title, run, leaves))
    return found
