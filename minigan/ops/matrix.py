"""Matrix products and the fully connected layer y = W x + b."""

from __future__ import annotations

import math

import numpy as np

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ShapeError
from minigan.core.op import op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Tensor, TensorLike
from minigan.ops.reduce import sum
from minigan.ops.shape import reshape


@op(broadcasts=True, linear=True, flops=lambda out, a, b: 2 * math.prod(out) * a[-1])
def matrix_product(a: Array, b: Array) -> Array:
    """a b for matrices (..., M, K) and (..., K, N) -> (..., M, N); leading axes broadcast."""
    return np.matmul(a, b)


matrix_product.vjps(
    a=lambda g, b: matrix_product(g, matrix_transpose(b)),
    b=lambda g, a: matrix_product(matrix_transpose(a), g),
)


@matrix_product.check
def _(a: Array, b: Array) -> None:
    if a.ndim < 2 or b.ndim < 2:
        name, x = ("a", a) if a.ndim < 2 else ("b", b)
        raise ShapeError(f"matrix_product: {name} has shape {x.shape}; it needs two axes or more")
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matrix_product: b has shape {b.shape}; for a of shape {a.shape} it needs "
            f"{a.shape[-1]} rows"
        )


@op(view=True, linear=True)
def matrix_transpose(x: Array) -> Array:
    """The last two axes exchanged: (..., M, N) -> (..., N, M)."""
    return x.swapaxes(-1, -2)


matrix_transpose.vjps(x=lambda g: matrix_transpose(g))


@matrix_transpose.check
def _(x: Array) -> None:
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose: x has shape {x.shape}; it needs two axes or more")


@says_what_it_takes
def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """a @ b with NumPy's rules: matrices, stacks of matrices, and vectors (K,) on either side."""
    if (
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and a.ndim == b.ndim == 2
        and a.shape[1] == b.shape[0]
    ):
        return matrix_product(a, b)  # most calls; what follows is for all others
    dtype = next((t.dtype for t in (a, b) if isinstance(t, Tensor) and t.dtype.kind == "f"), None)
    a, b = as_operand("matmul", "a", a, dtype), as_operand("matmul", "b", b, dtype)
    for name, t in (("a", a), ("b", b)):
        if t.ndim == 0:
            raise ShapeError(f"matmul: {name} has shape (); it needs at least one axis")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ShapeError(
            f"matmul: b has shape {b.shape}; for a of shape {a.shape} it needs {a.shape[-1]} rows"
        )
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul: a has shape {a.shape} and b has shape {b.shape}; they need axes before the last "
            "two that broadcast"
        ) from None
    left = reshape(a, shape=(1, *a.shape)) if a.ndim == 1 else a
    right = reshape(b, shape=(*b.shape, 1)) if b.ndim == 1 else b
    product = matrix_product(left, right)
    if a.ndim > 1 and b.ndim > 1:
        return product
    shape = product.shape
    shape = shape[:-1] if b.ndim == 1 else shape
    shape = (*shape[:-2], *shape[-1:]) if a.ndim == 1 and b.ndim > 1 else shape
    return reshape(product, shape=() if a.ndim == b.ndim == 1 else shape)


@op(flops=lambda out, x, weight, bias=None: 2 * math.prod(out) * weight[1])
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x W^T + b: x (..., in), weight (out, in), bias (out) -> (..., out)."""
    y = np.matmul(x, weight.T)
    return y if bias is None else np.add(y, bias, out=y)


linear.vjps(
    x=lambda g, weight: matrix_product(g, weight),
    weight=lambda g, x: matrix_product(matrix_transpose(_rows(g)), _rows(x)),
    bias=lambda g: sum(_rows(g), axis=0),
)


def _rows(x: Tensor) -> Tensor:
    """All axes but the last as one: (..., n) -> (rows, n)."""
    return reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1])) if x.ndim != 2 else x


@linear.check
def _(x: Array, weight: Array, bias: Array | None) -> None:
    if np.ndim(weight) != 2:
        raise ShapeError(f"linear: weight has shape {np.shape(weight)}; it needs (out, in)")
    out_features, in_features = weight.shape
    if np.ndim(x) < 2 or x.shape[-1] != in_features:
        raise ShapeError(
            f"linear: x has shape {np.shape(x)}; for weight of shape {weight.shape} it needs "
            f"(..., {in_features}) with two axes or more"
        )
    if bias is not None and bias.shape != (out_features,):
        raise ShapeError(f"linear: bias has shape {bias.shape}; it needs ({out_features},)")
