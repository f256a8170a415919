"""The host side of kernels/pool.cu. Arguments as minigan.ops.pool has checked them."""

from __future__ import annotations

import math

import numpy as np

from minigan.devices.launch.elementwise import cast, contiguous
from minigan.devices.launch.kernel import C_TYPES, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import count_of

Pair = tuple[int, int]

# The structure Windows of kernels/pool.cu: pairs are (vertical, horizontal).
_WINDOWS = np.dtype([(name, "i4", 2) for name in ("size", "out", "kernel", "stride", "padding")])
_LAYOUT = f"s{_WINDOWS.itemsize}"
_ANY = tuple(C_TYPES)

_MAX_POOL = Kernel("pool.cu", "max_pool2d", f"r:R w:R w:i8 {_LAYOUT} i4", _ANY)
_SUM_POOL = Kernel("pool.cu", "sum_pool2d", f"r:R w:R {_LAYOUT} i4", _ANY)
_SUM_POOL_DX = Kernel("pool.cu", "sum_pool2d_dx", f"r:R w:R {_LAYOUT} i4", _ANY)
_GATHER = Kernel("pool.cu", "gather2d", "r:R r:i8 w:R i4 i4 i4", _ANY)
_BEGIN = Kernel("pool.cu", "scatter2d_begin", "w:i4 i4", _ANY)
_LINK = Kernel("pool.cu", "scatter2d_link", "r:i8 w:i4 w:i4 i4 i4 i4", _ANY)
_SUM = Kernel("pool.cu", "scatter2d_sum", "r:R r:i4 r:i4 w:R i4", _ANY)


def max_pool2d(
    device: Device, x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair
) -> tuple[Array, Array]:
    """The largest element of each window, and the index row W + column of each in x."""
    windows = _windows(x.shape[2:], kernel_size, stride, padding)
    shape = (*x.shape[:2], *windows["out"].tolist())
    count_of("max_pool2d", x.shape)
    y, indices = device.empty(shape, x.dtype), device.empty(shape, np.int64)
    if y.size:
        args = (contiguous(device, x), y, indices, windows, y.size)
        launch(device, _MAX_POOL, x.dtype, blocks_for(y.size), args)
    return y, indices


def sum_pool2d(
    device: Device, x: Array, *, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """The sum over each window."""
    windows = _windows(x.shape[2:], kernel_size, stride, padding)
    count_of("sum_pool2d", x.shape)
    y = device.empty((*x.shape[:2], *windows["out"].tolist()), x.dtype)
    if y.size:
        args = (contiguous(device, x), y, windows, y.size)
        launch(device, _SUM_POOL, x.dtype, blocks_for(y.size), args)
    return y


def sum_pool2d_dx(
    device: Device, grad: Array, *, input_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """sum_pool2d's adjoint."""
    windows = _windows(input_size, kernel_size, stride, padding)
    shape = (*grad.shape[:2], *input_size)
    count_of("sum_pool2d_dx", shape)
    y = device.empty(shape, grad.dtype)
    if y.size:
        args = (contiguous(device, grad), y, windows, y.size)
        launch(device, _SUM_POOL_DX, grad.dtype, blocks_for(y.size), args)
    return y


def gather2d(device: Device, x: Array, indices: Array) -> Array:
    """The elements of each plane of x at `indices`."""
    count_of("gather2d", indices.shape)
    y = device.empty(indices.shape, x.dtype)
    if y.size:
        sizes = math.prod(indices.shape[2:]), math.prod(x.shape[2:]), y.size
        args = (contiguous(device, x), _long(device, indices), y, *sizes)
        launch(device, _GATHER, x.dtype, blocks_for(y.size), args)
    return y


def scatter2d(device: Device, grad: Array, indices: Array, *, input_size: Pair) -> Array:
    """Zeros with each element of `grad` added at its index."""
    shape = (*grad.shape[:2], *input_size)
    pixels, windows = count_of("scatter2d", shape), count_of("scatter2d", grad.shape)
    y = device.empty(shape, grad.dtype)
    first, following = device.empty((pixels,), np.int32), device.empty((windows,), np.int32)
    if pixels:
        launch(device, _BEGIN, grad.dtype, blocks_for(pixels), (first, pixels))
        if windows:
            sizes = math.prod(grad.shape[2:]), math.prod(input_size), windows
            args = (_long(device, indices), first, following, *sizes)
            launch(device, _LINK, grad.dtype, blocks_for(windows), args)
        args = (contiguous(device, grad), first, following, y, pixels)
        launch(device, _SUM, grad.dtype, blocks_for(pixels), args)
    return y


def _windows(size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> np.ndarray:
    """The structure Windows for planes of `size`."""
    out = tuple(
        (n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    )
    return np.array((size, out, kernel, stride, padding), _WINDOWS)


def _long(device: Device, indices: Array) -> Array:
    """Indices as the kernels take them: contiguous, of 64 bits."""
    if indices.dtype != np.int64:
        return cast(device, indices, dtype=np.dtype(np.int64))
    return contiguous(device, indices)
