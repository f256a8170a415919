"""Adam's step on the CPU: a piece of every array at a time, so that all passes but one meet the cache.

Cost for each parameter: 4 numbers read, 3 written, some 13 FLOPs; the limit is the bandwidth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minigan.devices import Array
from minigan.devices.cpu.layout import flat

_PIECE = 1 << 15  # numbers: five arrays of so many fit into a second-level cache


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """The t-th step of minigan.optim.Adam, in place; arrays of one shape (Kingma & Ba 2015, algorithm 1).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    w <- w - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
    """
    rate, scaling = lr / (1 - betas[0] ** t), 1 / math.sqrt(1 - betas[1] ** t)
    for weight, grad, mean, square, s in _pieces(w, g, m, v, np.empty_like(w)):
        mean *= betas[0]
        mean += np.multiply(grad, 1 - betas[0], out=s)
        square *= betas[1]
        np.multiply(grad, 1 - betas[1], out=s)
        s *= grad
        square += s
        np.sqrt(square, out=s)
        s *= scaling
        s += eps
        np.divide(mean, s, out=s)
        s *= rate
        weight -= s


def _pieces(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The same pieces of all arrays, if they lie in memory alike, without gaps; else all as they are."""
    views = [flat(a) for a in arrays]
    alike = all(a.strides == arrays[0].strides for a in arrays)
    if not alike or any(view is None for view in views):
        yield arrays
        return
    for first in range(0, arrays[0].size, _PIECE):
        yield tuple(view[first : first + _PIECE] for view in views if view is not None)
