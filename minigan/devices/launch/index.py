"""The host side of kernels/index.cu: joining, indexing, and indexing's adjoint.

Integers, slices, None and ... give views, for which nothing is launched. What index arrays and masks name
is worked out on the host, where they come from, as a list of positions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.core.errors import ShapeError
from minigan.devices.launch.elementwise import cast, contiguous, filled
from minigan.devices.launch.kernel import C_TYPES, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import SIGNATURE as LAYOUT
from minigan.devices.launch.layout import count_of, layout, memory

Shape = tuple[int, ...]
Index = tuple[Any, ...]

_ANY = tuple(C_TYPES)
_PUT = Kernel("index.cu", "put", f"r:R w:R {LAYOUT} i4", _ANY)
_TAKE = Kernel("index.cu", "take_rows", "r:R r:i8 w:R i4 i4", _ANY)
_ADD = Kernel("index.cu", "add_rows", "r:R r:i4 r:i4 w:R i4 i4", _ANY)


def concatenate(device: Device, *tensors: Array, axis: int) -> Array:
    """Arrays joined along an axis, each by a launch of its own."""
    floating = [x.dtype for x in tensors if x.dtype.kind == "f"]
    dtype = np.result_type(*(floating or [x.dtype for x in tensors]))
    sizes = [x.shape[axis] for x in tensors]
    shape = (*tensors[0].shape[:axis], sum(sizes), *tensors[0].shape[axis + 1 :])
    y = device.empty(shape, dtype)
    for x, end in zip(tensors, np.cumsum(sizes).tolist(), strict=True):
        x = x if x.dtype == dtype else cast(device, x, dtype=dtype)
        _put(device, x, y[(slice(None),) * axis + (slice(end - x.shape[axis], end),)])
    return y


def getitem(device: Device, x: Array, *, index: Index) -> Array:
    """x[index]."""
    if is_view(index):
        return _view(x, index)
    head, inner = _divided(x.shape, index)
    positions = _positions(x.shape, head, index)
    y = device.empty((*positions.shape, *x.shape[head:]), x.dtype)
    if count_of("getitem", y.shape):
        positions = device.from_host(positions)
        args = (contiguous(device, x), positions, y, inner, y.size)
        launch(device, _TAKE, x.dtype, blocks_for(y.size), args)
    return y


def getitem_dx(device: Device, grad: Array, *, index: Index, input_shape: Shape) -> Array:
    """Zeros of `input_shape` with `grad` added at `index`."""
    count = count_of("getitem_dx", input_shape)
    if not count or is_view(index):
        y = filled(device, input_shape, 0, grad.dtype)
        if count:
            _put(device, grad, _view(y, index))
        return y
    y = device.empty(input_shape, grad.dtype)
    head, inner = _divided(input_shape, index)
    positions = _positions(input_shape, head, index).ravel()
    order = np.argsort(positions, kind="stable").astype(np.int32)
    begin = np.zeros(math.prod(input_shape[:head]) + 1, np.int32)
    np.cumsum(np.bincount(positions, minlength=begin.size - 1), out=begin[1:])
    order, begin = (device.from_host(a) for a in (order, begin))
    args = (contiguous(device, grad), order, begin, y, inner, count)
    launch(device, _ADD, grad.dtype, blocks_for(count), args)
    return y


def is_view(index: Index) -> bool:
    """Whether an index names elements by strides alone."""
    return all(
        part is None or part is Ellipsis or isinstance(part, slice) or _is_integer(part)
        for part in index
    )


def _is_integer(part: Any) -> bool:
    return isinstance(part, int | np.integer) and not isinstance(part, bool)


def _view(x: Array, index: Index) -> Array:
    """x[index], as an array also where the index names one element."""
    complete = index if any(part is Ellipsis for part in index) else (*index, ...)
    try:
        return x[complete]
    except IndexError as error:
        raise _refusal(x.shape, error) from None


def _put(device: Device, x: Array, view: Array) -> None:
    """Write x to a view of another array."""
    if x.size:
        args = (memory(x), memory(view), layout("put", x.shape, [x, view]), x.size)
        launch(device, _PUT, x.dtype, blocks_for(x.size), args)


def _divided(shape: Shape, index: Index) -> tuple[int, int]:
    """How many leading axes an index speaks of, and how many elements all others have together."""
    parts = index[:-1] if index and index[-1] is Ellipsis else index
    if any(part is Ellipsis for part in parts):
        head = len(shape)
    else:
        head = min(sum(_axes_of(part) for part in parts), len(shape))
    return head, math.prod(shape[head:])


def _axes_of(part: Any) -> int:
    """How many axes a part of an index takes up."""
    if part is None:
        return 0
    is_mask = isinstance(part, bool | np.bool_) or getattr(part, "dtype", None) == np.bool_
    return np.ndim(part) if is_mask else 1


def _positions(shape: Shape, head: int, index: Index) -> np.ndarray:
    """Which elements an index names, by number, counted in C order along the first `head` axes."""
    rows = shape[:head]
    try:
        return np.asarray(np.arange(math.prod(rows)).reshape(rows)[index])
    except IndexError as error:
        raise _refusal(shape, error) from None


def _refusal(shape: Shape, error: Exception) -> ShapeError:
    return ShapeError(f"indexing: x of shape {shape} cannot be indexed so: {error}")
