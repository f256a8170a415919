"""The chain rule over the graph.

`steps` walks the graph from the outputs towards the leaves and yields each node with the gradient
that flowed in and the gradients it passed on. `backward` and `grad` only consume that walk; so do the
stepper, the tracer of NaNs and the profiler. The engine knows no operation: it calls their vjps.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from minigan import devices
from minigan.core.errors import (
    ArgumentError,
    DeviceError,
    FreedGraphError,
    GraphError,
    ShapeError,
    VersionError,
    brief,
)
from minigan.core.graph import Node, mode, set_grad_enabled
from minigan.core.op import Op, Rule, Want
from minigan.core.quiet import quietly
from minigan.core.tensor import Tensor
from minigan.devices.cpu.threads import FLOPS_PER_SECOND, has_help, share_out

_Visit = tuple[Node, Tensor, list[tuple[Node, Tensor]]]  # a Step, before it has names


class Step(NamedTuple):
    """One node of a backward pass, after its vjps have run.

    gradient  d(outputs)/d(this node's result), complete: everything that uses the node came before
    passed    what the node's vjps gave to each parent that needs a gradient
    """

    node: Node
    gradient: Tensor
    passed: list[tuple[Node, Tensor]]


def steps(
    outputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    *,
    inputs: Tensor | Sequence[Tensor] | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Iterator[Step]:
    """Walk backward from `outputs`, yielding a Step for each node, the newest node first.

    inputs  visit only what lies between these tensors and the outputs (default: everything)

    The gradients it yields stay as they are; nothing accumulates into them later.
    """
    nodes = None if inputs is None else {_node_of(t, "inputs") for t in _listed(inputs, "inputs")}
    starts = _starts(outputs, grad_outputs)
    retain = create_graph if retain_graph is None else retain_graph
    return _recording(_walk(starts, nodes, create_graph, retain), create_graph)


def _recording(walk: Iterator[_Visit], create_graph: bool) -> Iterator[Step]:
    """A walk with its mode; between two steps the caller's own holds."""
    while True:
        with set_grad_enabled(create_graph):
            step = next(walk, None)
        if step is None:
            return
        yield Step(*step)


def backward(
    output: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add d(output)/d(leaf) to the `.grad` of every leaf; see `Tensor.backward`."""
    starts = _starts(output, gradient)
    retain = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        for node, gradient, _ in _walk(starts, None, create_graph, retain):
            leaf = node.leaf() if node.leaf is not None else None
            if leaf is not None:
                with _accumulating:
                    leaf._grad = _added(leaf._grad, gradient, create_graph)


_accumulating = threading.Lock()  # graphs of several threads may end in the same leaf


def _added(before: Tensor | None, gradient: Tensor, create_graph: bool) -> Tensor:
    """A leaf's new `.grad`, in memory that no other leaf's gradient shares."""
    if before is not None:
        return before + gradient
    return gradient if create_graph else _copied(gradient)


def _copied(t: Tensor) -> Tensor:
    return Tensor(devices.moved(t._array, t.device, t.device), device=t.device)


def _like(t: Tensor, value: float) -> Tensor:
    """A constant of a tensor's shape, dtype and device."""
    return Tensor(devices.full(t.device, t.shape, value, t.dtype), device=t.device)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Tensor, ...]:
    """d(outputs)/d(input) for each of `inputs`, as a tuple; `.grad` of no tensor is touched.

    outputs       tensors of one element, or of any shape with `grad_outputs` given
    grad_outputs  what flows into each output, of its shape (default: 1 for outputs of one element)
    create_graph  record the backward pass, so that the result can be differentiated again
    retain_graph  keep the saved arrays for another backward pass (default: create_graph)

    An input that the outputs do not depend on has the gradient zero. An input or output that records
    nothing raises GraphError.
    """
    wanted = _listed(inputs, "inputs")
    nodes = [_node_of(t, "inputs") for t in wanted]
    starts = _starts(outputs, grad_outputs)
    retain = create_graph if retain_graph is None else retain_graph
    found: dict[Node, Tensor] = {}
    targets = set(nodes)
    with set_grad_enabled(create_graph):
        for node, gradient, _ in _walk(starts, targets, create_graph, retain):
            if node in targets:
                found[node] = gradient
    pairs = zip(nodes, wanted, strict=True)
    return tuple([found[node] if node in found else _like(t, 0) for node, t in pairs])


# ---------------------------------------------------------------------- the walk


def _walk(
    starts: list[tuple[Node, Tensor]],
    targets: set[Node] | None,
    create_graph: bool,
    retain_graph: bool,
) -> Iterator[_Visit]:
    """Visit nodes in descending order of creation, so that each comes after all that use it.

    The caller has set whether operations are recorded: as `create_graph` says.
    """
    visits = _visits(starts, targets, create_graph, retain_graph)
    return visits if mode.follower is None else mode.follower(starts, visits)


def _visits(
    starts: list[tuple[Node, Tensor]],
    targets: set[Node] | None,
    create_graph: bool,
    retain_graph: bool,
) -> Iterator[_Visit]:
    useful = None if targets is None else _between(starts, targets)
    pending: dict[Node, Tensor] = {}
    # Nodes whose pending gradient is a sum in a buffer that was allocated here. Nobody else has seen
    # it yet (but for an observer of operations), so further contributions are added in place.
    owned: set[Node] = set()
    heap: list[tuple[int, Node]] = []

    def add(node: Node, gradient: Tensor) -> None:
        if node not in pending:
            pending[node] = gradient
            heapq.heappush(heap, (-node.order, node))
        elif node in owned and not create_graph and mode.observer is None and node.device == "cpu":
            total = pending[node]._array
            quietly(np.add, total, gradient._array, out=total)
        else:
            pending[node] = pending[node] + gradient
            owned.add(node)

    for node, gradient in starts:
        if useful is None or node in useful:
            add(node, gradient)
    while heap:
        _, node = heapq.heappop(heap)
        gradient = pending.pop(node)
        owned.discard(node)
        passed = []
        if node.op is not None and (useful is None or not useful.isdisjoint(node.parents)):
            passed = _run_vjps(node, gradient, useful, create_graph)
            if not retain_graph:
                node.saved = None
        for parent, contribution in passed:
            add(parent, contribution)
        yield node, gradient, passed


_order = attrgetter("order")


def _between(starts: list[tuple[Node, Tensor]], targets: set[Node]) -> set[Node]:
    """The nodes on some path from the starts to the targets, both ends included."""
    oldest = min(map(_order, targets), default=0)
    seen: set[Node] = set()
    stack = [node for node, _ in starts]
    while stack:
        node = stack.pop()
        if node in seen or node.order < oldest:
            continue
        seen.add(node)
        stack.extend(filter(None, node.parents))  # constants have no node
    useful: set[Node] = set()
    for node in sorted(seen, key=_order):  # parents before what they feed
        if node in targets or not useful.isdisjoint(node.parents):
            useful.add(node)
    return useful


# ---------------------------------------------------------------------- one node


def _run_vjps(
    node: Node, gradient: Tensor, useful: set[Node] | None, create_graph: bool
) -> list[tuple[Node, Tensor]]:
    """What a node passes on to each of its parents, as (parent, gradient) pairs."""
    operation = node.op
    assert operation is not None
    if node.saved is None:
        raise FreedGraphError(
            f"backward: the arrays saved by {operation.name} are gone, an earlier backward pass "
            "used them up; it needs retain_graph=True in that earlier pass"
        )
    parents = node.parents
    if useful is None:
        needs = tuple([parent is not None for parent in parents])
    else:
        needs = tuple([parent in useful for parent in parents])
    if len(operation.rules) < len(needs):
        operation.refuse_missing_rules(needs)
    if create_graph and operation.composition is not None:
        gradients = _through_composition(node, gradient, needs)
    else:
        gradients = _through_rules(node, operation.rules_for(needs), gradient, needs)
    passed = []
    for i, found in enumerate(gradients):
        parent = parents[i]
        if found is not None and needs[i] and parent is not None:
            array = found._array
            if array.shape != parent.shape or array.dtype != parent.dtype:
                found = _fitted(operation, parent, i, found)
            passed.append((parent, found))
    return passed


def _through_rules(
    node: Node, rules: Sequence[Rule], gradient: Tensor, needs: tuple[bool, ...]
) -> list[Tensor | None]:
    """What a node's vjps give for each of its arguments."""
    operation = node.op
    assert operation is not None
    gradients: list[Tensor | None] = [None] * len(needs)

    def apply(rule: Rule) -> None:
        wanted = {want.name: _recall(node, want, needs) for want in rule.wants}
        result = rule.function(gradient, **wanted)
        if len(rule.places) == 1:
            gradients[rule.places[0]] = result
        elif rule.places:
            for place, value in zip(rule.places, result, strict=True):
                gradients[place] = value
        else:
            gradients[:] = result

    # An observer sees one operation after the other; what is recorded has an order as well.
    alone = len(rules) < 2 or mode.recording or mode.observer is not None
    if alone or operation.flops is None or not has_help():
        for rule in rules:
            apply(rule)
    else:
        share_out(lambda i: _unrecorded(apply, rules[i]), len(rules), _seconds_of_vjps(node))
    return gradients


def _unrecorded(apply: Callable[[Rule], None], rule: Rule) -> None:
    """On this thread, which may not be the one that walks the graph."""
    with set_grad_enabled(False):
        apply(rule)


def _seconds_of_vjps(node: Node) -> float:
    """What the vjps of two arguments take on one thread of the CPU, roughly; 0 where nobody knows."""
    operation = node.op
    assert operation is not None
    shapes = [None if parent is None else parent.shape for parent in node.parents]
    if operation.flops is None or node.device != "cpu" or None in shapes[:2]:
        return 0.0
    return 2 * operation.flops(node.shape, *shapes) / FLOPS_PER_SECOND


def _recall(node: Node, want: Want, needs: tuple[bool, ...] = ()) -> Any:
    """What a vjp wants of a node: what was saved, as a Tensor with its place in the graph, or others."""
    name, kind, place = want
    if kind == "param":
        return node.params[name]
    if kind == "needs":
        return needs
    assert node.saved is not None
    value = node.saved[name]
    if kind == "shape" or type(value) is not tuple:
        return value  # of the arguments, a Python number or None
    array, version, when_saved = value
    if version[0] != when_saved:
        assert node.op is not None
        raise VersionError(
            f"{node.op.name}: argument {name!r} was saved for the backward pass and has been "
            f"written to {version[0] - when_saved} time(s) since; run the backward pass before "
            "writing, or write to a copy"
        )
    if kind == "input":
        return Tensor(array, node.parents[place], version, node.device)
    # An auxiliary result is a constant.
    return Tensor(array, node if kind == "out" else None, version, node.device)


def _through_composition(
    node: Node, gradient: Tensor, needs: tuple[bool, ...]
) -> list[Tensor | None]:
    """The vjps of a fused operation, from the composition of other operations that equals it.

    The inputs are aliased, so that the walk ends at this node's own inputs and does not run on into
    the graph that made them; the results stay connected to that graph through the aliases.
    """
    operation = node.op
    assert operation is not None
    assert operation.composition is not None
    inputs = [_recall(node, want) for want in operation.input_wants()]
    inputs = [x.alias() if isinstance(x, Tensor) else x for x in inputs]
    out = operation.composition(*inputs, **node.params)
    wanted = [x for x, needed in zip(inputs, needs, strict=True) if needed]
    found = iter(grad(out, wanted, gradient, create_graph=True))
    return [next(found) if needed else None for needed in needs]


def _fitted(operation: Op, parent: Node, index: int, gradient: Tensor) -> Tensor:
    """The gradient in its argument's shape and dtype: broadcasting undone, promotion undone."""
    if gradient.shape != parent.shape:
        if not operation.broadcasts:
            raise ShapeError(
                f"{operation.name}: the vjp for argument {index} gave shape {gradient.shape}; "
                f"it needs {parent.shape}"
            )
        gradient = gradient.sum_to(parent.shape)
    return gradient if gradient.dtype == parent.dtype else gradient.to(parent.dtype)


# ---------------------------------------------------------------------- where it begins


def _listed(tensors: Any, argument: str) -> list[Tensor]:
    """One tensor, or several, as a list."""
    try:
        listed = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    except TypeError:
        listed = [tensors]
    for t in listed:
        if t is not None and not isinstance(t, Tensor):
            raise ArgumentError(f"backward: {argument} holds {brief(t)}; it needs Tensors")
    return listed


def _node_of(t: Tensor, argument: str) -> Node:
    if t is None or t._node is None:
        which = "None" if t is None else f"a tensor of shape {t.shape} outside the graph"
        raise GraphError(
            f"backward: {argument} holds {which}; it needs requires_grad=True before the computation, "
            "and that outside no_grad()"
        )
    return t._node


def _starts(
    outputs: Tensor | Sequence[Tensor], grad_outputs: Tensor | Sequence[Tensor | None] | None
) -> list[tuple[Node, Tensor]]:
    tensors = _listed(outputs, "outputs")
    gradients: Sequence[Tensor | None] = [None] * len(tensors)
    if grad_outputs is not None:
        gradients = _listed(grad_outputs, "the gradient to start from")
    if len(gradients) != len(tensors):
        raise ArgumentError(
            f"backward: got {len(gradients)} grad_outputs for {len(tensors)} outputs; "
            "it needs one for each"
        )
    return [
        (_node_of(t, "outputs"), _start_gradient(t, g))
        for t, g in zip(tensors, gradients, strict=True)
    ]


def _start_gradient(output: Tensor, gradient: Tensor | None) -> Tensor:
    if gradient is None:
        if output.numel() != 1:
            raise ShapeError(
                f"backward: the output has shape {output.shape}; without a gradient to start from, "
                "it needs exactly one element (take .sum() or .mean(), or pass a gradient)"
            )
        return _like(output, 1)
    if gradient.shape != output.shape:
        raise ShapeError(
            f"backward: the gradient to start from has shape {gradient.shape}; it needs the "
            f"output's, {output.shape}"
        )
    if gradient.device != output.device:
        raise DeviceError(
            f"backward: the gradient to start from is on {gradient.device!r}; it needs to be on the "
            f"output's device, {output.device!r}"
        )
    return gradient if gradient.dtype == output.dtype else gradient.to(output.dtype)
