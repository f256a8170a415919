"""Normalisation: x minus its mean, over its standard deviation, along chosen axes.

One operation, `normalize`, serves instance norm (over the pixels of each image and channel) and batch
norm (over the batch and the pixels of each channel).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import mode, no_grad
from minigan.core.op import op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Tensor
from minigan.devices.cpu import norm as cpu
from minigan.ops import elementwise, reduce
from minigan.ops.checks import check_image, normal_axes, number
from minigan.ops.elementwise import sqrt
from minigan.ops.shape import reshape

Axes = tuple[int, ...]


@op(aux=("mean", "reciprocal_deviation"), floating=True)
def normalize(
    x: Array, *, axis: int | Axes, eps: float = 1e-5, relu: bool = False
) -> tuple[Array, Array, Array]:
    """(x - mean) / sqrt(var + eps) over `axis`, with the variance divided by n; then ReLU, on request.

    The auxiliary results are the mean and 1 / sqrt(var + eps), with the axes kept as size 1.
    """
    # The check below has made `axis` a tuple.
    return cpu.normalize(x, axis, eps, relu)  # type: ignore[arg-type]


@normalize.vjp("x")
def _(g: Tensor, x: Tensor, mean: Tensor, reciprocal_deviation: Tensor, **how: Any) -> Tensor:
    return normalize_grad(g, x, mean, reciprocal_deviation, **how)


@op(floating=True)
def normalize_grad(
    grad: Array,
    x: Array,
    mean: Array | None = None,
    reciprocal_deviation: Array | None = None,
    *,
    axis: int | Axes,
    eps: float = 1e-5,
    relu: bool = False,
) -> Array:
    """normalize's vjp, fused: r (g - mean(g) - xhat mean(g xhat)), where xhat = (x - mean) r.

    With `relu`, g counts as 0 where xhat is not positive.

    mean, reciprocal_deviation  those of x, where they are known already. They spare time and are no
                                variables: the derivative with respect to x is that of the whole

    With y_i = r (x_i - m), r = (v + eps)^(-1/2): the mean's share of dy/dx takes out mean(g), the
    deviation's takes out xhat mean(g xhat) (Ioffe & Szegedy 2015, section 3, in simplified form).
    """
    # The check below has made `axis` a tuple.
    if mean is None or reciprocal_deviation is None:
        _, mean, reciprocal_deviation = cpu.normalize(x, axis, eps)  # type: ignore[arg-type]
    return cpu.normalize_grad(grad, x, mean, reciprocal_deviation, axis, relu)  # type: ignore[arg-type]


@normalize_grad.vjp("grad", "x")
def _(
    g: Tensor,
    out: Tensor,
    grad: Tensor,
    x: Tensor,
    mean: Tensor | None,
    reciprocal_deviation: Tensor | None,
    axis: Axes,
    eps: float,
    relu: bool,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor | None]:
    """In the gradient it is linear and, but for relu, its own adjoint: write P(g) for it.

    For x, <h, P(g)> = n r (mean(h g) - mean(h) mean(g) - mean(h xhat) mean(g xhat)), whose derivative is
    -r (xhat mean(h P(g)) + P(h) mean(g xhat) + P(g) mean(h xhat)). Here h is `g`, and P(g) is `out`.
    """
    m, r = mean, reciprocal_deviation
    if m is None or r is None:
        _, m, r = normalize.with_aux(x.detach(), axis=axis, eps=eps)
    passed = normalize_grad(g, x, m, r, axis=axis, eps=eps)
    centred = x - m
    for_grad = elementwise.relu_grad(passed, centred) if relu else passed
    if not needs[1]:
        return for_grad, None
    grad, xhat = elementwise.relu_grad(grad, centred) if relu else grad, centred * r
    shares = (
        xhat * _mean(g * out, axis)
        + passed * _mean(grad * xhat, axis)
        + out * _mean(g * xhat, axis)
    )
    return for_grad, -r * shares


normalize_grad.vjps(mean=None, reciprocal_deviation=None)


@normalize_grad.composed
def _(
    grad: Tensor,
    x: Tensor,
    mean: Any,
    reciprocal_deviation: Any,
    axis: Axes,
    eps: float,
    relu: bool,
) -> Tensor:
    """The same from primitives: what its own derivative is differentiated through."""
    centred = x - _mean(x, axis)
    r = 1 / sqrt(_mean(centred * centred, axis) + eps)
    xhat = centred * r
    if relu:
        grad = elementwise.relu_grad(grad, xhat)
    return r * (grad - _mean(grad, axis) - xhat * _mean(grad * xhat, axis))


def _mean(x: Tensor, axis: Axes) -> Tensor:
    return reduce.mean(x, axis=axis, keepdims=True)


def _check(name: str, x: Array, axis: int | Axes, eps: float, relu: bool) -> dict[str, Any]:
    axes = normal_axes(name, axis, x.shape)
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(
            f"{name}: x has shape {x.shape}, with no elements along axis {axis}; it needs at least one"
        )
    return {"axis": axes, "eps": number(name, "eps", eps), "relu": bool(relu)}


@normalize.check
def _(x: Array, axis: int | Axes, eps: float, relu: bool) -> dict[str, Any]:
    return _check("normalize", x, axis, eps, relu)


@normalize_grad.check
def _(
    grad: Array,
    x: Array,
    mean: Any,
    reciprocal_deviation: Any,
    axis: int | Axes,
    eps: float,
    relu: bool,
) -> dict[str, Any]:
    if np.shape(grad) != np.shape(x):
        raise ShapeError(
            f"normalize_grad: grad has shape {grad.shape}; x of {x.shape} needs the same"
        )
    return _check("normalize_grad", x, axis, eps, relu)


# ---------------------------------------------------------------------- as layers use it


def _affine(name: str, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """x times one weight, plus one bias, for each channel."""
    channels = (x.shape[1],)
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != channels:
            raise ShapeError(f"{name}: {what} has shape {t.shape}; x of {x.shape} needs {channels}")
    if weight is not None:
        x = x * reshape(weight, shape=(-1, 1, 1))
    return x if bias is None else x + reshape(bias, shape=(-1, 1, 1))


@says_what_it_takes
def instance_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
) -> Tensor:
    """Normalise each channel of each image over its pixels: x (N, C, H, W), weight and bias (C).

    With `relu`, the result is rectified; without weight and bias that is part of the same operation.

    Ulyanov, Vedaldi & Lempitsky 2016, equation 2.
    """
    x = as_operand("instance_norm", "x", x)
    check_image("instance_norm", "x", x._array)
    plain = weight is None and bias is None
    y = normalize(x, axis=(2, 3), eps=eps, relu=relu and plain)
    y = _affine("instance_norm", y, weight, bias)
    return elementwise.relu(y) if relu and not plain else y


@says_what_it_takes
def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over the batch and its pixels: x (N, C, H, W), the rest (C).

    With `training`, by the statistics of this batch, which are also mixed into the running ones
    (outside the graph; their variance divided by n - 1): running = (1 - momentum) running +
    momentum batch. Otherwise by the running statistics. Ioffe & Szegedy 2015, algorithms 1 and 2.
    """
    x = as_operand("batch_norm", "x", x)
    check_image("batch_norm", "x", x._array)
    channels = (x.shape[1],)
    for what, t in (("running_mean", running_mean), ("running_var", running_var)):
        if t is not None and t.shape != channels:
            raise ShapeError(
                f"batch_norm: {what} has shape {t.shape}; x of {x.shape} needs {channels}"
            )
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError(
                "batch_norm: without training it needs running_mean and running_var"
            )
        m, v = (reshape(t, shape=(-1, 1, 1)) for t in (running_mean, running_var))
        return _affine("batch_norm", (x - m) / sqrt(v + eps), weight, bias)
    n = x.numel() // max(x.shape[1], 1)
    if n < 2:
        raise ShapeError(
            f"batch_norm: x has shape {x.shape}; training needs more than one value per channel"
        )
    y, batch_mean, r = normalize.with_aux(x, axis=(0, 2, 3), eps=eps)
    # Of a batch in shards, only the first one counts: threads must not race for the statistics.
    if running_mean is not None and running_var is not None and mode.shard == 0:
        with no_grad():
            _mix(running_mean, batch_mean, momentum)
            _mix(running_var, (1 / (r * r) - eps) * (n / (n - 1)), momentum)
    return _affine("batch_norm", y, weight, bias)


def _mix(running: Tensor, batch: Tensor, momentum: float) -> None:
    running.copy_((1 - momentum) * running + momentum * reshape(batch, shape=(-1,)))
