"""Pictures side by side on a sheet, and in grey."""

from __future__ import annotations

import numpy as np

from minigan.core.errors import ArgumentError, ShapeError


def image_grid(
    images: np.ndarray, columns: int, margin: int = 2, background: float = 1.0
) -> np.ndarray:
    """Lay images (N, C, H, W) out row by row on one sheet, (C, H', W') of the same dtype.

    A row has `columns` images, or N where there are fewer, with `margin` pixels of `background`
    between and around them.
    """
    if images.ndim != 4 or len(images) == 0:
        raise ShapeError(f"image_grid: images have shape {images.shape}, and need (N, C, H, W)")
    if columns < 1 or margin < 0:
        raise ArgumentError(
            f"image_grid: columns is {columns} and margin is {margin}, "
            "and they must be at least 1 and 0"
        )
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    row_step, column_step = height + margin, width + margin
    shape = (channels, margin + rows * row_step, margin + columns * column_step)
    sheet = np.full(shape, background, images.dtype)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = margin + row * row_step, margin + column * column_step
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """The luma of (C, H, W), C = 1 or 3, as (1, H, W): weights of ITU-R BT.601, section 2.5.1."""
    if pixels.shape[0] == 1:
        return pixels
    weights = np.array([0.299, 0.587, 0.114], pixels.dtype)
    return np.tensordot(weights, pixels, axes=1)[None]
