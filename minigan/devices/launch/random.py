"""The host side of kernels/random.cu."""

from __future__ import annotations

import numpy as np

from minigan.devices.launch.elementwise import cast, contiguous
from minigan.devices.launch.kernel import Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import count_of

_THREADS, _NUMBERS_PER_BLOCK = 256, 8  # as in kernels/random.cu


def dropout_masked(device: Device, x: Array, state: Array, *, p: float) -> Array:
    """x / (1 - p) where the random number is at least p, 0 elsewhere (minigan.ops.random)."""
    x = x if x.dtype.kind == "f" else cast(device, x, dtype=np.dtype(np.float32))
    count = count_of("dropout_masked", x.shape)
    y = device.empty(x.shape, x.dtype)
    if count:
        kernel = Kernel("random.cu", "dropout_masked", "r:R r:u8 w:R R u8 i4")
        scale = 1 / (1 - p) if p < 1 else 1.0
        args = (contiguous(device, x), state, y, scale, round(p * 2**32), count)
        grid = blocks_for(count, _THREADS * _NUMBERS_PER_BLOCK)
        launch(device, kernel, x.dtype, grid, args, block=(_THREADS,))
    return y
