"""Normalisation on the CPU, fused: the statistics once, and few passes over the data.

Where the channels lie innermost in memory, an image is a matrix (pixels, channels), and one after the
other is normalised while the cache holds it. Its column sums are products with a row of ones, which BLAS
computes at the speed of memory.

Cost for each element: forward, 1 value read and 1 written as memory sees it (the other passes meet the
cache) and some 7 FLOPs; backward, 2 read and 1 written and some 12 FLOPs. The limit is the bandwidth.
"""

from __future__ import annotations

import numpy as np

from minigan.devices import Array
from minigan.devices.cpu.layout import channels_last, column_sums
from minigan.devices.cpu.rectify import relu as relu_of
from minigan.devices.cpu.select import kept_where
from minigan.devices.cpu.threads import share_out

Axes = tuple[int, ...]

_PART_BYTES = 1 << 18  # of images that are normalised together: the cache holds some copies
_SECONDS_EACH = 1.2e-9  # for a number, on one thread


def normalize(x: Array, axis: Axes, eps: float, relu: bool = False) -> tuple[Array, Array, Array]:
    """minigan.ops.norm.normalize: the result, the mean and 1 / sqrt(var + eps).

    The variance is taken of the centred values: E[x^2] - m^2 would cancel.
    """
    groups = _pixels_by_channels(x, axis)
    if groups is not None:
        return _normalize_columns(x, groups, axis, eps, relu)
    m = _mean(x, axis)
    y = x - m
    r = 1 / np.sqrt(_mean(np.square(y), axis) + x.dtype.type(eps))
    y *= r
    if relu:
        np.maximum(y, 0, out=y)
    return y, m, r


def normalize_grad(
    grad: Array, x: Array, m: Array, r: Array, axis: Axes, relu: bool = False
) -> Array:
    """minigan.ops.norm.normalize_grad: r (g - mean(g) - xhat mean(g xhat))."""
    groups = _pixels_by_channels(x, axis)
    if groups is not None and grad.dtype == x.dtype:
        return _normalize_columns_grad(grad, x, groups, m, r, relu)
    xhat = x - m
    xhat *= r
    if relu:
        grad = kept_where(xhat > 0, grad)
    g_mean, g_xhat = _mean(grad, axis), _mean(grad * xhat, axis)
    xhat *= -g_xhat
    xhat += grad
    xhat -= g_mean
    xhat *= r
    return xhat


def _mean(x: Array, axis: Axes) -> Array:
    """The mean over axes, which stay as size 1.

    Summed in float64: where the channels lie innermost, NumPy adds one value after the other, and
    float32 would lose digits to that.
    """
    return x.mean(axis=axis, keepdims=True, dtype=np.float64).astype(x.dtype, copy=False)


# ---------------------------------------------------------------------- channels innermost


def _pixels_by_channels(x: Array, axis: Axes) -> Array | None:
    """A view (groups, pixels, C) of what shares statistics in columns; None for other layouts or axes."""
    last = channels_last(x)
    if last is None:
        return None
    n, h, w, c = last.shape
    shapes = {(2, 3): (n, h * w, c), (0, 2, 3): (1, n * h * w, c)}
    return last.reshape(shapes[axis]) if axis in shapes else None


def _normalize_columns(
    x: Array, groups: Array, axis: Axes, eps: float, relu: bool
) -> tuple[Array, Array, Array]:
    count, pixels, c = groups.shape
    y = np.empty_like(groups)
    m, r = np.empty((count, 1, c), x.dtype), np.empty((count, 1, c), x.dtype)
    parts = _parts(groups)

    def compute(i: int) -> None:
        part = parts[i]
        target, mean, scale = y[part], m[part], r[part]
        mean[...] = column_sums(groups[part]) / pixels
        np.subtract(groups[part], mean, out=target)
        scale[...] = 1 / np.sqrt(column_sums(np.square(target)) / pixels + eps)
        target *= scale
        if relu:
            relu_of(target, out=target)

    share_out(compute, len(parts), groups.size * _SECONDS_EACH)
    shape = tuple(1 if a in axis else size for a, size in enumerate(x.shape))
    return _as_image(y, x), m.reshape(shape), r.reshape(shape)


def _normalize_columns_grad(
    grad: Array, x: Array, groups: Array, m: Array, r: Array, relu: bool
) -> Array:
    """With xc = x - m: r g - r mean(g) - xc r^3 mean(g xc)."""
    count, pixels, c = groups.shape
    g = np.ascontiguousarray(grad.transpose(0, 2, 3, 1)).reshape(groups.shape)
    means, scales = m.reshape(count, 1, c), r.reshape(count, 1, c)
    dx = np.empty_like(groups)
    parts = _parts(groups)

    def compute(i: int) -> None:
        part = parts[i]
        target, scale = dx[part], scales[part]
        centred = groups[part] - means[part]
        kept = kept_where(centred > 0, g[part]) if relu else g[part]
        g_mean = column_sums(kept) / pixels
        np.multiply(kept, centred, out=target)
        g_centred = column_sums(target) / pixels
        np.multiply(kept, scale, out=target)
        centred *= (scale**3 * g_centred).astype(x.dtype)
        target -= centred
        target -= (scale * g_mean).astype(x.dtype)

    share_out(compute, len(parts), groups.size * _SECONDS_EACH)
    return _as_image(dx, x)


def _parts(groups: Array) -> list[slice]:
    """As many groups at a time as the cache holds with what is computed from them."""
    count, pixels, c = groups.shape
    each = max(1, _PART_BYTES // max(1, pixels * c * groups.itemsize))
    return [slice(first, first + each) for first in range(0, count, each)]


def _as_image(groups: Array, like: Array) -> Array:
    n, c, h, w = like.shape
    return groups.reshape(n, h, w, c).transpose(0, 3, 1, 2)
