"""The host side of kernels/norm.cu: which version normalises which rows, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.devices.launch.elementwise import contiguous
from minigan.devices.launch.kernel import THREADS, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.layout import address
from minigan.devices.launch.reduce import (
    PACKED_ROWS,
    WARP,
    WARP_LENGTH,
    Axes,
    Plan,
    Rows,
    floating,
    parts_of_rows,
    rows_of,
)

PLANE_LENGTH = 256  # from which a contiguous row keeps a block busy
MOST_SHARED = 47 << 10  # bytes: of the 48 KiB that a block gets unasked, kernels use some for sums
AT_ONCE = 4  # elements that a thread loads, from addresses that are
ALIGNED = 16  # multiples of so many bytes


def normalize(
    device: Device, x: Array, *, axis: Axes, eps: float, relu: bool
) -> tuple[Array, Array, Array]:
    """(x - mean) r over axes, rectified on request; the mean and r, both with the axes kept."""
    x = contiguous(device, floating(device, x))
    y = device.empty(x.shape, x.dtype)
    kept = tuple(1 if a in axis else n for a, n in enumerate(x.shape))
    mean, r = device.empty(kept, x.dtype), device.empty(kept, x.dtype)
    if not y.size:
        return y, mean, r
    rows = rows_of("normalize", x, axis)
    how = plan(rows, x.itemsize, _aligned(x, y), arrays=1)
    run = _Runner(device, "normalize", x.dtype, how)
    if how.version == "in_parts":
        parts = device.empty((rows.count * how.parts * _MOMENTS,), x.dtype)
        accumulated = f"s{_MOMENTS * x.itemsize}"
        run("in_parts", f"r:R w:{accumulated} {PACKED_ROWS}", (x, parts, rows.packed))
        signature = f"r:R r:{accumulated} w:R w:R w:R {PACKED_ROWS} R b1"
        run("apply", signature, (x, parts, y, mean, r, rows.packed, eps, relu))
    elif how.version == "plane":
        args = (x, y, mean, r, rows.length, eps, relu)
        run("plane", "r:R w:R w:R w:R i4 R b1", args, shared=rows.length * x.itemsize)
    else:
        args = (x, y, mean, r, rows.packed, eps, relu)
        run(how.version, f"r:R w:R w:R w:R {PACKED_ROWS} R b1", args)
    return y, mean, r


def normalize_grad(
    device: Device,
    grad: Array,
    x: Array,
    mean: Array | None,
    reciprocal_deviation: Array | None,
    *,
    axis: Axes,
    eps: float,
    relu: bool,
) -> Array:
    """What flows back through normalize: r (g - mean(g) - xhat mean(g xhat))."""
    if mean is None or reciprocal_deviation is None:
        _, mean, reciprocal_deviation = normalize(device, x, axis=axis, eps=eps, relu=False)
    grad, x, mean, r = (contiguous(device, a) for a in (grad, x, mean, reciprocal_deviation))
    dx = device.empty(x.shape, x.dtype)
    if not dx.size:
        return dx
    rows = rows_of("normalize_grad", x, axis)
    how = plan(rows, x.itemsize, _aligned(grad, x, dx), arrays=2)
    run = _Runner(device, "normalize_grad", x.dtype, how)
    inputs = (grad, x, mean, r)
    if how.version == "in_parts":
        parts = device.empty((rows.count * how.parts * _GRADIENT_SUMS,), x.dtype)
        accumulated = f"s{_GRADIENT_SUMS * x.itemsize}"
        signature = f"r:R r:R r:R r:R w:{accumulated} {PACKED_ROWS} b1"
        run("in_parts", signature, (*inputs, parts, rows.packed, relu))
        signature = f"r:R r:R r:R r:R r:{accumulated} w:R {PACKED_ROWS} b1"
        run("apply", signature, (*inputs, parts, dx, rows.packed, relu))
    elif how.version == "plane":
        shared = 2 * rows.length * x.itemsize
        args = (*inputs, dx, rows.length, relu)
        run("plane", "r:R r:R r:R r:R w:R i4 b1", args, shared)
    else:
        args = (*inputs, dx, rows.packed, relu)
        run(how.version, f"r:R r:R r:R r:R w:R {PACKED_ROWS} b1", args)
    return dx


# The numbers in the accumulators Moments of kernels/reduction.cuh and GradientSums of norm.cu.
_MOMENTS, _GRADIENT_SUMS = 4, 2


def plan(rows: Rows, itemsize: int, aligned: bool, arrays: int) -> Plan:
    """The version for these rows, of which a block keeps `arrays` copies in shared memory."""
    parts = parts_of_rows(rows.count, rows.length)
    if parts > 1:
        return Plan("in_parts", (rows.count, parts), (THREADS,), parts)
    size = rows.length * itemsize
    if (
        rows.contiguous
        and aligned
        and rows.length >= PLANE_LENGTH
        and rows.length % AT_ONCE == 0
        and arrays * size <= MOST_SHARED
    ):
        return Plan("plane", (rows.count,), (THREADS,))
    if rows.length <= WARP_LENGTH:
        return Plan("by_warp", blocks_for(rows.count * WARP), (THREADS,))
    return Plan("by_block", (rows.count,), (THREADS,))


def _aligned(*arrays: Array) -> bool:
    """Whether all begin where several elements can be loaded at once."""
    return all(address(a) % ALIGNED == 0 for a in arrays)


class _Runner:
    """Launches the kernels of one operation with the grid and block of its plan."""

    def __init__(self, device: Device, operation: str, dtype: np.dtype, how: Plan):
        self.device, self.operation, self.dtype, self.how = device, operation, dtype, how

    def __call__(self, version: str, signature: str, args: Sequence[Any], shared: int = 0) -> None:
        kernel = Kernel("norm.cu", f"{self.operation}_{version}", signature)
        how = self.how
        launch(self.device, kernel, self.dtype, how.grid, args, how.block, shared)
