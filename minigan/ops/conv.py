"""Convolution of images, a family of three operations that are each other's vjps.

    conv2d     y = x * w       the layer (a cross-correlation: the kernel is not flipped)
    conv2d_dx  x = y *^T w     its adjoint in x: the data gradient, and the transposed convolution
    conv2d_dw  w = x *^T y     its adjoint in w: the weight gradient

All three are linear in each argument, so every derivative of one is another, and gradients of any
order exist. `conv2d_relu` rectifies what conv2d gives.

The bodies here state the mathematics with one einsum over windows; what runs on the CPU
are the faster forms between which minigan/devices/cpu/conv.py chooses.

Shapes: x (N, C, H, W), weight (O, C / groups, kh, kw), bias (O), y (N, O, H', W') with
H' = (upsample H + 2 padding - dilation (kh - 1) - 1) // stride + 1.

With `upsample`, x is read as if each of its pixels had been repeated so many times in each direction,
by upsample_nearest2d: the two operations as one, which needs no large image between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError, ShapeError, brief
from minigan.core.op import op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Tensor
from minigan.devices.cpu import conv as cpu
from minigan.ops.checks import check_image, is_integer, pair, windows_along
from minigan.ops.elementwise import relu_grad
from minigan.ops.reduce import sum
from minigan.ops.shape import reshape

Pair = tuple[int, int]


def _windows(x: Array, kernel: Sequence[int], stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """Every window of the padded x: a view (N, C, H', W', kh, kw)."""
    (ph, pw), (sh, sw), (dh, dw) = padding, stride, dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    return sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]  # type: ignore[call-overload]


def _repeated(x: Array, times: Pair) -> Array:
    """Each pixel repeated; what upsample_nearest2d does."""
    return x.repeat(times[0], axis=2).repeat(times[1], axis=3)


def _enlarged(size: Sequence[int], times: Pair) -> Pair:
    """The size of images whose pixels are repeated."""
    return size[0] * times[0], size[1] * times[1]


def _grouped(array: Array, axis: int, groups: int) -> Array:
    """Split an axis of channels in two: (groups, channels of a group)."""
    shape = array.shape
    return array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


@op(flops=lambda out, x, weight, bias=None: 2 * prod(out) * prod(weight[1:]))
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    upsample: int | Pair = 1,
) -> Array:
    """y[n,o,p,q] = bias[o] + sum over c, i, j of x[n, c, s p + d i - pad, s q + d j - pad] w[o,c,i,j].

    x (N, C, H, W), weight (O, C / groups, kh, kw), bias (O) or None -> (N, O, H', W'). With groups,
    the channels are split and each group of outputs sees its own group of inputs. With upsample u, x
    is read at ((s p + d i - pad) // u, (s q + d j - pad) // u).
    """
    x = _repeated(x, upsample)  # type: ignore[arg-type]  # the check made pairs of all of these
    windows = _windows(x, weight.shape[2:], stride, padding, dilation)  # type: ignore[arg-type]
    xs, ws = _grouped(windows, 1, groups), _grouped(weight, 0, groups)
    y = np.einsum("ngcpqij,gocij->ngopq", xs, ws)
    y = y.reshape(y.shape[0], -1, *y.shape[3:])
    return y if bias is None else y + bias[:, None, None]


@op(flops=lambda out, x, weight, bias=None: 2 * prod(out) * prod(weight[1:]))
def conv2d_relu(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    upsample: int | Pair = 1,
) -> Array:
    """max(0, conv2d(...)) as one operation, which keeps nothing of what ReLU cuts off."""
    how = {"stride": stride, "padding": padding, "dilation": dilation}
    y = conv2d.forward(x, weight, bias, **how, groups=groups, upsample=upsample)
    return np.maximum(y, 0)


@op(linear=True, flops=lambda out, grad, weight: 2 * prod(grad) * prod(weight[1:]))
def conv2d_dx(
    grad: Array,
    weight: Array,
    *,
    input_size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    upsample: Pair = (1, 1),
) -> Array:
    """conv2d's adjoint in x: grad (N, O, H', W'), weight (O, C / groups, kh, kw) -> (N, C, H, W).

    `input_size` is (H, W); it cannot be derived from the rest, because with a stride of 2 two sizes
    of x lead to the same size of y.
    """
    (ph, pw), (sh, sw), (dh, dw) = padding, stride, dilation
    gs, ws = _grouped(grad, 1, groups), _grouped(weight, 0, groups)
    (n, _, _, out_h, out_w), (_, _, c, kh, kw) = gs.shape, ws.shape
    (uh, uw), (height, width) = upsample, _enlarged(input_size, upsample)
    padded = np.zeros((n, groups, c, height + 2 * ph, width + 2 * pw), np.result_type(grad, weight))
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + sh * out_h, sh)
            columns = slice(j * dw, j * dw + sw * out_w, sw)
            padded[..., rows, columns] += np.einsum("ngopq,goc->ngcpq", gs, ws[..., i, j])
    x = padded[..., ph : ph + height, pw : pw + width]
    blocks = x.reshape(n, groups * c, input_size[0], uh, input_size[1], uw)
    return blocks.sum(axis=(3, 5))


@op(linear=True, flops=lambda out, x, grad: 2 * prod(grad) * prod(out[1:]))
def conv2d_dw(
    x: Array,
    grad: Array,
    *,
    kernel_size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    upsample: Pair = (1, 1),
) -> Array:
    """conv2d's adjoint in w: x (N, C, H, W), grad (N, O, H', W') -> (O, C / groups, kh, kw)."""
    sh, sw = stride
    x = _repeated(x, upsample)
    out_h, out_w = grad.shape[2:]
    windows = _windows(x, kernel_size, (1, 1), padding, dilation)
    # With a stride, the last rows and columns of x may lie in no window.
    windows = windows[:, :, : sh * out_h : sh, : sw * out_w : sw]
    w = np.einsum("ngcpqij,ngopq->gocij", _grouped(windows, 1, groups), _grouped(grad, 1, groups))
    return w.reshape(-1, *w.shape[2:])


conv2d.kernel("cpu")(cpu.conv2d)
conv2d_relu.kernel("cpu")(cpu.conv2d_relu)
conv2d_dx.kernel("cpu")(cpu.conv2d_dx)
conv2d_dw.kernel("cpu")(cpu.conv2d_dw)

# ---------------------------------------------------------------------- the chain rule


# `how` is what the family shares: stride, padding, dilation, groups and upsample.

conv2d.vjps(
    x=lambda g, x_shape, weight, **how: conv2d_dx(g, weight, input_size=x_shape[2:], **how),
    weight=lambda g, x, weight_shape, **how: conv2d_dw(x, g, kernel_size=weight_shape[2:], **how),
    bias=lambda g: sum(g, axis=(0, 2, 3)),
)


@conv2d_relu.vjp("x", "weight", "bias")
def _(
    g: Tensor, out: Tensor, x: Tensor, weight: Tensor, needs: Sequence[bool], **how: Any
) -> tuple[Tensor | None, ...]:
    """The lines above, for what ReLU lets through of g."""
    g = relu_grad(g, out)
    return (
        conv2d_dx(g, weight, input_size=x.shape[2:], **how) if needs[0] else None,
        conv2d_dw(x, g, kernel_size=weight.shape[2:], **how) if needs[1] else None,
        sum(g, axis=(0, 2, 3)) if needs[2] else None,
    )


conv2d_dx.vjps(
    grad=lambda g, weight, input_size, **how: conv2d(g, weight, **how),
    weight=lambda g, grad, weight_shape, input_size, **how: conv2d_dw(
        g, grad, kernel_size=weight_shape[2:], **how
    ),
)

conv2d_dw.vjps(
    x=lambda g, x_shape, grad, kernel_size, **how: conv2d_dx(
        grad, g, input_size=x_shape[2:], **how
    ),
    grad=lambda g, x, kernel_size, **how: conv2d(x, g, **how),
)

# ---------------------------------------------------------------------- refusing bad calls


def _settings(
    name: str, stride: Any, padding: Any, dilation: Any, groups: Any, upsample: Any = 1
) -> dict[str, Any]:
    if not is_integer(groups) or groups < 1:
        raise ArgumentError(f"{name}: groups is {brief(groups)}; it needs a positive integer")
    return {
        "stride": pair(name, "stride", stride),
        "padding": pair(name, "padding", padding, at_least=0),
        "dilation": pair(name, "dilation", dilation),
        "groups": groups,
        "upsample": pair(name, "upsample", upsample),
    }


def _output_size(name: str, size: Sequence[int], kernel: Sequence[int], p: dict[str, Any]) -> Pair:
    seen = _enlarged(size, p["upsample"])
    out = tuple(
        windows_along(n, k, p["stride"][i], p["padding"][i], p["dilation"][i])
        for i, (n, k) in enumerate(zip(seen, kernel, strict=True))
    )
    if min(out) < 1:
        raise ShapeError(
            f"{name}: x is {seen[0]} x {seen[1]}; a {kernel[0]} x {kernel[1]} kernel with padding "
            f"{p['padding']} and dilation {p['dilation']} needs more"
        )
    return out  # type: ignore[return-value]


def _check_weight(name: str, weight: Array, groups: int) -> None:
    if np.ndim(weight) != 4 or min(weight.shape[2:]) < 1:
        raise ShapeError(
            f"{name}: weight has shape {np.shape(weight)}; it needs (O, C / groups, kh, kw) with a "
            "kernel of at least 1 x 1"
        )
    if weight.shape[0] % groups:
        raise ShapeError(
            f"{name}: weight has shape {weight.shape}; for {groups} groups it needs a first size "
            f"divisible by {groups}"
        )


def _check_convolution(
    name: str,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    upsample: Any,
) -> dict[str, Any]:
    p = _settings(name, stride, padding, dilation, groups, upsample)
    check_image(name, "x", x)
    _check_weight(name, weight, groups)
    channels = weight.shape[1] * groups
    if x.shape[1] != channels:
        raise ShapeError(
            f"{name}: x has shape {x.shape}; for weight of shape {weight.shape} and groups = "
            f"{groups} it needs (N, {channels}, H, W)"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(f"{name}: bias has shape {bias.shape}; it needs ({weight.shape[0]},)")
    _output_size(name, x.shape[2:], weight.shape[2:], p)
    return p


conv2d.check(partial(_check_convolution, "conv2d"))
conv2d_relu.check(partial(_check_convolution, "conv2d_relu"))


@conv2d_dx.check
def _(
    grad: Array,
    weight: Array,
    input_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    upsample: Any,
) -> dict[str, Any]:
    p = _settings("conv2d_dx", stride, padding, dilation, groups, upsample)
    check_image("conv2d_dx", "grad", grad)
    _check_weight("conv2d_dx", weight, groups)
    size = pair("conv2d_dx", "input_size", input_size)
    out = _output_size("conv2d_dx", size, weight.shape[2:], p)
    if grad.shape[1:] != (weight.shape[0], *out):
        raise ShapeError(
            f"conv2d_dx: grad has shape {grad.shape}; for weight of shape {weight.shape} and an "
            f"input of {size} it needs (N, {weight.shape[0]}, {out[0]}, {out[1]})"
        )
    return {**p, "input_size": size}


@conv2d_dw.check
def _(
    x: Array,
    grad: Array,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    upsample: Any,
) -> dict[str, Any]:
    p = _settings("conv2d_dw", stride, padding, dilation, groups, upsample)
    check_image("conv2d_dw", "x", x)
    check_image("conv2d_dw", "grad", grad)
    kernel = pair("conv2d_dw", "kernel_size", kernel_size)
    out = _output_size("conv2d_dw", x.shape[2:], kernel, p)
    if x.shape[0] != grad.shape[0] or grad.shape[2:] != out:
        raise ShapeError(
            f"conv2d_dw: grad has shape {grad.shape}; for x of shape {x.shape} it needs "
            f"({x.shape[0]}, O, {out[0]}, {out[1]})"
        )
    if x.shape[1] % groups or grad.shape[1] % groups:
        raise ShapeError(
            f"conv2d_dw: x has shape {x.shape} and grad {grad.shape}; {groups} groups need channels "
            f"divisible by {groups}"
        )
    return {**p, "kernel_size": kernel}


# ---------------------------------------------------------------------- transposed convolution


@says_what_it_takes
def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """The adjoint of conv2d as a layer: x (N, C, H, W), weight (C, O / groups, kh, kw) -> (N, O, H', W').

    H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1. The output padding says
    which of the sizes that conv2d would bring to H is meant; it needs to be smaller than the stride.
    """
    name = "conv_transpose2d"
    x, weight = as_operand(name, "x", x), as_operand(name, "weight", weight)
    bias = None if bias is None else as_operand(name, "bias", bias)
    p = _settings(name, stride, padding, dilation, groups)
    extra = pair(name, "output_padding", output_padding, at_least=0)
    check_image(name, "x", x._array)
    _check_weight(name, weight._array, groups)
    if x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"{name}: x has shape {x.shape}; for weight of shape {weight.shape} it needs "
            f"(N, {weight.shape[0]}, H, W)"
        )
    if any(e >= s for e, s in zip(extra, p["stride"], strict=True)):
        raise ArgumentError(
            f"{name}: output_padding is {extra}; it needs to be smaller than stride {p['stride']}"
        )
    size = tuple(
        (n - 1) * s - 2 * pad + d * (k - 1) + e + 1
        for n, s, pad, d, k, e in zip(
            x.shape[2:],
            p["stride"],
            p["padding"],
            p["dilation"],
            weight.shape[2:],
            extra,
            strict=True,
        )
    )
    if min(size) < 1:
        raise ShapeError(f"{name}: x of shape {x.shape} would give an output of {size} pixels")
    y = conv2d_dx(x, weight, input_size=size, **p)
    if bias is None:
        return y
    if bias.shape != (y.shape[1],):
        raise ShapeError(f"{name}: bias has shape {bias.shape}; it needs ({y.shape[1]},)")
    return y + reshape(bias, shape=(-1, 1, 1))
