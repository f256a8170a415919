"""Convolution on the CPU, by the algorithm that conv_choice.py takes.

A result of Winograd's that is not finite is computed again directly: where an infinity or NaN stands in
the image, it would have spread over a tile.
"""

from __future__ import annotations

from typing import Any

from minigan.devices import Array
from minigan.devices.cpu import direct, unfold, winograd
from minigan.devices.cpu.conv_choice import Call, choose, of_conv2d, of_conv2d_dw, of_conv2d_dx

Pair = tuple[int, int]


def conv2d(x: Array, weight: Array, bias: Array | None = None, **how: Any) -> Array:
    """minigan.ops.conv.conv2d; the result mostly has its channels innermost in memory."""
    y = _by_another("conv2d", of_conv2d(x, weight, **how), x, weight, bias)
    return direct.conv2d(x, weight, bias, **how) if y is None else y


def conv2d_dx(grad: Array, weight: Array, *, input_size: Pair, **how: Any) -> Array:
    """minigan.ops.conv.conv2d_dx: at stride 1 a convolution with the kernel turned round."""
    call = of_conv2d_dx(grad, weight, input_size=input_size, **how)
    y = _by_another("conv2d_dx", call, grad, direct.turned(weight, call.groups), None)
    return direct.conv2d_dx(grad, weight, input_size=input_size, **how) if y is None else y


def conv2d_dw(x: Array, grad: Array, *, kernel_size: Pair, **how: Any) -> Array:
    """minigan.ops.conv.conv2d_dw."""
    call = of_conv2d_dw(x, grad, kernel_size=kernel_size, **how)
    algorithm = choose("conv2d_dw", call).taken.name
    if algorithm == "unfold":
        return unfold.conv2d_dw(x, grad, kernel_size, call.stride, call.padding, call.out_size)
    if algorithm == "winograd":
        try:
            return winograd.conv2d_dw(x, grad, call.padding)
        except FloatingPointError:
            pass
    return direct.conv2d_dw(x, grad, kernel_size=kernel_size, **how)


def _by_another(
    operation: str, call: Call, x: Array, weight: Array, bias: Array | None
) -> Array | None:
    """The convolution, if another algorithm than the direct one is taken and gives finite numbers."""
    algorithm = choose(operation, call).taken.name
    if algorithm == "unfold":
        return unfold.conv2d(x, weight, bias, call.stride, call.padding, call.out_size)
    if algorithm == "winograd":
        try:
            return winograd.conv2d(x, weight, bias, call.padding)
        except FloatingPointError:
            pass
    return None
