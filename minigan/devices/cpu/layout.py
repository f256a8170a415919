"""How arrays lie in memory: logically (N, C, H, W), mostly with the channels innermost.

Weights are logically (O, C, kh, kw); those of our layers lie as (kh, kw, C, O), for each tap a matrix
that BLAS can multiply by, and so do their gradients.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from minigan.devices import Array

# Numbers that are turned round together: those of a cache line. Otherwise each would come from, or go to,
# a line of its own, which takes up to four times as long.
_LINE = 16
_BLOCK = 64  # rows that BLAS sums in the array's own type


def channels_last(x: Array) -> Array | None:
    """(N, C, H, W) as a view (N, H, W, C), if it lies so in memory, without gaps."""
    if x.ndim != 4 or x.strides[1] != x.itemsize:
        return None
    view = x.transpose(0, 2, 3, 1)
    return view if view.flags.c_contiguous else None


def flat(x: Array) -> Array | None:
    """The elements as one axis, in the order of memory, if there are no gaps between them."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    order = sorted(range(x.ndim), key=lambda axis: -x.strides[axis])
    view = x.transpose(order)
    return view.reshape(-1) if view.flags.c_contiguous else None


def taps_first(weight: Array) -> Array:
    """(O, C, kh, kw) as a contiguous (kh, kw, C, O); no copy if it already lies so in memory."""
    if (view := weight.transpose(2, 3, 1, 0)).flags.c_contiguous:
        return view
    o, c, kh, kw = weight.shape
    taps = np.empty((kh, kw, c, o), weight.dtype)
    for i in range(0, o, _LINE):
        taps[..., i : i + _LINE] = weight[i : i + _LINE].transpose(2, 3, 1, 0)
    return taps


def taps_last(taps: Array) -> Array:
    """(kh, kw, C, O) as a view (O, C, kh, kw), a weight."""
    return taps.transpose(3, 2, 0, 1)


def column_sums(rows: Array) -> Array:
    """The sums over the middle axis of (n, rows, columns), which stays as size 1, in float64.

    Blocks of rows are summed by BLAS, many times faster than by NumPy's reduction; their sums are added
    in float64, so that rounding does not grow with the number of rows.
    """
    n, count, columns = rows.shape
    whole = count // _BLOCK * _BLOCK
    blocks = np.matmul(_ones(rows.dtype), rows[:, :whole].reshape(n, -1, _BLOCK, columns))
    sums = np.add.reduce(blocks, 1, np.float64, keepdims=True)
    if whole < count:
        sums += np.add.reduce(rows[:, whole:], 1, np.float64, keepdims=True)
    return sums


@cache
def _ones(dtype: np.dtype) -> Array:
    return np.ones(_BLOCK, dtype)
