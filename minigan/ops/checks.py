"""Checks that several operations on images share; each error names the operation and the argument."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Array


def check_image(operation: str, name: str, x: Array) -> None:
    """Refuse what is no batch of images (N, C, H, W)."""
    if np.ndim(x) != 4:
        raise ShapeError(f"{operation}: {name} has shape {np.shape(x)}; it needs (N, C, H, W)")


def pair(
    operation: str, name: str, value: int | Sequence[int], at_least: int = 1
) -> tuple[int, int]:
    """One integer for both axes, or (vertical, horizontal), each no smaller than `at_least`."""
    both = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(both) != 2 or any(not isinstance(n, int | np.integer) or n < at_least for n in both):
        raise ArgumentError(
            f"{operation}: {name} is {value!r}; it needs one or two integers of at least {at_least}"
        )
    return int(both[0]), int(both[1])


def windows_along(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many positions a window has along an axis (0 or fewer when it does not fit)."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
