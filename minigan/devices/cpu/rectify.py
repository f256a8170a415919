"""max(0, x) on the CPU, against a row of zeros; and what comes after a layer's products.

NumPy compares two arrays by vector instructions but an array and a number one element at a time, three
times slower (measured with NumPy 2.4). So the number is a row of zeros here, which the cache holds.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from minigan.devices import Array
from minigan.devices.cpu.layout import flat

_ROW = 4096


def relu(x: Array, out: Array | None = None) -> Array:
    """max(0, x), NaN staying NaN; `out` may be x itself."""
    if x.size < _ROW or x.dtype.kind != "f":
        return np.maximum(x, 0, out=out)
    y = np.empty_like(x) if out is None else out
    source, target = flat(x), flat(y)
    if source is None or target is None or x.strides != y.strides:
        return np.maximum(x, 0, out=y)
    whole = source.size // _ROW * _ROW
    if whole:
        rows = source[:whole].reshape(-1, _ROW), target[:whole].reshape(-1, _ROW)
        np.maximum(rows[0], _zeros(x.dtype), out=rows[1])
    if whole < source.size:
        np.maximum(source[whole:], 0, out=target[whole:])
    return y


def finish(y: Array, bias: Array | None, rectified: bool) -> None:
    """A layer's bias, then ReLU, in place: for a part of its result that the cache still holds."""
    if bias is not None:
        y += bias
    if rectified:
        relu(y, out=y)


@cache
def _zeros(dtype: np.dtype) -> Array:
    return np.zeros(_ROW, dtype)
