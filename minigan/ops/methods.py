"""Gives Tensor its operators and methods; each only calls an operation of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan import devices
from minigan.core.errors import ShapeError
from minigan.core.tensor import Axis, Tensor
from minigan.ops import elementwise as e
from minigan.ops import matrix, reduce, shape


def _swapped(operation: Any) -> Any:
    return lambda self, other: operation(other, self)


def _reshape(self: Tensor, *sizes: int | Sequence[int]) -> Tensor:
    return shape.reshape(self, shape=_spelled_out(sizes))


def _transpose(self: Tensor, *axes: int | Sequence[int]) -> Tensor:
    return shape.transpose(self, axes=_spelled_out(axes) if axes else None)


def _spelled_out(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """x.reshape(2, 3) and x.reshape((2, 3)) mean the same."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes


def flatten(self: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The axes from `start_axis` to `end_axis`, both included, as one."""
    sizes = self.shape
    if not sizes:
        return shape.reshape(self, shape=(1,))
    start, end = (reduce.normal_axes("flatten", a, sizes)[0] for a in (start_axis, end_axis))
    joined = int(np.prod(sizes[start : end + 1]))
    return shape.reshape(self, shape=(*sizes[:start], joined, *sizes[end + 1 :]))


def _to(self: Tensor, target: str | npt.DTypeLike) -> Tensor:
    """This tensor on another device (a name such as "cpu") or in another dtype; itself if it is so."""
    if isinstance(target, str) and not _is_dtype_name(target):
        devices.available(target)
        return self
    dtype = np.dtype(target)
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


def _method_of(operation: Any) -> Any:
    """An operation as a method: unlike a function, an Op does not bind to the tensor by itself."""
    return lambda self, *args: operation(self, *args)


def install() -> None:
    """Attach everything to Tensor; called once, when minigan.ops is imported."""
    binary = {"add": e.add, "sub": e.sub, "mul": e.mul, "truediv": e.div, "pow": e.pow}
    for name, operation in binary.items():
        setattr(Tensor, f"__{name}__", _method_of(operation))
        setattr(Tensor, f"__r{name}__", _swapped(operation))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Tensor, f"__{name}__", _method_of(getattr(e, name)))
    # Comparing by element takes Python's own equality away; tensors still hash by identity.
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
    for name, operation in (("neg", e.neg), ("abs", e.abs)):
        setattr(Tensor, f"__{name}__", _method_of(operation))
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
        setattr(Tensor, operation.name, _method_of(operation))
    for operation in (reduce.sum, reduce.mean, reduce.max, reduce.logsumexp):
        setattr(Tensor, operation.name, _reduction(operation))
    others: dict[str, Any] = {
        "__matmul__": matrix.matmul,
        "__rmatmul__": lambda self, other: matrix.matmul(other, self),
        "__getitem__": lambda self, index: shape.getitem(self, index=index),
        "__iter__": _iterate,
        "clip": lambda self, min=None, max=None: e.clip(self, min=min, max=max),
        "var": _var,
        "log_softmax": lambda self, axis=-1: reduce.log_softmax(self, axis=axis),
        "sum_to": reduce.sum_to,
        "reshape": _reshape,
        "flatten": flatten,
        "transpose": _transpose,
        "T": property(lambda self: shape.transpose(self)),
        "broadcast_to": lambda self, shape_: shape.broadcast_to(self, shape=shape_),
        "flip": lambda self, axis: shape.flip(self, axis=axis),
        "to": _to,
    }
    for name, method in others.items():
        setattr(Tensor, name, method)
