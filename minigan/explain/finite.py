"""The gradients of a trace, confirmed: the forward pass computed again with one number changed.

The slope of the loss in a number v is (L(v + h) - L(v - h)) / 2h up to h^2 terms. All is computed in
float64 from the values of the pass, whatever its own dtype; h is the cube root of float64's rounding
error, at which the two errors of such a quotient balance (Nocedal & Wright 2006, section 8.1).
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.core.graph import mode, no_grad
from minigan.core.tensor import Array, Tensor
from minigan.explain.tracing import Trace, Traced, Visit

_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
_LARGEST, _OTHERS = 4, 4  # entries of an array that are checked, where they are not all
_ALL = 16  # entries of a small array, all of which are checked
_APPLICATIONS = 20_000  # of operations, for one trace


@dataclass(frozen=True)
class Slope:
    """One entry of a gradient beside its finite difference.

    index    of the entry, in the flattened array
    engine   what the chain rule gives
    central  the symmetric difference; left and right the slopes on the two sides
    allowed  how far the two may be apart by rounding alone
    """

    index: int
    engine: float
    central: float
    left: float
    right: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the two are the same but for rounding."""
        return abs(self.engine - self.central) <= self.allowed

    @property
    def is_kink(self) -> bool:
        """Whether the two sides have different slopes, as at ReLU's 0: there is no derivative."""
        scale = abs(self.left) + abs(self.right)
        return abs(self.left - self.right) > 1e-3 * scale + self.allowed


def slopes(trace: Trace) -> dict[Traced, list[Slope]]:
    """For each visited node, some entries of its gradient beside their finite differences.

    Where values of the pass were not kept, there are none. Nodes are checked in the order of their
    visits until the budget of operations is used up.
    """
    if any(each.value is None or (each.node.op and not each.applied) for each in trace.nodes):
        return {}
    found: dict[Traced, list[Slope]] = {}
    left = _APPLICATIONS
    largest = max((_largest(visit.gradient) for visit in trace.visits), default=0.0)
    with _unobserved():
        replay = _Replay(trace)
        for visit in trace.visits:
            chosen = _chosen(visit.gradient)
            left -= 2 * len(chosen) * len(replay.downstream(visit.traced))
            if left < 0:
                break
            allowed = _rounding(visit, largest)
            found[visit.traced] = [
                replay.slope(visit.traced, i, visit.gradient, allowed) for i in chosen
            ]
    return found


def _largest(gradient: Array) -> float:
    return float(np.abs(gradient).max(initial=0.0))


def _rounding(visit: Visit, largest: float) -> float:
    """How far a gradient may be from its finite difference: some units in the last place of its own
    entries, and of the largest of the whole pass, whose terms may have cancelled in it.
    """
    eps = float(np.finfo(visit.gradient.dtype).eps)
    return max(1000 * eps, 1e-7) * _largest(visit.gradient) + 16 * eps * largest + 1e-9


@contextmanager
def _unobserved() -> Iterator[None]:
    """Compute without a graph, and without whoever watches the operations of this thread."""
    before, mode.observer = mode.observer, None
    try:
        with no_grad():
            yield
    finally:
        mode.observer = before


def _chosen(gradient: Array) -> list[int]:
    """Which entries: all of a small array, else the largest and some spread over it."""
    if gradient.size <= _ALL:
        return list(range(gradient.size))
    flat = np.abs(gradient.reshape(-1))
    largest = np.argpartition(-flat, _LARGEST)[:_LARGEST]
    spread = np.linspace(0, flat.size - 1, _OTHERS).astype(int)
    return sorted({*largest.tolist(), *spread.tolist()})


class _Replay:
    """The forward pass of a trace, in float64."""

    def __init__(self, trace: Trace):
        self._starts = [(each, g.astype(np.float64)) for each, g in trace.starts]
        self._nodes = trace.nodes
        self._values: dict[Traced, Array] = {}
        self._after: dict[Traced, list[Traced]] = {}
        for each in trace.nodes:
            wide = _wide(each.value) if each.node.op is None else _computed(each, self._values)
            self._values[each] = wide
        self._loss = self._total(self._values)

    def downstream(self, origin: Traced) -> list[Traced]:
        """The nodes that depend on this one, in the order of their creation."""
        if origin not in self._after:
            depends = {origin}
            for each in self._nodes:
                if not depends.isdisjoint(each.parents):
                    depends.add(each)
            self._after[origin] = [each for each in self._nodes if each in depends - {origin}]
        return self._after[origin]

    def slope(self, origin: Traced, index: int, gradient: Array, allowed: float) -> Slope:
        """The finite differences in one entry of a node's value."""
        value = float(self._values[origin].reshape(-1)[index])
        h = _STEP * max(1.0, abs(value))
        higher, lower = (
            self._changed(origin, index, value + h),
            self._changed(origin, index, value - h),
        )
        return Slope(
            index=index,
            engine=float(gradient.reshape(-1)[index]),
            central=(higher - lower) / (2 * h),
            left=(self._loss - lower) / h,
            right=(higher - self._loss) / h,
            allowed=allowed,
        )

    def _changed(self, origin: Traced, index: int, value: float) -> float:
        """The loss when an entry of a node's result has another value."""
        array = self._values[origin].copy()
        array.reshape(-1)[index] = value
        values = ChainMap({origin: array}, self._values)
        for each in self.downstream(origin):
            values[each] = _computed(each, values)
        return self._total(values)

    def _total(self, values: Mapping[Traced, Array]) -> float:
        return sum(float((values[each] * g).sum()) for each, g in self._starts)


def _computed(each: Traced, values: Mapping[Traced, Array]) -> Array:
    """A node's result, from the values of its parents and the constants that it was given."""
    operation, record = each.node.op, each.applied
    assert operation is not None
    assert record is not None
    args = []
    for i, (parent, given) in enumerate(zip(each.parents, record.args, strict=True)):
        array = _wide(given) if parent is None else values[parent]
        # An optional argument without a derivative spares time (normalize_grad's statistics), and
        # belongs to values that may have changed.
        name = operation.variadic or operation.inputs[i]
        spares_time = name in operation.optional and operation.rules.get(name, ...) is None
        args.append(None if spares_time else array)
    if operation.name == "transfer":  # all is on the CPU here
        return args[0]
    params = dict(each.node.params)
    if operation.name == "cast":
        params["dtype"] = np.dtype(np.float64)
    wrapped = [Tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    return operation(*wrapped, **params)._array


def _wide(value: Any) -> Any:
    """Floats as float64; indices, conditions, numbers and None as they are."""
    floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(np.float64) if floating else value
