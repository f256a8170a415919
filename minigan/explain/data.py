"""A trace as data for the page: boxes with places, steps forward and backward, arrays, source lines."""

from __future__ import annotations

import inspect
import linecache
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.graph import Node
from minigan.core.op import Op
from minigan.core.tensor import Array
from minigan.explain.finite import Slope, slopes
from minigan.explain.formulas import formula_of
from minigan.explain.layout import layout
from minigan.explain.markup import marked_up
from minigan.explain.record import Place
from minigan.explain.summary import Group, groups
from minigan.explain.tracing import Passed, Trace, Traced, Visit
from minigan.pages.arrays import Arrays
from minigan.pages.page import number

LARGEST = 150  # nodes that are drawn each by itself
_AROUND = 4  # lines of source above and below the one that is meant
_SETTINGS_SHOWN = 60  # characters of a setting's value


def page_data(trace: Trace, title: str) -> dict[str, Any]:
    """All that the page shows."""
    if len(trace.nodes) <= LARGEST:
        return {"title": title, "whole": True} | _Whole(trace).data()
    return {"title": title, "whole": False} | _summary(trace)


# ---------------------------------------------------------------------- every node


class _Whole:
    """A trace whose nodes are drawn each by itself."""

    def __init__(self, trace: Trace):
        self._trace = trace
        self._arrays = Arrays()
        # Nodes in the order of their creation; constant arrays just before what uses them first. The
        # keys are nodes, and the identities of constants.
        self._number: dict[Traced | int, int] = {}
        self._constants: dict[int, Array] = {}
        for each in trace.nodes:
            for constant in _constants(each):
                self._constants[id(constant)] = constant
                self._number.setdefault(id(constant), len(self._number))
            self._number[each] = len(self._number)

    def data(self) -> dict[str, Any]:
        """Boxes, edges, steps and arrays."""
        nodes = self._trace.nodes
        parents: list[list[int]] = [[] for _ in self._number]
        for each in nodes:
            used = [*(p for p in each.parents if p), *map(id, _constants(each))]
            parents[self._number[each]] = [self._number[key] for key in used]
        checked = slopes(self._trace)
        return {
            "boxes": [
                self._constant(key) if isinstance(key, int) else self._box(key)
                for key in self._number
            ],
            "backward": [
                self._visit(visit, checked.get(visit.traced)) for visit in self._trace.visits
            ],
            "starts": [self._number[each] for each, _ in self._trace.starts],
            "kept": all(each.applied for each in nodes if each.node.op),
            "checked": bool(checked),
            "arrays": self._arrays.entries,
            **_drawn(parents),
        }

    def _constant(self, key: int) -> dict[str, Any]:
        array = self._constants[key]
        return {
            "op": "constant",
            "name": self._trace.constants.get(key, ""),
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "value": self._arrays.place(array),
            "saved": [],
        }

    def _box(self, each: Traced) -> dict[str, Any]:
        node, operation, record = each.node, each.node.op, each.applied
        box: dict[str, Any] = {
            "op": node.name,
            "name": each.name,
            "shape": list(node.shape),
            "dtype": str(node.dtype),
            "device": node.device,
            "value": self._arrays.place(each.value),
            "saved": [
                {"name": name, "bytes": array.nbytes, "array": self._arrays.place(array)}
                for name, array in each.saved.items()
            ],
        }
        if operation is None:
            return box
        formula = formula_of(operation)
        return box | {
            "formula": marked_up(formula.forward),
            "settings": _settings(node.params),
            "arguments": self._arguments(each, operation),
            "vjps": [
                {
                    "argument": name,
                    "formula": marked_up(formula.backward.get(name, "")),
                    "code": _code(rule.function),
                }
                for name, rule in operation.rules.items()
                if rule is not None
            ],
            "modules": list(record.modules) if record else [],
            "layer": record.layer if record else "",
            "nested": bool(record and record.nested),
            "source": _source(each.place),
            "window": _window(node),
        }

    def _arguments(self, each: Traced, operation: Op) -> list[dict[str, Any]]:
        """A node's tensor arguments: which node each came from, or which constant it was."""
        given = each.applied.args if each.applied else (None,) * len(each.parents)
        found = []
        for i, (parent, value) in enumerate(zip(each.parents, given, strict=True)):
            entry: dict[str, Any] = {"name": operation.names_of(each.parents)[i]}
            if parent is not None:
                entry["from"] = self._number[parent]
            elif isinstance(value, int | float):
                entry["number"] = number(value)
            elif value is not None:
                entry["from"] = self._number[id(value)]
            elif each.applied:
                continue  # an optional argument that was not given
            found.append(entry)
        return found

    def _visit(self, visit: Visit, checked: Sequence[Slope] | None) -> dict[str, Any]:
        return {
            "box": self._number[visit.traced],
            "gradient": self._arrays.place(visit.gradient),
            "passed": [self._passed(each) for each in visit.passed],
            "ran": visit.ran,
            "waiting": [self._number[each] for each in visit.waiting],
            "freed": sum(a.nbytes for a in visit.traced.saved.values()) if visit.freed else 0,
            "slopes": None if checked is None else [_slope(each) for each in checked],
        }

    def _passed(self, passed: Passed) -> dict[str, Any]:
        return {
            "to": self._number[passed.parent],
            "argument": passed.argument,
            "gradient": self._arrays.place(passed.gradient),
            "before": self._arrays.place(passed.before),
        }


