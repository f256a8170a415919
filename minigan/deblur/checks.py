"""What the functions on pictures and kernels check of their arguments, in the same words everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.core.errors import ArgumentError, ShapeError

FloatArray = NDArray[np.float32]


def check_image(where: str, name: str, image: Any) -> FloatArray:
    """Return `image` as float32, or say which shape or type `where` wanted for `name`.

    Raises ShapeError unless it is (C, H, W) with something in it, ArgumentError if its values are
    not floating-point: 0 to 255 in bytes would pass for a very bright picture.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.size == 0:
        raise ShapeError(f"{where}: {name} must have shape (C, H, W), got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise ArgumentError(
            f"{where}: {name} must hold floating-point values in [0, 1], got {array.dtype}"
        )
    return array.astype(np.float32, copy=False)


def check_kernel(where: str, kernel: Any) -> FloatArray:
    """Return `kernel` as float32, or raise ShapeError unless it is (rows, columns), both odd.

    Only an odd kernel has a central pixel; an even one would shift the picture by half a pixel.
    """
    array = np.asarray(kernel)
    if array.ndim != 2 or array.shape[0] % 2 == 0 or array.shape[1] % 2 == 0:
        raise ShapeError(
            f"{where}: kernel must have an odd number of rows and of columns, got {array.shape}"
        )
    return array.astype(np.float32, copy=False)


def check_positive(where: str, name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ArgumentError(f"{where}: {name} must be finite and above 0, got {value!r}")


def check_not_negative(where: str, name: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ArgumentError(f"{where}: {name} must be finite and not below 0, got {value!r}")


def check_exposure(where: str, exposure: float | None) -> None:
    if exposure is not None and not 0 < exposure <= 1:
        raise ArgumentError(f"{where}: exposure must be None or in (0, 1], got {exposure!r}")
