"""Reductions over axes.

`axis` is an integer, a tuple of integers or None for all axes; negative ones count from the end.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ShapeError
from minigan.core.op import Op, op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Axis, Shape, Tensor, TensorLike
from minigan.ops.checks import normal_axes, number, one_axis
from minigan.ops.elementwise import cast, eq, exp
from minigan.ops.shape import reshape


@op(view=True, linear=True)
def spread(x: Array, *, shape: Shape, axis: tuple[int, ...]) -> Array:
    """A sum's adjoint: what the axes `axis` of `shape` were reduced to, repeated along them.

    x may have them as axes of size 1, or not at all. No copy is made.
    """
    if x.ndim == 0 and len(axis) == len(shape) and type(x) is np.ndarray:
        y = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))  # a tenth of broadcast_to's time
        y.flags.writeable = False
        return y
    kept = tuple([1 if i in axis else n for i, n in enumerate(shape)])
    if x.shape != kept:
        left = tuple([n for i, n in enumerate(shape) if i not in axis])
        if x.shape != left:
            raise ShapeError(
                f"spread: x has shape {x.shape}; to fill {shape} along the axes {axis} it needs "
                f"{left} or {kept}"
            )
        x = x.reshape(kept)
    return np.broadcast_to(x, shape)


@spread.vjp("x")
def _(g: Tensor, x_shape: Shape, shape: Shape, axis: tuple[int, ...]) -> Tensor:
    return sum(g, axis=axis, keepdims=len(x_shape) == len(shape))


def _count(shape: Shape, axis: tuple[int, ...]) -> int:
    return math.prod(shape[i] for i in axis)


def _checks_axis(reduction: Op, needs_elements: bool) -> None:
    """Refuse axes that do not exist and, where nothing can come of no elements, empty ones."""

    @reduction.check
    def _(x: Array, axis: Axis, **others: Any) -> dict[str, Any]:
        axes = normal_axes(reduction.name, axis, x.shape)
        if needs_elements and _count(x.shape, axes) == 0:
            raise ShapeError(
                f"{reduction.name}: x has shape {x.shape}, with no elements along axis {axis}; "
                "it needs at least one"
            )
        return {"axis": axes}


@op(linear=True)
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes."""
    return np.add.reduce(x, axis, keepdims=keepdims)  # what np.sum calls in the end


sum.vjps(x=lambda g, x_shape, axis: spread(g, shape=x_shape, axis=axis))
_checks_axis(sum, needs_elements=False)


@op(linear=True)
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Arithmetic mean over axes."""
    if x.dtype.char in "fd":  # as np.mean does it, in a third of the time for a small array
        count = _count(x.shape, axis)  # type: ignore[arg-type]  # the check has made it a tuple
        return np.add.reduce(x, axis, keepdims=keepdims) / count
    return np.mean(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


mean.vjps(
    x=lambda g, x_shape, axis: spread(g / _count(x_shape, axis), shape=x_shape, axis=axis),
)
_checks_axis(mean, needs_elements=True)


@op
def var(x: Array, *, axis: Axis = None, correction: float = 1, keepdims: bool = False) -> Array:
    """Variance over axes: squared deviations from the mean, summed and divided by n - correction."""
    return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)  # type: ignore[call-overload]


@var.vjp("x")
def _(g: Tensor, x: Tensor, axis: tuple[int, ...], correction: float) -> Tensor:
    deviation = x - mean(x, axis=axis, keepdims=True)
    return (
        spread(g, shape=x.shape, axis=axis)
        * deviation
        * (2.0 / (_count(x.shape, axis) - correction))
    )


@var.check
def _(x: Array, axis: Axis, correction: float, keepdims: bool) -> dict[str, Any]:
    axes = normal_axes("var", axis, x.shape)
    correction = number("var", "correction", correction)
    if _count(x.shape, axes) <= correction:
        raise ShapeError(
            f"var: x of shape {x.shape} has {_count(x.shape, axes)} elements along axis {axis}; "
            f"it needs more than correction = {correction}"
        )
    return {"axis": axes, "correction": correction}


@op
def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest element over axes; the gradient of ties is shared evenly."""
    return np.max(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]


@max.vjp("x")
def _(g: Tensor, x: Tensor, out: Tensor, axis: tuple[int, ...]) -> Tensor:
    at_maximum = cast(eq(x, spread(out, shape=x.shape, axis=axis)), dtype=g.dtype)
    share = at_maximum / sum(at_maximum, axis=axis, keepdims=True)
    return spread(g, shape=x.shape, axis=axis) * share


_checks_axis(max, needs_elements=True)


@op(floating=True)
def logsumexp(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over axes, with the maximum taken out first so that nothing overflows."""
    m = np.max(x, axis=axis, keepdims=True)  # type: ignore[call-overload]
    m = np.where(np.isfinite(m), m, 0)  # all -inf stays -inf instead of turning into NaN
    out = np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True)) + m  # type: ignore[call-overload]
    return out if keepdims else np.squeeze(out, axis=axis)  # type: ignore[arg-type]


logsumexp.vjps(
    x=lambda g, x, out, axis: (
        spread(g, shape=x.shape, axis=axis) * exp(x - spread(out, shape=x.shape, axis=axis))
    ),
)
_checks_axis(logsumexp, needs_elements=True)


@op(floating=True)
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """x - logsumexp(x) along one axis: the logarithm of softmax."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


log_softmax.vjps(
    x=lambda g, out, axis: g - exp(out) * sum(g, axis=axis, keepdims=True),
)
_checks_axis(log_softmax, needs_elements=True)


@says_what_it_takes
def softmax(x: TensorLike, *, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along one axis."""
    x = as_operand("softmax", "x", x)
    return exp(log_softmax(x, axis=one_axis("softmax", axis, x.shape)))


def sum_to(x: Tensor, shape: Shape) -> Tensor:
    """Sum `x` down to `shape`: the adjoint of broadcasting `shape` up to x's shape."""
    new_axes = len(x.shape) - len(shape)
    stretched = [i + new_axes for i, n in enumerate(shape) if n == 1 and x.shape[i + new_axes] != 1]
    axes = (*range(new_axes), *stretched)
    summed = sum(x, axis=axes, keepdims=True) if axes else x
    return reshape(summed, shape=shape) if new_axes else summed
