"""Gives Tensor its operators and methods; each only calls an operation of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan import devices
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.op import REGISTRY
from minigan.core.tensor import Axis, Tensor, as_dtype
from minigan.ops import elementwise as e
from minigan.ops import matrix, reduce, shape
from minigan.ops.checks import one_axis


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
    start, end = (one_axis("flatten", a, sizes) for a in (start_axis, end_axis))
    if start > end:
        raise ArgumentError(
            f"flatten: start_axis {start_axis} lies after end_axis {end_axis} in shape {sizes}; "
            "it needs to be the same or before"
        )
    joined = int(np.prod(sizes[start : end + 1]))
    return shape.reshape(self, shape=(*sizes[:start], joined, *sizes[end + 1 :]))


def _to(self: Tensor, target: str | npt.DTypeLike) -> Tensor:
    """This tensor on another device (a name such as "cpu") or in another dtype; itself if it is so."""
    if isinstance(target, str) and not _is_dtype_name(target):
        devices.available(target)
        return self
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


def _method_of(operation: Any) -> Any:
    """An operation as a method: unlike a function, an Op does not bind to the tensor by itself."""
    return lambda self, *args: operation(self, *args)


def install() -> None:
    """Attach everything to Tensor; called once, when minigan.ops is imported."""
    methods: dict[str, Any] = {}
    binary: dict[str, Any] = {
        "add": e.add,
        "sub": e.sub,
        "mul": e.mul,
        "truediv": e.div,
        "pow": e.pow,
    }
    binary["matmul"] = matrix.matmul
    for name, operation in binary.items():
        methods[f"__{name}__"] = _method_of(operation)
        methods[f"__r{name}__"] = _swapped(operation)
    for operation in (e.lt, e.le, e.gt, e.ge, e.eq, e.ne, e.neg, e.abs):
        methods[f"__{operation.name}__"] = _method_of(operation)
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
        methods[operation.name] = _method_of(operation)
    for operation in (reduce.sum, reduce.mean, reduce.max, reduce.logsumexp):
        methods[operation.name] = _reduction(operation)
    methods |= {
        "__getitem__": lambda self, index: shape.getitem(self, index=index),
        "__iter__": _iterate,
        "clip": lambda self, min=None, max=None: e.clip(self, min=min, max=max),
        "var": _var,
        "log_softmax": lambda self, axis=-1: reduce.log_softmax(self, axis=axis),
        "sum_to": lambda self, shape: reduce.sum_to(self, shape),
        "reshape": _reshape,
        "flatten": lambda self, start_axis=0, end_axis=-1: flatten(self, start_axis, end_axis),
        "transpose": _transpose,
        "broadcast_to": lambda self, shape_: shape.broadcast_to(self, shape=shape_),
        "flip": lambda self, axis: shape.flip(self, axis=axis),
        "to": _to,
    }
    for name, method in methods.items():
        method.__name__, method.__qualname__ = name, f"Tensor.{name}"  # what Python's errors show
        operation = REGISTRY.get(name.strip("_"))
        method.__doc__ = method.__doc__ or (operation.__doc__ if operation else None)
        setattr(Tensor, name, method)
    Tensor.T = property(lambda self: shape.transpose(self))  # type: ignore[assignment]
    # Comparing by element takes Python's own equality away; tensors still hash by identity.
    Tensor.__hash__ = object.__hash__  # type: ignore[method-assign]
