"""The host side of kernels/resize.cu. Arguments as minigan.ops.resize has checked them."""

from __future__ import annotations

import math

import numpy as np

from minigan.devices.launch.elementwise import cast, contiguous
from minigan.devices.launch.kernel import C_TYPES, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import count_of

Pair = tuple[int, int]

_AXIS = np.dtype([("size", "i4"), ("new_size", "i4")])  # the structure Axis of kernels/resize.cu
_BILINEAR = f"r:R w:R s{_AXIS.itemsize} s{_AXIS.itemsize} i4 i4"

# As many blocks as keep a large GPU busy; beyond that, threads do better to reuse their weights.
_ENOUGH_BLOCKS = 2048


def upsample_nearest2d(device: Device, x: Array, *, scale_factor: Pair) -> Array:
    """Each pixel repeated."""
    n, c, h, w = x.shape
    shape = (n, c, h * scale_factor[0], w * scale_factor[1])
    count = count_of("upsample_nearest2d", shape)
    y = device.empty(shape, x.dtype)
    if count:
        kernel = Kernel("resize.cu", "upsample_nearest2d", "r:R w:R i4 i4 i4 i4", tuple(C_TYPES))
        args = (contiguous(device, x), y, w, *scale_factor, count)
        launch(device, kernel, x.dtype, blocks_for(count), args)
    return y


def upsample_bilinear2d(device: Device, x: Array, *, size: Pair) -> Array:
    """x interpolated linearly along both axes."""
    x = x if x.dtype.kind == "f" else cast(device, x, dtype=np.dtype(np.float32))
    return _bilinear(device, "upsample_bilinear2d", x, x.shape[2:], size, size)


def upsample_bilinear2d_dx(device: Device, grad: Array, *, input_size: Pair) -> Array:
    """The adjoint of upsample_bilinear2d."""
    size = grad.shape[2:]
    return _bilinear(device, "upsample_bilinear2d_dx", grad, input_size, size, input_size)


def _bilinear(
    device: Device, symbol: str, x: Array, size: Pair, new_size: Pair, result_size: Pair
) -> Array:
    """Launch one of the two, between images of `size` and of `new_size`, whichever is the result."""
    shape = (*x.shape[:2], *result_size)
    y = device.empty(shape, x.dtype)
    if count_of(symbol, shape):
        rows, columns = (np.array(sizes, _AXIS) for sizes in zip(size, new_size, strict=True))
        planes, pixels = math.prod(shape[:2]), math.prod(result_size)
        (blocks,) = blocks_for(pixels)
        grid = (blocks, max(1, min(planes, _ENOUGH_BLOCKS // blocks)))
        args = (contiguous(device, x), y, rows, columns, planes, pixels)
        launch(device, Kernel("resize.cu", symbol, _BILINEAR), x.dtype, grid, args)
    return y
