"""Normalisation on the CPU, fused: the statistics once, and few passes over the data."""

from __future__ import annotations

import numpy as np

from minigan.devices import Array

Axes = tuple[int, ...]


def normalize(x: Array, axis: Axes, eps: float, relu: bool = False) -> tuple[Array, Array, Array]:
    """minigan.ops.norm.normalize: the result, the mean and 1 / sqrt(var + eps).

    The variance is taken of the centred values: E[x^2] - m^2 would cancel.
    """
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
    xhat = x - m
    xhat *= r
    if relu:
        grad = grad * (xhat > 0)
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
