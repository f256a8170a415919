"""Normalisation on the CPU, fused: the statistics once, and few passes over the data."""

from __future__ import annotations

import math

import numpy as np

from minigan.devices import Array

Axes = tuple[int, ...]


def normalize(x: Array, axis: Axes, eps: float) -> tuple[Array, Array, Array]:
    """minigan.ops.norm.normalize: the result, the mean and 1 / sqrt(var + eps).

    The variance is taken of the centred values: E[x^2] - m^2 would cancel.
    """
    m = x.mean(axis=axis, keepdims=True)
    y = x - m
    v = np.square(y).mean(axis=axis, keepdims=True)
    r = 1 / np.sqrt(v + x.dtype.type(eps))
    y *= r
    return y, m, r


def normalize_grad(grad: Array, x: Array, m: Array, r: Array, axis: Axes) -> Array:
    """minigan.ops.norm.normalize_grad: r (g - mean(g) - xhat mean(g xhat))."""
    scale = x.dtype.type(1 / math.prod(x.shape[a] for a in axis))
    xhat = x - m
    xhat *= r
    g_mean = grad.sum(axis=axis, keepdims=True) * scale
    g_xhat = (grad * xhat).sum(axis=axis, keepdims=True) * scale
    xhat *= -g_xhat
    xhat += grad
    xhat -= g_mean
    xhat *= r
    return xhat
