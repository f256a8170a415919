"""The host side of kernels/reduce.cu and statistics.cu: which version reduces which rows, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.devices.launch.elementwise import cast
from minigan.devices.launch.kernel import (
    C_TYPES,
    REAL_TYPES,
    THREADS,
    Array,
    Device,
    Kernel,
    blocks_for,
    launch,
)
from minigan.devices.launch.layout import LAYOUT, layout, memory

Axes = tuple[int, ...]

WARP = 32
COLUMN_WARPS = 8  # as in kernels/reduction.cuh

# Where one version hands over to the next, in elements of a row.
THREAD_LENGTH = 16
WARP_LENGTH = 1024
# Rows are divided where that keeps the GPU's processors busy and leaves each block enough to do.
ENOUGH_BLOCKS = 1024
BLOCK_PART = 4096  # least elements of a part
COLUMN_PART = 64
# So many columns side by side keep all processors busy with a thread each.
MANY_COLUMNS = 1 << 16
ENOUGH_COLUMNS = 1 << 12  # where the other choice is warps that read columns

# The structure Rows of kernels/reduction.cuh.
ROWS = np.dtype([("kept", LAYOUT), ("reduced", LAYOUT), ("count", "i4"), ("length", "i4")])
PACKED_ROWS = f"s{ROWS.itemsize}"


@dataclass(frozen=True)
class Reduction:
    """One operation of kernels/reduction.cuh: its accumulator is `width` numbers of type REAL."""

    file: str
    name: str
    width: int = 1
    types: tuple[str, ...] = REAL_TYPES

    def kernel(self, version: str, signature: str) -> Kernel:
        """The kernel of one version."""
        return Kernel(self.file, f"{self.name}_{version}", signature, self.types)


SUM = Reduction("reduce.cu", "sum", types=tuple(C_TYPES))
MAX = Reduction("reduce.cu", "max", types=tuple(C_TYPES))

VAR = Reduction("statistics.cu", "var", width=4)
LOGSUMEXP = Reduction("statistics.cu", "logsumexp", width=2)


def sum(device: Device, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """The sum over axes; of integers and booleans in the widest integer, as NumPy's."""
    if x.dtype.kind in "bi":
        x = cast(device, x, dtype=np.dtype(np.int64))
    elif x.dtype.kind == "u":
        x = cast(device, x, dtype=np.dtype(np.uint64))
    return reduce(device, SUM, x, axis, keepdims, 1)


