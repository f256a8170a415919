"""One backward pass, as it happened: every node with its values, gradients and place in the source."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from minigan import devices
from minigan.core import engine
from minigan.core.errors import ArgumentError, GraphError, ShapeError, brief
from minigan.core.graph import Node, mode
from minigan.core.op import Op
from minigan.core.tensor import Array, Tensor
from minigan.explain.record import (
    Applied,
    Place,
    applied,
    is_users,
    on_host,
    parameter_name,
    recording,
)
from minigan.files import atomic_write
from minigan.pages.page import assembled

_PARTS = ("stepper.html", "stepper.css", "graph.js", "windows.js", "stepper.js")


@dataclass(eq=False)
class Traced:
    """A node of the graph.

    value    its result; of a leaf, the array itself; None where nobody kept it
    saved    the arrays that were kept for its vjps, by name
    name     of the user's variable, or of the parameter; "" where there is none
    """

    node: Node
    parents: tuple[Traced | None, ...]
    applied: Applied | None
    saved: dict[str, Array]
    value: Array | None = None
    name: str = ""

    @property
    def place(self) -> Place | None:
        """The user's line that made it; of a leaf, None."""
        return None if self.applied is None else self.applied.place


@dataclass(frozen=True)
class Passed:
    """What a node gave to one of its parents.

    argument  the node's argument that the parent was
    gradient  the contribution
    before    the sum of those that had come to the parent earlier in this pass; None for the first
    """

    parent: Traced
    argument: str
    gradient: Array
    before: Array | None


@dataclass(frozen=True)
class Visit:
    """A step of the backward pass.

    gradient  d(loss)/d(the node's result), complete
    ran       the operations that the node's vjps ran, by name
    waiting   the nodes to which something had been passed on when this one was chosen, newest first
    freed     whether the saved arrays were dropped
    """

    traced: Traced
    gradient: Array
    passed: list[Passed]
    ran: list[str]
    waiting: list[Traced]
    freed: bool


