"""Upsampling of images: nearest neighbour and bilinear, with their adjoints."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigan.core.errors import ShapeError
from minigan.core.op import op
from minigan.core.tensor import Array
from minigan.devices.cpu import resize as cpu
from minigan.ops.checks import check_image, pair
from minigan.ops.pool import sum_pool2d

Pair = tuple[int, int]


@op(linear=True)
def upsample_nearest2d(x: Array, *, scale_factor: int | Pair) -> Array:
    """Each pixel repeated: x (N, C, H, W) -> (N, C, H sh, W sw) for scale_factor (sh, sw)."""
    return cpu.upsample_nearest2d(x, scale_factor)  # type: ignore[arg-type]  # the check made it a pair


@upsample_nearest2d.check
def _(x: Array, scale_factor: Any) -> dict[str, Any]:
    check_image("upsample_nearest2d", "x", x)
    return {"scale_factor": pair("upsample_nearest2d", "scale_factor", scale_factor)}


# The adjoint of repeating is to sum over the block of repeats.
upsample_nearest2d.vjps(x=lambda g, scale_factor: sum_pool2d(g, kernel_size=scale_factor))


@lru_cache(maxsize=64)
def bilinear_matrix(size: int, new_size: int) -> Array:
    """The matrix (new_size, size) that interpolates linearly along one axis.

    Pixels are areas, not points (PyTorch's align_corners=False): the centre of new pixel i lies at
    (i + 1/2) size / new_size - 1/2, held inside the image.
    """
    position = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    position = np.clip(position, 0, size - 1)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, size - 1)
    matrix = np.zeros((new_size, size))
    rows = np.arange(new_size)
    np.add.at(matrix, (rows, low), 1 - (position - low))
    np.add.at(matrix, (rows, high), position - low)
    matrix.flags.writeable = False  # it is shared by every call with these sizes
    return matrix


@op(linear=True, floating=True)
def upsample_bilinear2d(x: Array, *, size: int | Pair) -> Array:
    """x (N, C, H, W) -> (N, C, *size), interpolated linearly along both axes: A x B^T."""
    return _resample(x, size, x.shape[2:], transposed=False)  # type: ignore[arg-type]


@op(linear=True)
def upsample_bilinear2d_dx(grad: Array, *, input_size: Pair) -> Array:
    """upsample_bilinear2d's adjoint: grad (N, C, H', W') -> (N, C, *input_size), A^T g B."""
    return _resample(grad, grad.shape[2:], input_size, transposed=True)  # type: ignore[arg-type]


def _resample(x: Array, size: Pair, input_size: Pair, transposed: bool) -> Array:
    a, b = (bilinear_matrix(n, m).astype(x.dtype) for n, m in zip(input_size, size, strict=True))
    return a.T @ (x @ b) if transposed else a @ (x @ b.T)


@upsample_bilinear2d.check
def _(x: Array, size: Any) -> dict[str, Any]:
    check_image("upsample_bilinear2d", "x", x)
    if min(x.shape[2:]) < 1:
        raise ShapeError(f"upsample_bilinear2d: x has shape {x.shape}; it needs at least one pixel")
    return {"size": pair("upsample_bilinear2d", "size", size)}


@upsample_bilinear2d_dx.check
def _(grad: Array, input_size: Any) -> dict[str, Any]:
    check_image("upsample_bilinear2d_dx", "grad", grad)
    if min(grad.shape[2:]) < 1:
        raise ShapeError(
            f"upsample_bilinear2d_dx: grad has shape {grad.shape}; it needs at least one pixel"
        )
    return {"input_size": pair("upsample_bilinear2d_dx", "input_size", input_size)}


upsample_bilinear2d.vjps(
    x=lambda g, x_shape: upsample_bilinear2d_dx(g, input_size=x_shape[2:]),
)
upsample_bilinear2d_dx.vjps(
    grad=lambda g, grad_shape: upsample_bilinear2d(g, size=grad_shape[2:]),
)