def mean(device: Device, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """The mean over axes."""
    x = floating(device, x)
    return reduce(device, SUM, x, axis, keepdims, math.prod(x.shape[a] for a in axis))


def max(device: Device, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """The largest element over axes."""
    if x.dtype == np.bool_:
        whole = max(device, cast(device, x, dtype=np.dtype(np.uint8)), axis=axis, keepdims=keepdims)
        return cast(device, whole, dtype=x.dtype)
    lowest = -math.inf if x.dtype.kind == "f" else int(np.iinfo(x.dtype).min)
    return reduce(device, MAX, x, axis, keepdims, lowest)


def var(device: Device, x: Array, *, axis: Axes, correction: float, keepdims: bool) -> Array:
    """The variance over axes."""
    return reduce(device, VAR, floating(device, x), axis, keepdims, correction)


def logsumexp(device: Device, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """log(sum(exp(x))) over axes."""
    return reduce(device, LOGSUMEXP, floating(device, x), axis, keepdims, -math.inf)


def log_softmax(device: Device, x: Array, *, axis: Axes) -> Array:
    """x - logsumexp(x) along the rows of these axes."""
    x = floating(device, x)
    y = device.empty(x.shape, x.dtype)
    if y.size:
        rows = rows_of("log_softmax", x, axis, y)
        how = plan_of_rows(rows.count, rows.length, rows.side_by_side)
        symbol = f"log_softmax_{how.version}"
        kernel = Kernel("statistics.cu", symbol, f"r:R w:R {PACKED_ROWS} R")
        args = (memory(x), y, rows.packed, -math.inf)
        launch(device, kernel, x.dtype, how.grid, args, how.block)
    return y


def floating(device: Device, x: Array) -> Array:
    """x, or its integers as float32."""
    return x if x.dtype.kind == "f" else cast(device, x, dtype=np.dtype(np.float32))


# ---------------------------------------------------------------------- the choice


@dataclass(frozen=True)
class Rows:
    """The rows of an array that become one result each.

    count, length  how many there are, and their elements
    side_by_side   whether neighbouring rows, rather than neighbours in a row, lie together in memory
    contiguous     whether the rows follow each other in memory, each without gaps
    packed         the structure that kernels take
    """

    count: int
    length: int
    side_by_side: bool
    contiguous: bool
    packed: np.ndarray


@dataclass(frozen=True)
class Plan:
    """How rows are reduced: by which version, with which grid and block, each row in how many parts."""

    version: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    parts: int = 1


def plan(count: int, length: int, side_by_side: bool) -> Plan:
    """The version for so many rows of such a length; it depends on nothing else."""
    if length <= THREAD_LENGTH or (side_by_side and count >= MANY_COLUMNS):
        return Plan("by_thread", blocks_for(count), (THREADS,))
    if side_by_side and count >= WARP:
        tiles = -(-count // WARP)
        parts = _parts(tiles, length, COLUMN_PART)
        return Plan("by_columns", (tiles, parts), (WARP, COLUMN_WARPS), parts)
    if length <= WARP_LENGTH:
        return Plan("by_warp", blocks_for(count * WARP), (THREADS,))
    parts = parts_of_rows(count, length)
    return Plan("by_block", (count, parts), (THREADS,), parts)


def plan_of_rows(count: int, length: int, side_by_side: bool) -> Plan:
    """The same where the result is as large as the rows, so that none is divided."""
    if length <= THREAD_LENGTH or (side_by_side and count >= ENOUGH_COLUMNS):
        return Plan("by_thread", blocks_for(count), (THREADS,))
    if length <= WARP_LENGTH:
        return Plan("by_warp", blocks_for(count * WARP), (THREADS,))
    return Plan("by_block", (count,), (THREADS,))


def parts_of_rows(count: int, length: int) -> int:
    """How many blocks share each of so many rows."""
    return _parts(count, length, BLOCK_PART)


def _parts(blocks: int, length: int, least: int) -> int:
    """How many parts a row gets, of at least `least` elements each."""
    return int(np.clip(length // least, 1, -(-ENOUGH_BLOCKS // blocks)))


def rows_of(name: str, x: Array, axis: Axes, *others: Array) -> Rows:
    """The rows of x, and of others of its shape, along `axis`, by descending strides of x."""
    kept = tuple(a for a in range(x.ndim) if a not in axis)
    reduced = tuple(sorted(axis, key=lambda a: -abs(x.strides[a])))
    count = math.prod(x.shape[a] for a in kept)
    length = math.prod(x.shape[a] for a in reduced)
    packed = np.zeros((), ROWS)
    packed["count"], packed["length"] = count, length
    for which, axes in (("kept", kept), ("reduced", reduced)):
        sizes = tuple(x.shape[a] for a in axes)
        operands = [_along(array, axes) for array in (x, *others)] if x.size else []
        packed[which] = layout(name, sizes, operands)
    in_order = kept + reduced == tuple(range(x.ndim)) and bool(x.flags.c_contiguous)
    return Rows(count, length, _step(x, kept) < _step(x, reduced), in_order, packed)


def _along(x: Array, axes: Axes) -> Any:
    """x with these axes alone, in this order, at the first place along the others."""
    others = tuple(slice(None) if a in axes else 0 for a in range(x.ndim))
    order = tuple(sorted(axes).index(a) for a in axes)
    return x[others].transpose(order)


def _step(x: Array, axes: Axes) -> int:
    """The least stride along axes that have a second element."""
    return min((abs(x.strides[a]) for a in axes if x.shape[a] > 1), default=1 << 62)


# ---------------------------------------------------------------------- the launches


def reduce(
    device: Device, reduction: Reduction, x: Array, axis: Axes, keepdims: bool, setting: float
) -> Array:
    """Each row of x along `axis` as one number."""
    y = device.empty(_shape(x, axis, keepdims), x.dtype)
    if not y.size:
        return y
    rows = rows_of(reduction.name, x, axis)
    how = plan(rows.count, rows.length, rows.side_by_side)
    if how.version in ("by_thread", "by_warp"):
        kernel = reduction.kernel(how.version, f"r:R w:R {PACKED_ROWS} R")
        launch(device, kernel, x.dtype, how.grid, (memory(x), y, rows.packed, setting), how.block)
        return y
    accumulator = f"s{reduction.width * x.itemsize}"
    accumulated = (
        device.empty((rows.count * how.parts * reduction.width,), x.dtype)
        if how.parts > 1
        else None
    )
    kernel = reduction.kernel(how.version, f"r:R w:R w:{accumulator} {PACKED_ROWS} R")
    args = (memory(x), y, accumulated, rows.packed, setting)
    launch(device, kernel, x.dtype, how.grid, args, how.block)
    if accumulated is not None:
        kernel = reduction.kernel("of_parts", f"r:{accumulator} w:R i4 i4 R")
        args = (accumulated, y, rows.count, how.parts, setting)
        launch(device, kernel, x.dtype, blocks_for(rows.count * WARP), args)
    return y


def _shape(x: Array, axis: Axes, keepdims: bool) -> tuple[int, ...]:
    """The result's shape."""
    return tuple(1 if a in axis else n for a, n in enumerate(x.shape) if keepdims or a not in axis)
