"""Padding on the CPU: the memory layout of the image is kept."""

from __future__ import annotations

import numpy as np

from minigan.devices import Array
from minigan.devices.cpu.layout import channels_last


def zero_pad2d(x: Array, padding: tuple[int, int, int, int]) -> Array:
    """minigan.ops.pad.zero_pad2d: (left, right, top, bottom) pixels of zeros."""
    left, right, top, bottom = padding
    (n, c, h, w), last = x.shape, channels_last(x) is not None
    height, width = h + top + bottom, w + left + right
    if last:
        out = np.zeros((n, height, width, c), x.dtype).transpose(0, 3, 1, 2)
    else:
        out = np.zeros((n, c, height, width), x.dtype)
    out[:, :, top : top + h, left : left + w] = x
    return out


def gathered(x: Array, rows: Array, columns: Array) -> Array:
    """x[:, :, rows][..., columns]: the image (N, C, H, W) that shows these rows and columns of x."""
    last = channels_last(x)
    if last is None:
        return x.take(rows, axis=2).take(columns, axis=3)
    return last.take(rows, axis=1).take(columns, axis=2).transpose(0, 3, 1, 2)
