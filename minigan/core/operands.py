"""What an operation is given and gives back: arguments as tensors, dtypes, and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan import devices
from minigan.core.errors import ArgumentError, DeviceError, MiniganError, ShapeError
from minigan.core.quiet import quietly
from minigan.core.tensor import DEFAULT_DTYPE, Array, Tensor, as_array

if TYPE_CHECKING:
    from minigan.core.op import Op

_NUMBERS = (float, int, bool)  # Python numbers adopt the dtype of the array beside them (NEP 50)


def as_operands(operation: Op, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any], str]:
    """The arguments as tensors, their arrays, and the one device where these are.

    Python numbers and None stay as they are where an operation can take them; everything else
    becomes a constant tensor.
    """
    device, arrays = None, []
    for a in args:
        if type(a) is Tensor:
            if device is None:
                device = a.device
            elif device != a.device:
                break
            arrays.append(a._array)
        elif type(a) in _NUMBERS and operation.broadcasts:
            arrays.append(a)
        else:
            break
    else:
        if device is not None:
            return args, arrays, device
    operands, device = _made_tensors(operation, args)
    return operands, [a._array if isinstance(a, Tensor) else a for a in operands], device


def _made_tensors(operation: Op, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], str]:
    """The same where something among the arguments is no tensor yet, or the devices differ."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    device = tensors[0].device if tensors else "cpu"
    for a in tensors:
        if a.device != device:
            raise DeviceError(
                f"{operation.name}: one argument is on {device!r} and another on {a.device!r}; they "
                "need to be on one device"
            )
    dtype = next((a.dtype for a in tensors if a.dtype.kind == "f"), None)
    numbers_stay = bool(tensors) and operation.broadcasts
    operands = []
    for name, a in zip(operation.names_of(args), args, strict=True):
        value = a.item() if isinstance(a, np.generic) else a
        if not (
            (value is None and name in operation.optional)
            or (numbers_stay and type(value) in _NUMBERS)
        ):
            value = as_operand(operation.name, name, value, dtype, device)
        operands.append(value)
    return tuple(operands), device


def as_operand(
    operation: str,
    name: str,
    value: Any,
    dtype: np.dtype | None = None,
    device: str = "cpu",
) -> Tensor:
    """`value` as the tensor it is, or as a constant; a list of tensors would lose their graph."""
    if isinstance(value, Tensor):
        return value
    is_list = isinstance(value, list | tuple)
    if callable(value) or (is_list and _holds_tensors(value)):
        what = (
            "a list of tensors" if is_list else f"the function {getattr(value, '__name__', value)}"
        )
        raise ArgumentError(f"{operation}: {name} is {what}; it needs one tensor")
    array = as_array(value, dtype, f"{operation}: {name}")
    return Tensor(array if device == "cpu" else devices.moved(array, "cpu", device), device=device)


def _holds_tensors(values: Sequence[Any]) -> bool:
    return any(
        isinstance(v, Tensor) or (isinstance(v, list | tuple) and _holds_tensors(v)) for v in values
    )


def floats(a: Any) -> Any:
    """An argument of numbers as floating-point numbers: integers as float64."""
    return a.astype(np.float64) if isinstance(a, Array) and a.dtype.kind != "f" else a


def unless_asked_for(array: Array, args: Sequence[Any]) -> Array:
    """A float64 result brought to its arguments' precision.

    NumPy makes float64 of float32 beside integers, and of integers alone; here it takes a float64
    argument.
    """
    floating = [a.dtype for a in args if isinstance(a, Tensor) and a.dtype.kind == "f"]
    dtype = np.result_type(*floating) if floating else DEFAULT_DTYPE
    return quietly(array.astype, dtype, copy=False)


def refusal(operation: Op, arrays: Sequence[Any], error: Exception) -> MiniganError:
    """What NumPy refused, in our words: mostly shapes that do not broadcast."""
    shapes = [np.shape(a) for a in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        described = zip(operation.inputs, shapes, strict=True)
        return ShapeError(
            f"{operation.name}: {' and '.join(f'{n} has shape {s}' for n, s in described)}; they "
            "need shapes that broadcast: from the last axis on, equal sizes or 1"
        )
    reason = str(error).replace("\n", " ")
    return ArgumentError(f"{operation.name}: NumPy refuses the values: {reason}")
