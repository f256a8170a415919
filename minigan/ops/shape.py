"""Operations that move elements without computing: views, joining, indexing, flipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import devices
from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.op import op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Axis, Shape, Tensor, TensorLike
from minigan.ops.checks import normal_axes, one_axis, sizes

# ---------------------------------------------------------------------- views


@op(view=True, linear=True)
def reshape(x: Array, *, shape: Shape) -> Array:
    """The same elements, in the same order, in another shape; one size may be -1."""
    return x.reshape(shape)


@reshape.check
def _(x: Array, shape: Shape | int) -> dict[str, Any] | None:
    wanted = sizes("reshape", "shape", shape, at_least=-1)
    if wanted is shape and -1 not in wanted and math.prod(wanted) == x.size:
        return None
    if wanted.count(-1) > 1:
        raise ShapeError(
            f"reshape: shape {shape} has {wanted.count(-1)} sizes of -1; it needs one at most"
        )
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted and known and x.size % known == 0:
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if -1 in wanted or math.prod(wanted) != x.size:
        raise ShapeError(
            f"reshape: x of shape {x.shape} has {x.size} elements; shape {shape} needs "
            "exactly as many"
        )
    return {"shape": wanted}


reshape.vjps(x=lambda g, x_shape: reshape(g, shape=x_shape))


@op(view=True, linear=True)
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    """The axes in another order; reversed when `axes` is None."""
    return x.transpose(axes)


@transpose.check
def _(x: Array, axes: Sequence[int] | None) -> dict[str, Any] | None:
    if axes is None:
        return {"axes": tuple(reversed(range(x.ndim)))}
    order = sizes("transpose", "axes", axes, at_least=-x.ndim)
    if order and min(order) < 0:
        order = tuple(a + x.ndim if a < 0 else a for a in order)
    if sorted(order) != list(range(x.ndim)):
        raise ShapeError(
            f"transpose: axes are {axes}; for x of shape {x.shape} it needs each of its {x.ndim} "
            "axes once"
        )
    return {"axes": order}


transpose.vjps(x=lambda g, axes: transpose(g, axes=tuple(np.argsort(axes).tolist())))


@op(view=True, linear=True, broadcasts=True)
def broadcast_to(x: Array, *, shape: Shape) -> Array:
    """x repeated along new axes and along axes of size 1, without copying."""
    return np.broadcast_to(x, shape)


@broadcast_to.check
def _(x: Array, shape: int | Sequence[int]) -> dict[str, Any]:
    wanted = sizes("broadcast_to", "shape", shape)
    stretches = zip(reversed(x.shape), reversed(wanted), strict=False)
    if len(wanted) < x.ndim or any(n not in (1, m) for n, m in stretches):
        raise ShapeError(
            f"broadcast_to: x has shape {x.shape}; shape {wanted} needs each of its sizes, from the "
            "last axis on, to be equal or 1"
        )
    return {"shape": wanted}


broadcast_to.vjps(x=lambda g: g)  # the engine sums it back to x's shape


@op(view=True, linear=True)
def flip(x: Array, *, axis: int | tuple[int, ...] | None) -> Array:
    """x read backwards along one axis, several, or all (None)."""
    return np.flip(x, axis)


@flip.check
def _(x: Array, axis: Axis) -> dict[str, Any]:
    return {"axis": normal_axes("flip", axis, x.shape)}


flip.vjps(x=lambda g, axis: flip(g, axis=axis))

# ---------------------------------------------------------------------- joining


@op(linear=True)
def concatenate(*tensors: Array, axis: int = 0) -> Array:
    """Tensors, or one list of them, joined along an existing axis; all other sizes must agree."""
    return np.concatenate(tensors, axis)


@concatenate.check
def _(*tensors: Array, axis: int) -> dict[str, Any]:
    if not tensors:
        raise ArgumentError("concatenate: got no tensors; it needs at least one")
    first = tensors[0].shape
    axis = one_axis("concatenate", axis, first)
    for i, t in enumerate(tensors):
        if len(t.shape) != len(first) or any(
            n != m for k, (n, m) in enumerate(zip(t.shape, first, strict=True)) if k != axis
        ):
            raise ShapeError(
                f"concatenate: tensor {i} has shape {t.shape}; it needs shape {first} but for its "
                f"size along axis {axis}"
            )
    return {"axis": axis}


@concatenate.vjp("tensors")
def _(g: Tensor, tensors_shape: list[Shape], axis: int) -> list[Tensor]:
    ends = np.cumsum([shape[axis] for shape in tensors_shape]).tolist()
    before = (slice(None),) * axis
    return [
        getitem(g, index=(*before, slice(end - shape[axis], end)))
        for shape, end in zip(tensors_shape, ends, strict=True)
    ]


@says_what_it_takes
def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    parts = [as_operand("stack", f"tensors[{i}]", t) for i, t in enumerate(tensors)]
    if not parts:
        raise ArgumentError("stack: got no tensors; it needs at least one")
    shape = parts[0].shape
    for i, t in enumerate(parts):
        if t.shape != shape:
            raise ShapeError(
                f"stack: tensor {i} has shape {t.shape}; it needs {shape} like the first"
            )
    axis = one_axis("stack", axis, (*shape, 1))
    widened = (*shape[:axis], 1, *shape[axis:])
    return concatenate(*(reshape(t, shape=widened) for t in parts), axis=axis)


# ---------------------------------------------------------------------- indexing


@op(view=True, linear=True)
def getitem(x: Array, *, index: Any) -> Array:
    """x[index], with NumPy's meaning of integers, slices, None, ... and arrays of indices or masks."""
    try:
        return x[index]
    except IndexError as error:
        raise ShapeError(f"indexing: x of shape {x.shape} cannot be indexed so: {error}") from None


