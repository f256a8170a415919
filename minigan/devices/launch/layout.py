"""How elementwise kernels find their operands: sizes and strides, with as few axes as will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.core.errors import ShapeError

MAX_RANK = 8  # as in kernels/common.cuh
MAX_OPERANDS = 3

# The structure Layout of kernels/common.cuh.
LAYOUT = np.dtype(
    [("rank", "i4"), ("size", "i4", MAX_RANK), ("stride", "i4", (MAX_OPERANDS, MAX_RANK))]
)
SIGNATURE = f"s{LAYOUT.itemsize}"
_MOST_ELEMENTS = 2**31 - 1


def layout(operation: str, shape: Sequence[int], operands: Sequence[Any]) -> np.ndarray:
    """The Layout by which operands, broadcast to `shape`, are walked; None and numbers take no part.

    Raises ShapeError for more elements or axes than a kernel counts.
    """
    strides = [_strides(shape, operand) for operand in operands]
    axes = _joined(shape, strides)
    count = int(np.prod(shape, dtype=np.int64))
    if count > _MOST_ELEMENTS or len(axes) > MAX_RANK:
        raise ShapeError(
            f"{operation}: a result of shape {tuple(shape)} has {count} elements on {len(axes)} axes "
            f"that cannot be joined; a kernel takes {_MOST_ELEMENTS} elements on {MAX_RANK} axes"
        )
    result = np.zeros((), LAYOUT)
    result["rank"] = max(1, len(axes))
    result["size"][0] = 1
    for i, (size, along) in enumerate(axes):
        result["size"][i] = size
        result["stride"][: len(along), i] = along
    return result


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
