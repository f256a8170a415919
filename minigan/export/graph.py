"""An ONNX graph that is being put together, and the model it becomes.

Heights, widths and batches stay open. A recorded run shows numbers only, and where such a number comes
from the size of the input it must not end up in the graph. So every graph is built twice, from inputs
of different sizes and values (`for_any_size`): where the two are not the same, it is refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, require
from minigan.core.tensor import Array, Tensor
from minigan.export.operations import OPERATIONS
from minigan.export.record import Call, record

OPSET = 18  # of December 2022: runtimes of the last years read it
IR_VERSION = 8  # the one that came with it; a newer one would be refused by older runtimes


class Graph:
    """Nodes in order, constants by name, inputs and outputs; `model` makes a file's content of them."""

    def __init__(self) -> None:
        self.onnx = require("onnx", "onnx", "export a model")
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._counts: Counter[str] = Counter()
        self._within = ""  # the operation of minigan whose nodes are being added

    # ------------------------------------------------------------------ what it consists of

    def input(self, name: str, axes: Sequence[str | int]) -> str:
        """An input of float32; `axes` are its sizes, or names for those that are open."""
        self.inputs.append(self._value(name, axes))
        return name

    def output(self, value: str, name: str, axes: Sequence[str | int]) -> None:
        """Make `value` the output of that name."""
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(self._value(name, axes))

    def _value(self, name: str, axes: Sequence[str | int]) -> Any:
        return self.onnx.helper.make_tensor_value_info(name, self.onnx.TensorProto.FLOAT, axes)

    def add(self, kind: str, *inputs: str | None, **attributes: Any) -> str:
        """A node of that kind; the name of its output. An input of None is left out."""
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        name = self._new(self._within or kind)
        node = self.onnx.helper.make_node(
            kind, [value or "" for value in given], [name], name=name, **attributes
        )
        self.nodes.append(node)
        return name

    def constant(self, values: Any, dtype: Any = np.int64, name: str = "") -> str:
        """A constant tensor; the name that it is known by."""
        array = np.asarray(values, dtype)
        if not name and array.size < 10:  # such as axes and sizes, which many nodes share
            unnamed = (c for c in self.constants.items() if c[0].startswith("constant_"))
            same = (n for n, other in unnamed if _same(array, other))
            name = next(same, "")
        name = name or self._new("constant")
        self.constants[name] = array
        return name

    def _new(self, stem: str) -> str:
        self._counts[stem] += 1
        return f"{stem}_{self._counts[stem]}"

    # ------------------------------------------------------------------ what a network does

    def run(
        self,
        network: Callable[..., Tensor],
        examples: Mapping[str, Array],
        parameters: Mapping[str, Tensor],
    ) -> str:
        """Add what `network` does with its inputs; the name of its result.

        examples    the values in the graph that are its inputs, in order, each with an array like it
        parameters  tensors whose values stand in the graph under these names

        Raises ArgumentError for an operation that has no counterpart.
        """
        inputs = {name: Tensor(array) for name, array in examples.items()}
        calls, result = record(network, *inputs.values())
        known = {id(tensor): name for name, tensor in parameters.items()}
        names = {id(tensor): name for name, tensor in inputs.items()}
        for call in calls:
            if call.op.name not in OPERATIONS:
                raise ArgumentError(
                    f"export: the operation {call.op.name} has no counterpart in ONNX here; it needs "
                    "a network of layers such as convolutions, norms, activations and resizing"
                )
            operands = [self._operand(a, call, names, known) for a in call.args]
            self._within = call.op.name
            names[id(call.out)] = OPERATIONS[call.op.name](self, call, *operands)
            self._within = ""
        if id(result) not in names:
            raise ArgumentError("export: what the network gives does not depend on its input")
        return names[id(result)]

    def _operand(
        self, a: Any, call: Call, names: Mapping[int, str], known: Mapping[int, str]
    ) -> str | None:
        """The name of an argument: a result, a parameter, a constant, or None."""
        if a is None or id(a) in names:
            return names.get(id(a))
        if isinstance(a, Tensor):
            return self.constant(a._array, a.dtype, known.get(id(a), ""))
        dtypes = [t.dtype for t in call.args if isinstance(t, Tensor) and t.dtype.kind != "b"]
        return self.constant(a, dtypes[0] if dtypes else call.out.dtype)

    # ------------------------------------------------------------------ the model

    def model(self, name: str, version: str, facts: Mapping[str, str]) -> bytes:
        """The content of an ONNX file; `facts` are its metadata. The graph has passed ONNX's checker."""
        onnx = self.onnx
        constants = [onnx.numpy_helper.from_array(a, n) for n, a in self.constants.items()]
        graph = onnx.helper.make_graph(self.nodes, name, self.inputs, self.outputs, constants)
        model = onnx.helper.make_model(
            graph,
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="minigan",
            producer_version=version,
        )
        onnx.helper.set_model_props(model, dict(facts))
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ArgumentError(
                f"export: ONNX's checker refuses the graph: {str(error).strip().splitlines()[0]}"
            ) from error
        return model.SerializeToString(deterministic=True)


def for_any_size(build: Callable[[Array], Graph], examples: Sequence[Array]) -> Graph:
    """The graph that `build` makes of each of the examples, which differ in every size left open.

    Raises ArgumentError, naming the operation, where it is not the same for all of them.
    """
    first, *others = (build(example) for example in examples)
    for other in others:
        pairs = zip(first.nodes, other.nodes, strict=False)
        odd = next((a.name for a, b in pairs if a != b or _differ(a, first, other)), None)
        if odd is None and len(first.nodes) != len(other.nodes):
            odd = first.nodes[min(len(first.nodes), len(other.nodes)) - 1].name
        if odd is not None:
            raise ArgumentError(
                f"export: {odd} depends on the size of the input in a way that a graph for any size "
                "cannot express, or on its values outside the recorded operations"
            )
    return first


def _differ(node: Any, first: Graph, other: Graph) -> bool:
    """Whether a constant that a node takes has other values in another graph."""
    taken = [name for name in node.input if name in first.constants]
    return not all(_same(first.constants[n], other.constants.get(n)) for n in taken)


def _same(a: Array, b: Array | None) -> bool:
    return b is not None and a.dtype == b.dtype and a.shape == b.shape and bool(np.all(a == b))


def examples(*axes: int | Sequence[int]) -> list[Array]:
    """Two random inputs; an axis is its size, or its two sizes where it is open (larger than 1, since
    what has size 1 can be spread, and no other number may be equal by chance)."""
    rng = np.random.default_rng(0)
    sizes = [[n if isinstance(n, int) else n[i] for n in axes] for i in (0, 1)]
    return [rng.random(size, dtype=np.float32) for size in sizes]


def parameter_count(graph: Graph) -> int:
    """The floating-point numbers among the constants."""
    return sum(math.prod(a.shape) for a in graph.constants.values() if a.dtype.kind == "f")
