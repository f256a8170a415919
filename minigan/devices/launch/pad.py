"""The host side of kernels/pad.cu. Arguments as minigan.ops.pad has checked them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan.devices.launch.elementwise import contiguous
from minigan.devices.launch.kernel import C_TYPES, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import count_of

Sides = tuple[int, int, int, int]  # left, right, top, bottom

# The structure Padding of kernels/pad.cu: height and width without padding, and the sides.
_PADDING = np.dtype([("size", "i4", 2), ("sides", "i4", 4)])
_SIGNATURE = f"r:R w:R s{_PADDING.itemsize} i4"


def padded(symbol: str) -> Callable[..., Array]:
    """x with rows and columns around it."""
    kernel = Kernel("pad.cu", symbol, _SIGNATURE, tuple(C_TYPES))

    def run(device: Device, x: Array, *, padding: Sides) -> Array:
        left, right, top, bottom = padding
        n, c, h, w = x.shape
        shape = (n, c, top + h + bottom, left + w + right)
        return _launch(device, kernel, x, shape, (h, w), padding)

    return run


def reflection_pad2d_dx(
    device: Device, grad: Array, *, input_size: tuple[int, int], padding: Sides
) -> Array:
    """The adjoint of reflection_pad2d."""
    kernel = Kernel("pad.cu", "reflection_pad2d_dx", _SIGNATURE, tuple(C_TYPES))
    shape = (*grad.shape[:2], *input_size)
    return _launch(device, kernel, grad, shape, input_size, padding)


def _launch(
    device: Device,
    kernel: Kernel,
    x: Array,
    shape: tuple[int, ...],
    size: tuple[int, int],
    sides: Sides,
) -> Array:
    """Let the kernel make a result of `shape` from x, for images of `size` without padding."""
    count = count_of(kernel.symbol, shape)
    y = device.empty(shape, x.dtype)
    if count:
        args = (contiguous(device, x), y, np.array((size, sides), _PADDING), count)
        launch(device, kernel, x.dtype, blocks_for(count), args)
    return y
