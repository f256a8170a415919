"""How arrays lie in memory: logically (N, C, H, W), mostly with the channels innermost."""

from __future__ import annotations

import numpy as np

from minigan.devices import Array

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


def column_sums(rows: Array) -> Array:
    """The sum over the first axis of (rows, columns), in float64.

    Blocks of rows are summed by BLAS, many times faster than by NumPy's reduction; their sums are added
    in float64, so that rounding does not grow with the number of rows.
    """
    whole = len(rows) // _BLOCK * _BLOCK
    ones = np.ones(_BLOCK, rows.dtype)
    blocks = np.matmul(ones, rows[:whole].reshape(-1, _BLOCK, rows.shape[1]))
    sums = blocks.sum(axis=0, dtype=np.float64)
    return sums + rows[whole:].sum(axis=0, dtype=np.float64) if whole < len(rows) else sums
