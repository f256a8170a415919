"""Gives Tensor its operators and methods; each only calls an operation of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import mode
from minigan.core.op import REGISTRY
from minigan.core.tensor import Axis, Tensor, TensorLike, as_dtype
from minigan.ops import elementwise as e
from minigan.ops import matrix, reduce
from minigan.ops import shape as views
from minigan.ops.checks import one_axis


def _binary(operation: Any) -> Any:
    return lambda self, other: operation(self, other)


def _swapped(operation: Any) -> Any:
    return lambda self, other: operation(other, self)


def _in_place(operation: Any, sign: str) -> Any:
    """x += y and the like: x stands for a new tensor afterwards, unless it is what one trains.

    A leaf that requires a gradient is written to, under no_grad(), as `w -= rate * w.grad` means it.
    """

    def method(self: Tensor, other: TensorLike) -> Tensor:
        result = operation(self, other)
        if not (self.requires_grad and self.is_leaf):
            return result
        if mode.recording:
            raise ArgumentError(
                f"{sign}=: the tensor of shape {self.shape} on its left is a leaf that requires a "
                f"gradient; writing to it needs no_grad() (x = x {sign} y makes a new tensor)"
            )
        return self.copy_(result)

    return method


def _comparison(operation: Any) -> Any:
    """== or !=, by element; of None, Python's own answer, which goes by identity."""

    def method(self: Tensor, other: TensorLike | None) -> Any:
        return NotImplemented if other is None else operation(self, other)

    return method


def _reshape(self: Tensor, *sizes: int | Sequence[int]) -> Tensor:
    return views.reshape(self, shape=_spelled_out(sizes))


def _broadcast_to(self: Tensor, shape: int | Sequence[int]) -> Tensor:
    return views.broadcast_to(self, shape=shape)


def _transpose(self: Tensor, *axes: int | Sequence[int]) -> Tensor:
    return views.transpose(self, axes=_spelled_out(axes) if axes else None)


def _spelled_out(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """x.reshape(2, 3) and x.reshape((2, 3)) mean the same."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes


@says_what_it_takes
def flatten(self: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from `start_axis` to `end_axis`, both included, as one."""
    sizes = self.shape
    if not sizes:
        return views.reshape(self, shape=(1,))
    start, end = (one_axis("flatten", a, sizes) for a in (start_axis, end_axis))
    if start > end:
        raise ArgumentError(
            f"flatten: start_axis {start_axis} lies after end_axis {end_axis} in shape {sizes}; "
            "it needs to be the same or before"
        )
    joined = int(np.prod(sizes[start : end + 1]))
    return views.reshape(self, shape=(*sizes[:start], joined, *sizes[end + 1 :]))


def _to(self: Tensor, target: str | npt.DTypeLike) -> Tensor:
    """This tensor on another device (a name such as "cpu") or in another dtype; itself if it is so."""
    if isinstance(target, str) and not _is_dtype_name(target):
        return views.to_device(self, target)
    dtype = as_dtype("to", target)
    return self if dtype == self.dtype else e.cast(self, dtype=dtype)


def _is_dtype_name(name: str) -> bool:
    return name.rstrip("0123456789") in ("float", "int", "uint", "bool")


def _iterate(self: Tensor) -> Iterator[Tensor]:
    if self.ndim == 0:
        raise ShapeError("iteration: a tensor of shape () has no axis to run along")
    return (self[i] for i in range(self.shape[0]))


def _reduction(operation: Any) -> Any:
    def method(self: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return operation(self, axis=axis, keepdims=keepdims)

    return method


def _var(self: Tensor, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Tensor:
    return reduce.var(self, axis=axis, correction=correction, keepdims=keepdims)


def _unary(operation: Any) -> Any:
    return lambda self: operation(self)


def install() -> None:
    """Attach everything to Tensor; called once, when minigan.ops is imported."""
    methods: dict[str, Any] = {}
    for name, sign, operation in (
        ("add", "+", e.add),
        ("sub", "-", e.sub),
        ("mul", "*", e.mul),
        ("truediv", "/", e.div),
        ("pow", "**", e.pow),
        ("matmul", "@", matrix.matmul),
    ):
        methods[f"__{name}__"] = _binary(operation)
        methods[f"__r{name}__"] = _swapped(operation)
        methods[f"__i{name}__"] = _in_place(operation, sign)
    for operation in (e.lt, e.le, e.gt, e.ge):
        methods[f"__{operation.name}__"] = _binary(operation)
    for operation in (e.eq, e.ne):
        methods[f"__{operation.name}__"] = _comparison(operation)
    for operation in (e.neg, e.abs):
        methods[f"__{operation.name}__"] = _unary(operation)
    for operation in (
        e.exp,
        e.log,
        e.sqrt,
        e.sin,
        e.cos,
        e.tanh,
        e.sigmoid,
        e.relu,
        e.abs,
        e.alias,
    ):
        methods[operation.name] = _unary(operation)
    for operation in (reduce.sum, reduce.mean, reduce.max, reduce.logsumexp):
        methods[operation.name] = _reduction(operation)
    methods |= {
        "__getitem__": lambda self, index: views.getitem(self, index=index),
        "__iter__": _iterate,
        "clip": lambda self, min=None, max=None: e.clip(self, min=min, max=max),
        "var": _var,
        "log_softmax": lambda self, axis=-1: reduce.log_softmax(self, axis=axis),
        "sum_to": lambda self, shape: reduce.sum_to(self, shape),
        "reshape": _reshape,
        "flatten": lambda self, start_axis=0, end_axis=-1: flatten(self, start_axis, end_axis),
        "transpose": _transpose,
        "broadcast_to": _broadcast_to,
        "flip": lambda self, axis: views.flip(self, axis=axis),
        "to": _to,
    }
    for name, method in methods.items():
        method.__name__, method.__qualname__ = name, f"Tensor.{name}"  # what Python's errors show
        operation = REGISTRY.get(name.strip("_"))
        method.__doc__ = method.__doc__ or (operation.__doc__ if operation else None)
        setattr(Tensor, name, method if name.startswith("__") else says_what_it_takes(method))
    Tensor.T = property(lambda self: views.transpose(self))  # type: ignore[assignment]
    # Comparing by element takes Python's own equality away; tensors still hash by identity.
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