@dataclass
class Trace:
    """A backward pass: its nodes in the order of their creation, its steps in that of their visits.

    starts     the outputs, with what flowed into each: 1 for a loss
    constants  names of variables that hold tensors outside the graph, by the identity of their arrays
    """

    starts: list[tuple[Traced, Array]]
    nodes: list[Traced]
    constants: dict[int, str]
    visits: list[Visit] = field(default_factory=list)

    def write(self, path: str | os.PathLike[str], title: str = "A backward pass") -> None:
        """Write the page: one HTML file that needs nothing else, also without a network.

        Raises `OutputPathError` for a path that cannot be written; the file appears whole or not at all.
        """
        from minigan.explain.data import page_data

        page = assembled(title, "minigan.explain", _PARTS, page_data(self, title))
        with atomic_write(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


def trace(loss: Tensor | Callable[[], Tensor]) -> Trace:
    """Run `loss.backward()` and keep all that happens, for a page to step through.

    loss  a tensor of one element, computed inside `recording()`; or a function that computes it. Of a
          tensor that was computed elsewhere, only what the chain rule itself needed can be shown

    This is the backward pass: `.grad` of the leaves is filled, and the graph is used up.
    """
    if not isinstance(loss, Tensor):
        if not callable(loss):
            raise ArgumentError(f"trace: loss is {brief(loss)}; it needs a Tensor or a function")
        with recording():
            loss = loss()
    _check(loss)
    found: list[Trace] = []
    with following(found.append):
        engine.backward(loss)
    return found[0]


def _check(loss: Any) -> None:
    if not isinstance(loss, Tensor):
        raise ArgumentError(f"trace: the function gave {brief(loss)}; it needs to give a Tensor")
    if loss.numel() != 1:
        raise ShapeError(
            f"trace: the loss has shape {loss.shape}; it needs exactly one element (take .sum() or "
            ".mean())"
        )
    if not loss.requires_grad:
        raise GraphError(
            "trace: the loss depends on no tensor with requires_grad=True, or was computed under "
            "no_grad(); it needs a graph to go back through"
        )


# ---------------------------------------------------------------------- following a pass


@contextmanager
def following(done: Callable[[Trace], None]) -> Iterator[None]:
    """Hand the trace of each backward pass on this thread to `done`, when the pass has ended.

    Passes within a pass, by which fused operations are differentiated twice, belong to it.
    """
    follower = _Follower(done, mode.observer)
    before = mode.observer, mode.follower
    mode.observer, mode.follower = follower.observe, follower.follow
    try:
        yield
    finally:
        mode.observer, mode.follower = before


class _Follower:
    def __init__(self, done: Callable[[Trace], None], observer: Any):
        self._done = done
        self._observer = observer
        self._inside = False
        self._ran: list[str] = []  # by the vjps of the node that comes next

    def observe(self, op: Op, args: Any, params: Any, out: Tensor) -> None:
        """Note an operation, and let who observed before see it."""
        self._ran.append(op.name)
        if self._observer is not None:
            self._observer(op, args, params, out)

    def follow(self, starts: Sequence[tuple[Node, Tensor]], visits: Iterator[Any]) -> Iterator[Any]:
        """The same visits; each is noted as it goes by."""
        return visits if self._inside else self._noted(starts, visits)

    def _noted(self, starts: Sequence[tuple[Node, Tensor]], visits: Iterator[Any]) -> Iterator[Any]:
        traced = _reached([node for node, _ in starts])
        starting = [(traced[node], on_host(g)) for node, g in starts]
        trace = Trace(starting, list(traced.values()), _give_names(traced))
        sums: dict[Node, Array] = {}
        for node, gradient in starts:
            sums[node] = sums[node] + on_host(gradient) if node in sums else on_host(gradient)
        self._inside = True
        try:
            self._ran.clear()
            for visit in visits:
                trace.visits.append(self._as_visit(traced, sums, *visit))
                yield visit
                self._ran.clear()
        finally:
            self._inside = False
        self._done(trace)

    def _as_visit(
        self,
        traced: dict[Node, Traced],
        sums: dict[Node, Array],
        node: Node,
        gradient: Tensor,
        passed: list[tuple[Node, Tensor]],
    ) -> Visit:
        sums.pop(node)
        waiting = sorted(sums, key=lambda n: n.order, reverse=True)
        contributions = []
        places = enumerate(node.parents)  # what is passed on has the order of the arguments
        for parent, contribution in passed:
            argument = _name_of_argument(node, next(i for i, p in places if p is parent))
            given, before = on_host(contribution), sums.get(parent)
            contributions.append(Passed(traced[parent], argument, given, before))
            sums[parent] = given if before is None else before + given
        added = sum(c.before is not None for c in contributions)  # by operations, the last that ran
        return Visit(
            traced=traced[node],
            gradient=on_host(gradient),
            passed=contributions,
            ran=self._ran[: len(self._ran) - added],
            waiting=[traced[n] for n in waiting],
            freed=node.op is not None and node.saved is None,
        )


def _name_of_argument(node: Node, place: int) -> str:
    assert node.op is not None
    return node.op.names_of(node.parents)[place]


# ---------------------------------------------------------------------- the graph


def _reached(starts: Sequence[Node]) -> dict[Node, Traced]:
    """All nodes that lead to these, in the order of their creation."""
    seen: set[Node] = set()
    stack = list(starts)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(filter(None, node.parents))
    traced: dict[Node, Traced] = {}
    for node in sorted(seen, key=lambda n: n.order):
        parents = tuple(None if parent is None else traced[parent] for parent in node.parents)
        traced[node] = Traced(node, parents, applied(node), _saved(node), _kept(node))
    for each in traced.values():
        _give_arguments(each)
    return traced


def _saved(node: Node) -> dict[str, Array]:
    """The arrays that wait for the node's vjps."""
    entries = (node.saved or {}).items()
    return {
        name: devices.to_host(value[0], node.device)
        for name, value in entries
        if isinstance(value, tuple) and len(value) == 3 and isinstance(value[1], list)
    }


def _kept(node: Node) -> Array | None:
    """A node's result, where it was recorded, is alive, or was saved."""
    record = applied(node)
    if record is not None:
        return record.out
    leaf = node.leaf() if node.leaf is not None else None
    return _saved(node).get("out") if leaf is None else on_host(leaf)


def _give_arguments(consumer: Traced) -> None:
    """To the parents of a node, the values with which it was computed, where they have none."""
    operation = consumer.node.op
    if operation is None:
        return
    recorded = () if consumer.applied is None else consumer.applied.args
    for i, parent in enumerate(consumer.parents):
        if parent is None or parent.value is not None:
            continue
        if recorded:
            parent.value = recorded[i]
        elif operation.variadic is None:
            parent.value = consumer.saved.get(operation.inputs[i])


def _give_names(traced: dict[Node, Traced]) -> dict[int, str]:
    """To nodes, the names of the variables that hold them where the pass was begun, or of parameters.

    Returns the names of the variables that hold constants, by the identity of their arrays.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    variables = {} if frame is None else {**frame.f_globals, **frame.f_locals}
    constants: dict[int, str] = {}
    for name, value in variables.items():
        if not isinstance(value, Tensor) or name.startswith("_"):
            continue
        if value._node is None:
            constants[id(value._array)] = name
        elif value._node in traced:
            traced[value._node].name = name
    for node, each in traced.items():
        each.name = each.name or parameter_name(node) or ""
    return constants