@getitem.check
def _(x: Array, index: Any) -> dict[str, Any]:
    parts = index if isinstance(index, tuple) else (index,)
    return {"index": tuple(_plain_index(part) for part in parts)}


def _plain_index(part: Any) -> Any:
    """An index as NumPy takes it: tensors and lists become integer or boolean arrays.

    Arrays are copied, because the backward pass needs them as they were.
    """
    if isinstance(part, Tensor):
        part = to_device(part, "cpu")._array
    if not isinstance(part, list | np.ndarray):
        return part
    array = np.array(part, int) if isinstance(part, list) and not part else np.array(part)
    if array.dtype.kind not in "biu":
        raise ArgumentError(
            f"indexing: an index array has {array.dtype}; it needs integers or booleans"
        )
    return array


getitem.vjps(x=lambda g, x_shape, index: getitem_dx(g, index=index, input_shape=x_shape))


@op(linear=True)
def getitem_dx(grad: Array, *, index: Any, input_shape: Shape) -> Array:
    """getitem's adjoint: zeros of `input_shape` with `grad` added at `index`, repeats included."""
    out = np.zeros(input_shape, grad.dtype)
    if any(isinstance(part, np.ndarray) for part in index):
        np.add.at(out, index, grad)
    else:
        out[index] = grad  # slices and integers never name an element twice
    return out


getitem_dx.vjps(grad=lambda g, index: getitem(g, index=index))

# ---------------------------------------------------------------------- between devices


@op(linear=True)
def transfer(x: Array, *, device: str, source: str) -> Array:
    """A copy of x, which lives on the device `source`, on `device`."""
    return devices.moved(x, source, device)


transfer.vjps(x=lambda g, device, source: transfer(g, device=source, source=device))


@transfer.check
def _(x: Array, device: str, source: str) -> None:
    devices.available(device)


def to_device(x: Tensor, device: str) -> Tensor:
    """x itself if it lives on `device`, a copy there otherwise."""
    return x if x.device == device else transfer(x, device=device, source=x.device)