def _constants(each: Traced) -> list[Array]:
    """The arrays that a node was given and that no node made."""
    given = each.applied.args if each.applied else ()
    return [
        value
        for parent, value in zip(each.parents, given, strict=False)
        if parent is None and isinstance(value, np.ndarray)
    ]


def _slope(slope: Slope) -> dict[str, Any]:
    return {
        "index": slope.index,
        "engine": number(slope.engine),
        "central": number(slope.central),
        "left": number(slope.left),
        "right": number(slope.right),
        "agrees": slope.agrees,
        "kink": slope.is_kink,
    }


def _settings(params: dict[str, Any]) -> dict[str, str]:
    """An operation's settings as text."""
    shown = {name: repr(value).replace("\n", " ") for name, value in params.items()}
    return {
        name: text if len(text) <= _SETTINGS_SHOWN else text[: _SETTINGS_SHOWN - 1] + "…"
        for name, text in shown.items()
    }


# The operations whose windows the page draws, with the settings that say where these lie.
_CONVOLUTION = ("stride", "padding", "dilation", "groups", "upsample")
_POOLING = ("kernel_size", "stride", "padding")
_WINDOWS = {
    "conv2d": _CONVOLUTION,
    "conv2d_relu": _CONVOLUTION,
    "max_pool2d": _POOLING,
    "sum_pool2d": _POOLING,
    "upsample_nearest2d": ("scale_factor",),
}


def _window(node: Node) -> dict[str, Any] | None:
    settings = _WINDOWS.get(node.name)
    return settings and {"kind": node.name} | {name: node.params[name] for name in settings}


def _code(function: Callable[..., Any]) -> str:
    """The engine's own lines of a vjp; "" where the source is not to be had."""
    try:
        return textwrap.dedent(inspect.getsource(function)).strip().rstrip(",")
    except (OSError, TypeError):
        return ""


def _source(place: Place | None) -> dict[str, Any] | None:
    """A line with some lines around it. Of the file, only its name: pages are given to others."""
    if place is None or not linecache.getline(place.file, place.line):
        return None
    first = max(1, place.line - _AROUND)
    lines = [
        linecache.getline(place.file, n).rstrip() for n in range(first, place.line + _AROUND + 1)
    ]
    while len(lines) > place.line - first + 1 and not lines[-1]:
        lines.pop()
    return {"file": Path(place.file).name, "line": place.line, "first": first, "lines": lines}


def _drawn(parents: Sequence[Sequence[int]]) -> dict[str, Any]:
    drawn = layout(parents)
    return {
        "places": [[round(x, 3), layer] for x, layer in drawn.places],
        "edges": [
            {"from": a, "to": b, "via": [[round(x, 3), layer] for x, layer in points]}
            for (a, b), points in drawn.routes.items()
        ],
        "width": round(drawn.width, 3),
    }


# ---------------------------------------------------------------------- groups of nodes


def _summary(trace: Trace) -> dict[str, Any]:
    """A trace with many nodes: one box for each group of them."""
    found = groups(trace.nodes, LARGEST)
    home = {each: i for i, g in enumerate(found) for each in (*g.operations, *g.leaves)}
    visits = {visit.traced: visit for visit in trace.visits}
    parents = [
        sorted({home[p] for each in g.operations for p in each.parents if p} - {i})
        for i, g in enumerate(found)
    ]
    visited = [
        i for i in reversed(range(len(found))) if any(e in visits for e in found[i].operations)
    ]
    return {
        "nodes": len(trace.nodes),
        "boxes": [_group_box(g, visits) for g in found],
        "backward": [_group_visit(i, found[i], home, visits) for i in visited],
        "starts": sorted({home[each] for each, _ in trace.starts}),
        "arrays": [],
        **_drawn(parents),
    }


def _group_box(group: Group, visits: dict[Traced, Visit]) -> dict[str, Any]:
    names = [each.node.name for each in group.operations]
    last = group.operations[-1]
    return {
        "op": group.title,
        "layer": last.applied.layer if last.applied else "",
        "shape": list(last.node.shape),
        "dtype": str(last.node.dtype),
        "counts": {name: names.count(name) for name in dict.fromkeys(names)},
        "bytes": sum(a.nbytes for each in group.operations for a in each.saved.values()),
        "leaves": [
            {
                "name": leaf.name,
                "shape": list(leaf.node.shape),
                "norm": _norm(leaf.value),
                "gradient": _norm(visits[leaf].gradient) if leaf in visits else None,
            }
            for leaf in group.leaves
        ],
        "source": _source(last.place),
    }


def _group_visit(
    i: int, group: Group, home: dict[Traced, int], visits: dict[Traced, Visit]
) -> dict[str, Any]:
    """What flowed into a group, and from it to other groups, as Euclidean norms."""
    out: dict[int, float] = {}
    for each in group.operations:
        for passed in visits[each].passed if each in visits else []:
            target = home[passed.parent]
            if target != i:
                out[target] = out.get(target, 0.0) + float(
                    np.square(passed.gradient, dtype=float).sum()
                )
    entered = next(visits[each] for each in reversed(group.operations) if each in visits)
    return {
        "box": i,
        "gradient": _norm(entered.gradient),
        "passed": [
            {"to": target, "norm": number(np.sqrt(square))} for target, square in out.items()
        ],
        "freed": sum(
            a.nbytes
            for each in group.operations
            if each in visits and visits[each].freed
            for a in each.saved.values()
        ),
    }


def _norm(array: Array | None) -> float | str | None:
    return None if array is None else number(np.sqrt(np.square(array, dtype=np.float64).sum()))
