"""Convolution on the CPU, by the algorithm that conv_choice.py takes.

A result of Winograd's that is not finite is computed again directly: where an infinity or NaN stands in
the image, it would have spread over a tile.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from minigan.devices import Array
from minigan.devices.cpu import direct, unfold, winograd
from minigan.devices.cpu.conv_choice import (
    Call,
    choose,
    enlarged,
    of_conv2d,
    of_conv2d_dw,
    of_conv2d_dx,
)
from minigan.devices.cpu.pool import sum_pool2d
from minigan.devices.cpu.resize import upsample_nearest2d

Pair = tuple[int, int]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    upsample: Pair,
    rectified: bool = False,
    **how: Any,
) -> Array:
    """minigan.ops.conv.conv2d; the result mostly has its channels innermost in memory."""
    call = of_conv2d(x, weight, upsample=upsample, **how)
    algorithm = choose("conv2d", call).taken.name
    if algorithm == "winograd":
        doubled = _in_its_transforms(call, upsample)
        image = x if doubled else _upsampled(x, upsample)
        try:
            return winograd.conv2d(
                image, weight, bias, call.padding, doubled=doubled, rectified=rectified
            )
        except FloatingPointError:
            pass
    x = _upsampled(x, upsample)
    if algorithm == "unfold":
        return unfold.conv2d(x, weight, bias, call.stride, call.padding, call.out_size, rectified)
    return direct.conv2d(x, weight, bias, **how, rectified=rectified)


conv2d_relu = partial(conv2d, rectified=True)  # minigan.ops.conv.conv2d_relu


def conv2d_dx(grad: Array, weight: Array, *, input_size: Pair, upsample: Pair, **how: Any) -> Array:
    """minigan.ops.conv.conv2d_dx: at stride 1 a convolution with the kernel turned round."""
    call = of_conv2d_dx(grad, weight, input_size=input_size, upsample=upsample, **how)
    algorithm, turned = choose("conv2d_dx", call).taken.name, direct.turned(weight, call.groups)
    if algorithm == "winograd":
        halved = _in_its_transforms(call, upsample)
        try:
            x = winograd.conv2d(grad, turned, None, call.padding, halved=halved)
            return x if halved else _summed(x, upsample)
        except FloatingPointError:
            pass
    if algorithm == "unfold":
        x = unfold.conv2d(grad, turned, None, call.stride, call.padding, call.out_size)
    else:
        x = direct.conv2d_dx(grad, weight, input_size=enlarged(input_size, upsample), **how)
    return _summed(x, upsample)


def conv2d_dw(x: Array, grad: Array, *, kernel_size: Pair, upsample: Pair, **how: Any) -> Array:
    """minigan.ops.conv.conv2d_dw."""
    call = of_conv2d_dw(x, grad, kernel_size=kernel_size, upsample=upsample, **how)
    algorithm = choose("conv2d_dw", call).taken.name
    if algorithm == "winograd":
        doubled = _in_its_transforms(call, upsample)
        image = x if doubled else _upsampled(x, upsample)
        try:
            return winograd.conv2d_dw(image, grad, call.padding, doubled=doubled)
        except FloatingPointError:
            pass
    x = _upsampled(x, upsample)
    if algorithm == "unfold":
        return unfold.conv2d_dw(x, grad, kernel_size, call.stride, call.padding, call.out_size)
    return direct.conv2d_dw(x, grad, kernel_size=kernel_size, **how)


def _in_its_transforms(call: Call, upsample: Pair) -> bool:
    """Whether Winograd's transforms double the image themselves, or sum its gradient."""
    return upsample == (2, 2) and call.padding == (1, 1)


def _upsampled(x: Array, upsample: Pair) -> Array:
    return x if upsample == (1, 1) else upsample_nearest2d(x, upsample)


def _summed(x: Array, upsample: Pair) -> Array:
    """The adjoint of `_upsampled`."""
    return x if upsample == (1, 1) else sum_pool2d(x, upsample, upsample, (0, 0))
