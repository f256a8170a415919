"""The table of operations: what each operation of minigan is in ONNX (opset 18).

An entry gets the graph, the recorded call and the names of its arguments; it adds nodes and returns the
name of the result. What a call knows of sizes may be used only where it holds for inputs of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from types import EllipsisType
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.core.tensor import Shape
from minigan.export.record import Call

if TYPE_CHECKING:
    from minigan.export.graph import Graph

Entry = Callable[..., str]

_TO_THE_END = np.iinfo(np.int64).max


def _node(kind: str, **attributes: Any) -> Entry:
    """One node that takes the same arguments."""
    return lambda g, call, *inputs: g.add(kind, *inputs, **attributes)


def _refused(call: Call, what: str) -> ArgumentError:
    return ArgumentError(f"export: {call.op.name} with {what} has no counterpart in ONNX here")


# ---------------------------------------------------------------------- elementwise


def _leaky_relu(g: Graph, call: Call, x: str) -> str:
    return g.add("LeakyRelu", x, alpha=float(call.params["negative_slope"]))


def _clip(g: Graph, call: Call, x: str) -> str:
    bounds = (call.params["min"], call.params["max"])
    return g.add("Clip", x, *(None if b is None else g.constant(b, call.out.dtype) for b in bounds))


def _not_equal(g: Graph, call: Call, a: str, b: str) -> str:
    return g.add("Not", g.add("Equal", a, b))


def _cast(g: Graph, call: Call, x: str) -> str:
    return g.add("Cast", x, to=g.onnx.helper.np_dtype_to_tensor_dtype(call.params["dtype"]))


# ---------------------------------------------------------------------- convolution


def _enlarged(g: Graph, x: str, factors: Sequence[int]) -> str:
    """Each pixel repeated: output pixel i reads input pixel floor(i / factor)."""
    if tuple(factors) == (1, 1):
        return x
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return g.add("Resize", x, None, g.constant((1, 1, *factors), np.float32), mode="nearest", **how)


def _conv2d(g: Graph, call: Call, x: str, weight: str, bias: str | None) -> str:
    p = call.params
    return g.add(
        "Conv",
        _enlarged(g, x, p["upsample"]),
        weight,
        bias,
        strides=p["stride"],
        pads=p["padding"] * 2,
        dilations=p["dilation"],
        group=p["groups"],
    )


def _conv2d_relu(g: Graph, call: Call, x: str, weight: str, bias: str | None) -> str:
    return g.add("Relu", _conv2d(g, call, x, weight, bias))


def _conv2d_dx(g: Graph, call: Call, x: str, weight: str) -> str:
    """Transposed convolution; what its input size has above the smallest possible is output padding."""
    p, (size, kernel) = call.params, (t.shape[2:] for t in call.args)
    if p["upsample"] != (1, 1):
        raise _refused(call, f"upsample = {p['upsample']}")
    smallest = [
        (n - 1) * s - 2 * pad + d * (k - 1) + 1
        for n, k, s, pad, d in zip(
            size, kernel, p["stride"], p["padding"], p["dilation"], strict=True
        )
    ]
    return g.add(
        "ConvTranspose",
        x,
        weight,
        strides=p["stride"],
        pads=p["padding"] * 2,
        output_padding=[n - m for n, m in zip(p["input_size"], smallest, strict=True)],
        dilations=p["dilation"],
        group=p["groups"],
    )


# ---------------------------------------------------------------------- matrices


def _linear(g: Graph, call: Call, x: str, weight: str, bias: str | None) -> str:
    if call.args[0].ndim == 2:
        return g.add("Gemm", x, weight, bias, transB=1)
    product = g.add("MatMul", x, g.add("Transpose", weight, perm=(1, 0)))
    return product if bias is None else g.add("Add", product, bias)


def _matrix_transpose(g: Graph, call: Call, x: str) -> str:
    *leading, rows, columns = range(call.out.ndim)
    return g.add("Transpose", x, perm=(*leading, columns, rows))


# ---------------------------------------------------------------------- images


def _zero_pad2d(g: Graph, call: Call, x: str) -> str:
    return _padded(g, call, x, "constant")


def _reflection_pad2d(g: Graph, call: Call, x: str) -> str:
    return _padded(g, call, x, "reflect")


def _padded(g: Graph, call: Call, x: str, mode: str) -> str:
    left, right, top, bottom = call.params["padding"]
    return g.add("Pad", x, g.constant((0, 0, top, left, 0, 0, bottom, right)), mode=mode)


def _upsample_nearest2d(g: Graph, call: Call, x: str) -> str:
    return _enlarged(g, x, call.params["scale_factor"])


def _upsample_bilinear2d(g: Graph, call: Call, x: str) -> str:
    """Pixels are areas (half_pixel), and what lies beyond the border is the border's."""
    new, old = call.params["size"], call.args[0].shape[2:]
    if any(n % m for n, m in zip(new, old, strict=True)):
        raise _refused(call, f"a size of {new}, no whole multiple of {old},")
    scales = [n // m for n, m in zip(new, old, strict=True)]
    how = {"coordinate_transformation_mode": "half_pixel"}
    return g.add("Resize", x, None, g.constant((1, 1, *scales), np.float32), mode="linear", **how)


def _windows(call: Call) -> dict[str, Any]:
    p = call.params
    return {"kernel_shape": p["kernel_size"], "strides": p["stride"], "pads": p["padding"] * 2}


def _max_pool2d(g: Graph, call: Call, x: str) -> str:
    return g.add("MaxPool", x, **_windows(call))


def _sum_pool2d(g: Graph, call: Call, x: str) -> str:
    mean = g.add("AveragePool", x, count_include_pad=1, **_windows(call))
    height, width = call.params["kernel_size"]
    return g.add("Mul", mean, g.constant(height * width, call.out.dtype))


def _normalize(g: Graph, call: Call, x: str) -> str:
    p, dtype = call.params, call.out.dtype
    if tuple(p["axis"]) == (2, 3):
        channels = call.out.shape[1]
        one, zero = (g.constant(np.full(channels, v), dtype) for v in (1, 0))
        y = g.add("InstanceNormalization", x, one, zero, epsilon=float(p["eps"]))
    else:
        axes = g.constant(p["axis"])
        centred = g.add("Sub", x, g.add("ReduceMean", x, axes))
        variance = g.add("ReduceMean", g.add("Mul", centred, centred), axes)
        deviation = g.add("Sqrt", g.add("Add", variance, g.constant(p["eps"], dtype)))
        y = g.add("Div", centred, deviation)
    return g.add("Relu", y) if p["relu"] else y


# ---------------------------------------------------------------------- reductions


def _reduction(kind: str) -> Entry:
    def entry(g: Graph, call: Call, x: str) -> str:
        kept = int(call.params["keepdims"])
        return g.add(kind, x, g.constant(call.params["axis"]), keepdims=kept)

    return entry


def _log_softmax(g: Graph, call: Call, x: str) -> str:
    (axis,) = call.params["axis"]
    return g.add("LogSoftmax", x, axis=axis)


# ---------------------------------------------------------------------- shapes


def _reshape(g: Graph, call: Call, x: str) -> str:
    """The sizes that stay, before and behind what changes, are x's own; a single new one follows."""
    old, new = call.args[0].shape, call.out.shape
    before = _equal(old, new)
    behind = _equal(old[before:][::-1], new[before:][::-1])
    changed = new[before : len(new) - behind]
    # To ONNX, 0 is the size of the same axis of x, and -1 the one that follows from the rest.
    start = g.constant([0] * before + [-1 if len(changed) == 1 else n for n in changed])
    if behind:
        start = g.add("Concat", start, g.add("Shape", x, start=len(old) - behind), axis=0)
    return g.add("Reshape", x, start)


def _equal(a: Shape, b: Shape) -> int:
    """How many sizes two shapes begin with in common."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False))))


def _transpose(g: Graph, call: Call, x: str) -> str:
    return g.add("Transpose", x, perm=call.params["axes"])


def _broadcast_to(g: Graph, call: Call, x: str) -> str:
    """1 keeps the size of x."""
    old, new = call.args[0].shape, call.out.shape
    aligned = (0,) * (len(new) - len(old)) + old
    return g.add(
        "Expand", x, g.constant([1 if n == m else n for n, m in zip(new, aligned, strict=True)])
    )


def _concatenate(g: Graph, call: Call, *tensors: str) -> str:
    return g.add("Concat", *tensors, axis=call.params["axis"])


def _flip(g: Graph, call: Call, x: str) -> str:
    return _sliced(g, x, {axis: slice(None, None, -1) for axis in call.params["axis"]})


def _getitem(g: Graph, call: Call, x: str) -> str:
    """Slices, integers and ... of an index; arrays and None are refused."""
    index, ndim = list(call.params["index"]), call.args[0].ndim
    if any(type(part) not in (int, slice, EllipsisType) for part in index):
        raise _refused(call, "arrays or None in its index")
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    index[at : at + 1] = [slice(None)] * (ndim - len(index) + (at < len(index)))
    integers = {axis: i for axis, i in enumerate(index) if isinstance(i, int)}
    slices = {axis: s for axis, s in enumerate(index) if isinstance(s, slice) and s != slice(None)}
    ranges = {axis: slice(i, None if i == -1 else i + 1) for axis, i in integers.items()}
    found = _sliced(g, x, slices | ranges)
    return g.add("Squeeze", found, g.constant(list(integers))) if integers else found


def _sliced(g: Graph, x: str, slices: dict[int, slice]) -> str:
    if not slices:
        return g.add("Identity", x)
    starts, ends, steps = [], [], []
    for s in slices.values():
        step = 1 if s.step is None else s.step
        far = _TO_THE_END if step > 0 else -_TO_THE_END
        starts.append(s.start if s.start is not None else 0 if step > 0 else _TO_THE_END)
        ends.append(s.stop if s.stop is not None else far)
        steps.append(step)
    return g.add("Slice", x, *map(g.constant, (starts, ends, list(slices), steps)))


OPERATIONS: dict[str, Entry] = {
    "abs": _node("Abs"),
    "add": _node("Add"),
    "alias": _node("Identity"),
    "broadcast_to": _broadcast_to,
    "cast": _cast,
    "clip": _clip,
    "concatenate": _concatenate,
    "conv2d": _conv2d,
    "conv2d_dx": _conv2d_dx,
    "conv2d_relu": _conv2d_relu,
    "cos": _node("Cos"),
    "div": _node("Div"),
    "eq": _node("Equal"),
    "exp": _node("Exp"),
    "flip": _flip,
    "ge": _node("GreaterOrEqual"),
    "getitem": _getitem,
    "gt": _node("Greater"),
    "le": _node("LessOrEqual"),
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "log": _node("Log"),
    "log_softmax": _log_softmax,
    "logsumexp": _reduction("ReduceLogSumExp"),
    "lt": _node("Less"),
    "matrix_product": _node("MatMul"),
    "matrix_transpose": _matrix_transpose,
    "max": _reduction("ReduceMax"),
    "max_pool2d": _max_pool2d,
    "maximum": _node("Max"),
    "mean": _reduction("ReduceMean"),
    "minimum": _node("Min"),
    "mul": _node("Mul"),
    "ne": _not_equal,
    "neg": _node("Neg"),
    "normalize": _normalize,
    "pow": _node("Pow"),
    "reflection_pad2d": _reflection_pad2d,
    "relu": _node("Relu"),
    "reshape": _reshape,
    "sigmoid": _node("Sigmoid"),
    "sign": _node("Sign"),
    "sin": _node("Sin"),
    "softplus": _node("Softplus"),
    "sqrt": _node("Sqrt"),
    "sub": _node("Sub"),
    "sum": _reduction("ReduceSum"),
    "sum_pool2d": _sum_pool2d,
    "tanh": _node("Tanh"),
    "transpose": _transpose,
    "upsample_bilinear2d": _upsample_bilinear2d,
    "upsample_nearest2d": _upsample_nearest2d,
    "where": _node("Where"),
    "zero_pad2d": _zero_pad2d,
}
