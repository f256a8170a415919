"""Padding of images (N, C, H, W). `padding` is (left, right, top, bottom) in pixels, as in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, ShapeError, brief
from minigan.core.op import Op, op
from minigan.core.tensor import Array
from minigan.devices.cpu import pad as cpu
from minigan.ops.checks import check_image, is_integer
from minigan.ops.shape import getitem

Padding = tuple[int, int, int, int]


def four_sides(operation: str, padding: int | Sequence[int]) -> Padding:
    """One number for all sides, or (left, right, top, bottom), as four non-negative integers."""
    sides = (padding,) * 4 if is_integer(padding) else padding
    if (
        not isinstance(sides, Sequence)
        or len(sides) != 4
        or any(not is_integer(n) or n < 0 for n in sides)
    ):
        raise ArgumentError(
            f"{operation}: padding is {brief(padding)}; it needs one non-negative integer or four "
            "(left, right, top, bottom)"
        )
    left, right, top, bottom = (int(n) for n in sides)
    return left, right, top, bottom


def _checks_padding(operation: Op, reflects: bool) -> None:
    @operation.check
    def _(x: Array, padding: int | Sequence[int]) -> dict[str, Any]:
        check_image(operation.name, "x", x)
        sides = four_sides(operation.name, padding)
        height, width = x.shape[2:]
        if reflects and (max(sides[:2]) >= width or max(sides[2:]) >= height):
            raise ShapeError(
                f"{operation.name}: x has shape {x.shape}; padding {sides} needs more rows and "
                "columns than it reflects"
            )
        return {"padding": sides}


@op(linear=True)
def zero_pad2d(x: Array, *, padding: int | Padding) -> Array:
    """(N, C, H, W) with rows and columns of zeros around it."""
    return cpu.zero_pad2d(x, padding)  # type: ignore[arg-type]  # the check made it four


_checks_padding(zero_pad2d, reflects=False)
zero_pad2d.vjps(x=lambda g, padding: getitem(g, index=_inside(g.shape, padding)))


def _inside(shape: Sequence[int], padding: Padding) -> tuple[Any, ...]:
    left, right, top, bottom = padding
    return ..., slice(top, shape[-2] - bottom), slice(left, shape[-1] - right)


@op(linear=True)
def reflection_pad2d(x: Array, *, padding: int | Padding) -> Array:
    """(N, C, H, W) continued by its mirror image; the border pixel itself is not repeated."""
    rows, columns = _sources(x.shape[2], x.shape[3], padding)  # type: ignore[arg-type]
    return cpu.gathered(x, rows, columns)


_checks_padding(reflection_pad2d, reflects=True)
reflection_pad2d.vjps(
    x=lambda g, x_shape, padding: reflection_pad2d_dx(g, input_size=x_shape[2:], padding=padding),
)


def _sources(height: int, width: int, padding: Padding) -> tuple[Array, Array]:
    """For each row and column of the padded image, the one of the image that it shows."""
    left, right, top, bottom = padding
    rows = np.pad(np.arange(height), (top, bottom), mode="reflect")
    columns = np.pad(np.arange(width), (left, right), mode="reflect")
    return rows, columns


@op(linear=True)
def reflection_pad2d_dx(grad: Array, *, input_size: tuple[int, int], padding: Padding) -> Array:
    """reflection_pad2d's adjoint: each padded pixel's gradient goes to the pixel that it shows."""
    left, right, top, bottom = padding
    height, width = input_size
    # Fold the columns first, then the rows, by whole strips: a mirrored strip is a flipped slice.
    g = grad.copy("K")
    inner = g[:, :, :, left : left + width]
    inner[..., 1 : left + 1] += g[..., :left][..., ::-1]
    inner[..., width - 1 - right : width - 1] += g[..., left + width :][..., ::-1]
    out = inner[:, :, top : top + height]
    out[:, :, 1 : top + 1] += inner[:, :, :top][:, :, ::-1]
    out[:, :, height - 1 - bottom : height - 1] += inner[:, :, top + height :][:, :, ::-1]
    return out


reflection_pad2d_dx.vjps(grad=lambda g, padding: reflection_pad2d(g, padding=padding))
