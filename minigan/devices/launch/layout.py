"""How elementwise kernels find their operands: sizes and strides, with as few axes as will do."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.core.errors import ShapeError

MAX_RANK = 8  # as in kernels/common.cuh
MAX_OPERANDS = 3

# The structure Layout of kernels/common.cuh.
LAYOUT = np.dtype(
    [
        ("rank", "i4"),
        ("size", "i4", MAX_RANK),
        ("stride", "i4", (MAX_OPERANDS, MAX_RANK)),
        ("start", "i4", MAX_OPERANDS),
    ]
)
SIGNATURE = f"s{LAYOUT.itemsize}"
# Kernels count in 32 bits, and go on by up to 65535 blocks of 256 threads beyond the last element.
_MOST_ELEMENTS = 2**31 - 2**24 - 1


def count_of(operation: str, shape: Sequence[int]) -> int:
    """How many elements `shape` has; raises ShapeError for more than a kernel counts."""
    count = math.prod(shape)
    if count > _MOST_ELEMENTS:
        raise ShapeError(
            f"{operation}: an array of shape {tuple(shape)} has {count} elements; a kernel takes "
            f"{_MOST_ELEMENTS}"
        )
    return count


def layout(operation: str, shape: Sequence[int], operands: Sequence[Any]) -> np.ndarray:
    """The Layout by which operands, broadcast to `shape`, are walked; None and numbers take no part.

    A kernel that has it takes `memory(x)` for each operand x. Raises ShapeError for more elements or
    axes than a kernel counts.
    """
    strides = [_strides(shape, operand) for operand in operands]
    axes = _joined(shape, strides)
    count_of(operation, shape)
    if len(axes) > MAX_RANK:
        raise ShapeError(
            f"{operation}: a result of shape {tuple(shape)} has {len(axes)} axes that cannot be joined; "
            f"a kernel takes {MAX_RANK}"
        )
    result = np.zeros((), LAYOUT)
    result["rank"] = max(1, len(axes))
    result["size"][0] = 1
    for i, (size, along) in enumerate(axes):
        result["size"][i] = size
        result["stride"][: len(along), i] = along
    result["start"][: len(operands)] = [_start(operand) for operand in operands]
    return result


def memory(x: Any) -> Any:
    """The memory that a strided array's elements lie in, as a contiguous array; itself if it is one.

    A kernel gets this and the array's Layout.
    """
    if x.flags.c_contiguous:
        return x
    if not x.size:
        return x.reshape(-1)
    ascending = x[tuple(slice(None, None, -1 if stride < 0 else 1) for stride in x.strides)]
    furthest = zip(x.shape, ascending.strides, strict=True)
    extent = 1 + sum((size - 1) * stride // x.itemsize for size, stride in furthest)
    as_strided = _as_strided(x)
    return as_strided(ascending, (extent,), (x.itemsize,))


def _as_strided(x: Any) -> Any:
    """The function of this name of the library that the array is of."""
    if isinstance(x, np.ndarray):
        return np.lib.stride_tricks.as_strided
    library = importlib.import_module(type(x).__module__.partition(".")[0])
    return library.lib.stride_tricks.as_strided


def address(x: Any) -> int:
    """Where an array begins in its device's memory."""
    return x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr


def overlap(a: Any, b: Any) -> bool:
    """Whether two arrays of a device may lie in the same memory."""
    (a_begin, a_size), (b_begin, b_size) = ((address(m), m.nbytes) for m in map(memory, (a, b)))
    return a_begin < b_begin + b_size and b_begin < a_begin + a_size


def _start(operand: Any) -> int:
    """How far behind the beginning of an operand's memory its first element lies."""
    if not hasattr(operand, "strides") or not operand.size:
        return 0
    along = zip(operand.shape, operand.strides, strict=True)
    return sum((size - 1) * max(0, -stride // operand.itemsize) for size, stride in along)


def _strides(shape: Sequence[int], operand: Any) -> tuple[int, ...]:
    """An operand's stride along each axis of `shape`, in elements; 0 where it is repeated."""
    if not hasattr(operand, "strides"):
        return (0,) * len(shape)
    new = len(shape) - operand.ndim
    own = [
        0 if size == 1 else stride // operand.itemsize
        for size, stride in zip(operand.shape, operand.strides, strict=True)
    ]
    return (*(0,) * new, *own)


def _joined(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> list[tuple[int, tuple[int, ...]]]:
    """(size, strides) of each axis, after joining neighbours that all operands walk in one go."""
    axes: list[tuple[int, tuple[int, ...]]] = []
    for i, size in enumerate(shape):
        along = tuple(s[i] for s in strides)
        if size == 1:
            continue
        if axes and all(
            outer == inner * size for outer, inner in zip(axes[-1][1], along, strict=True)
        ):
            axes[-1] = (axes[-1][0] * size, along)
        else:
            axes.append((size, along))
    return axes
