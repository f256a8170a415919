"""The host side of kernels/arithmetic.cu, functions.cu and cast.cu.

Each function here makes the function that runs one operation: it takes a device, the arrays (or
numbers, where an operand may be one) and the operation's settings, and gives the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.devices.launch.kernel import C_TYPES, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import SIGNATURE as LAYOUT
from minigan.devices.launch.layout import layout, memory, overlap

Host = Callable[..., Array]

_ANY = tuple(C_TYPES)
_FILL = Kernel("index.cu", "fill", "w:R R i4", _ANY)
_ARITHMETIC, _FUNCTIONS = "arithmetic.cu", "functions.cu"


def unary(symbol: str, file: str = _FUNCTIONS) -> Host:
    """y = f(x)."""
    kernel = _kernel(file, symbol, f"r:R w:R {LAYOUT} i4")

    def run(device: Device, x: Array) -> Array:
        return _launch(device, kernel, (x,), (x,), x.dtype)

    return run


def unary_with(symbol: str, setting: str) -> Host:
    """y = f(x), with one number that the operation is set to."""
    kernel = _kernel(_FUNCTIONS, symbol, f"r:R R w:R {LAYOUT} i4")

    def run(device: Device, x: Array, **settings: float) -> Array:
        return _launch(device, kernel, (x,), (x, settings[setting]), x.dtype)

    return run


def between(symbol: str, result: str | None = None) -> Host:
    """y = f(x) with the bounds min and max, where None is none."""
    kernel = _kernel(_FUNCTIONS, symbol, f"r:R R R w:{result or 'R'} {LAYOUT} i4")

    def run(device: Device, x: Array, *, min: float | None, max: float | None) -> Array:
        low = -math.inf if min is None else min
        high = math.inf if max is None else max
        return _launch(device, kernel, (x,), (x, low, high), _dtype(result, x.dtype))

    return run


def binary(symbol: str, file: str = _FUNCTIONS, result: str | None = None) -> Host:
    """y = f(a, b); either may be a number."""
    kernel = _kernel(file, symbol, f"r:R R r:R R w:{result or 'R'} {LAYOUT} i4")

    def run(device: Device, a: Array | float, b: Array | float) -> Array:
        a, b = _of_one_dtype(device, a, b)
        args = (*_operand(a), *_operand(b))
        return _launch(device, kernel, (a, b), args, _dtype(result, _real(a, b)))

    return run


def leaky_relu_grad(device: Device, grad: Array, x: Array, *, negative_slope: float) -> Array:
    """`grad` where x > 0, negative_slope * grad elsewhere."""
    kernel = _kernel(_FUNCTIONS, "leaky_relu_grad", f"r:R R r:R R R w:R {LAYOUT} i4")
    args = (*_operand(grad), *_operand(x), negative_slope)
    return _launch(device, kernel, (grad, x), args, _real(grad, x))


def where(device: Device, condition: Array, a: Array | float, b: Array | float) -> Array:
    """`a` where `condition` is true, `b` elsewhere."""
    kernel = _kernel(_ARITHMETIC, "where", f"r:b1 r:R R r:R R w:R {LAYOUT} i4")
    if condition.dtype != np.bool_:
        condition = cast(device, condition, dtype=np.dtype(bool))
    a, b = _of_one_dtype(device, a, b)
    args = (condition, *_operand(a), *_operand(b))
    return _launch(device, kernel, (condition, a, b), args, _real(a, b))


def cast(device: Device, x: Array, *, dtype: np.dtype) -> Array:
    """The elements of x as `dtype`."""
    to = "b1" if dtype == np.bool_ else dtype.str[1:]
    kernel = Kernel("cast.cu", "cast", f"r:R w:{to} {LAYOUT} i4", _ANY)
    y = device.empty(x.shape, dtype)
    args = (memory(x), y, layout("cast", x.shape, [x]), y.size)
    if y.size:
        launch(
            device, kernel, x.dtype, blocks_for(y.size), args, macros={"TO": C_TYPES[dtype.name]}
        )
    return y


def assign(device: Device, y: Array, x: Array) -> None:
    """Write x, which broadcasts to y's shape, into y as y's dtype; either may have strides."""
    if not y.size:
        return
    if overlap(x, y):
        x = copied(device, x)
    to = "b1" if y.dtype == np.bool_ else y.dtype.str[1:]
    kernel = Kernel("cast.cu", "assign", f"r:R w:{to} {LAYOUT} i4", _ANY)
    args = (memory(x), memory(y), layout("assign", y.shape, [x, y]), y.size)
    launch(device, kernel, x.dtype, blocks_for(y.size), args, macros={"TO": C_TYPES[y.dtype.name]})


def contiguous(device: Device, x: Array) -> Array:
    """x itself if it is contiguous, a contiguous copy otherwise."""
    return x if x.flags.c_contiguous else copied(device, x)


def copied(device: Device, x: Array) -> Array:
    """A contiguous copy."""
    return unary("copy", _ARITHMETIC)(device, x)


def reshaped(device: Device, x: Array, *, shape: Sequence[int]) -> Array:
    """x with another shape: a view where it is contiguous, of a contiguous copy otherwise."""
    return contiguous(device, x).reshape(shape)


def filled(device: Device, shape: Sequence[int], value: float, dtype: np.dtype) -> Array:
    """A new array that holds one value."""
    y = device.empty(shape, dtype)
    if y.size:
        launch(device, _FILL, dtype, blocks_for(y.size), (y, value, y.size))
    return y


# ---------------------------------------------------------------------- what they share


def _kernel(file: str, symbol: str, signature: str) -> Kernel:
    return Kernel(file, symbol, signature, _ANY if file == _ARITHMETIC else ("float32", "float64"))


def _launch(
    device: Device,
    kernel: Kernel,
    operands: tuple[Any, ...],
    args: tuple[Any, ...],
    dtype: np.dtype,
) -> Array:
    """Make the result and let the kernel fill it: its last parameters are result, layout, count."""
    shape = np.broadcast_shapes(*(x.shape for x in operands if hasattr(x, "shape")))
    y = device.empty(shape, dtype)
    if y.size:
        walk = layout(kernel.symbol, shape, operands)
        real = _real(
            *(x for x in operands if getattr(x, "dtype", None) != np.bool_ or len(operands) < 3)
        )
        args = tuple(memory(x) if hasattr(x, "dtype") else x for x in args)
        flat = (memory(a) if hasattr(a, "strides") else a for a in args)
        launch(device, kernel, real, blocks_for(y.size), (*flat, y, walk, y.size))
    return y


def _operand(value: Any) -> tuple[Any, Any]:
    """An operand as kernels take it: an array and no number, or no array and a number."""
    return (value, 0) if hasattr(value, "dtype") else (None, value)


def _real(*operands: Any) -> np.dtype:
    """The dtype of the arrays among the operands."""
    return next(x.dtype for x in operands if hasattr(x, "dtype"))


def _of_one_dtype(device: Device, a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands of the dtype that NumPy would compute in, floats winning over integers."""
    arrays = [x for x in (a, b) if hasattr(x, "dtype")]
    floating = [x.dtype for x in arrays if x.dtype.kind == "f"]
    wanted = np.result_type(*(floating or [x.dtype for x in arrays]))
    if not floating and any(isinstance(x, float) for x in (a, b)):
        wanted = np.dtype(np.float32)
    a, b = (
        cast(device, x, dtype=wanted) if hasattr(x, "dtype") and x.dtype != wanted else x
        for x in (a, b)
    )
    return a, b


def _dtype(code: str | None, otherwise: np.dtype) -> np.dtype:
    return otherwise if code is None else np.dtype(bool if code == "b1" else code)
