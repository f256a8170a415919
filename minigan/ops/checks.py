"""Checks that several operations share; each error names the operation and the argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from minigan.core.errors import ArgumentError, ShapeError, brief
from minigan.core.tensor import Array, Axis, Shape


def is_integer(value: object) -> TypeGuard[int]:
    """Whether `value` is one whole number, Python's or NumPy's."""
    return type(value) is int or isinstance(
        value, int | np.integer
    )  # the first is ten times faster


def number(operation: str, name: str, value: Any) -> float:
    """A parameter that is a number, as Python's: NumPy's float64 would turn float32 into float64."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, int | float):
        raise ArgumentError(f"{operation}: {name} is {brief(value)}; it needs a number")
    return value


def sizes(operation: str, name: str, value: int | Sequence[int], at_least: int = 0) -> Shape:
    """One integer or several as a shape, each no smaller than `at_least`."""
    if type(value) is tuple and all(type(n) is int and n >= at_least for n in value):
        return value  # as most calls have it
    several = (value,) if is_integer(value) else value
    if not isinstance(several, Sequence) or any(not is_integer(n) or n < at_least for n in several):
        raise ArgumentError(
            f"{operation}: {name} is {brief(value)}; it needs integers of at least {at_least}"
        )
    return tuple(int(n) for n in several)


def pair(
    operation: str, name: str, value: int | Sequence[int], at_least: int = 1
) -> tuple[int, int]:
    """One integer for both axes, or (vertical, horizontal), each no smaller than `at_least`."""
    both = (value, value) if is_integer(value) else value
    if (
        not isinstance(both, tuple | Sequence)
        or len(both) != 2
        or not (is_integer(both[0]) and is_integer(both[1]))
        or min(both) < at_least
    ):
        raise ArgumentError(
            f"{operation}: {name} is {brief(value)}; it needs one or two integers of at least "
            f"{at_least}"
        )
    return int(both[0]), int(both[1])


def normal_axes(operation: str, axis: Axis, shape: Shape) -> tuple[int, ...]:
    """`axis` as a tuple of distinct non-negative integers, or an error naming the operation."""
    if axis is None:
        return tuple(range(len(shape)))
    if type(axis) is int and 0 <= axis < len(shape):
        return (axis,)
    axes = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    for a in axes:
        if not is_integer(a) or not -len(shape) <= a < len(shape):
            raise ShapeError(
                f"{operation}: axis {brief(a)} does not exist in shape {shape}; "
                f"it needs an integer from {-len(shape)} to {len(shape) - 1}"
            )
    normal = tuple(int(a) % len(shape) for a in axes)
    if len(set(normal)) < len(normal):
        raise ArgumentError(f"{operation}: axis {axis!r} names the same axis twice")
    return normal


def one_axis(operation: str, axis: Any, shape: Shape) -> int:
    """`axis` as one non-negative integer, or an error naming the operation."""
    return normal_axes(operation, (axis,), shape)[0]


def check_image(operation: str, name: str, x: Array) -> None:
    """Refuse what is no batch of images (N, C, H, W)."""
    if np.ndim(x) != 4:
        raise ShapeError(f"{operation}: {name} has shape {np.shape(x)}; it needs (N, C, H, W)")


def windows_along(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many positions a window has along an axis (0 or fewer when it does not fit)."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
