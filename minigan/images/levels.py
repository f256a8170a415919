"""What a picture is: in floats, for networks; in whole numbers, as its file held it; and its header."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# A picture file: where it lies, or what it contains, which came by standard input.
Source = str | os.PathLike[str] | bytes


def name_of(source: Source) -> str:
    """How messages call a source."""
    return "standard input" if isinstance(source, bytes) else os.fsdecode(source)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a file held it, upright, in floats.

    `pixels` is float32 (C, H, W) in [0, 1], C = 1 or 3; `alpha`, float32 (H, W) in [0, 1], is the
    opacity, or None where the file had none; `bit_depth` says how many bits each value was read
    with, 8 or 16; `profile` is the ICC colour profile that says what the colours mean, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bit_depth: int = 8
    profile: bytes | None = None


@dataclass(frozen=True, eq=False)
class Levels:
    """A picture as a file held it, upright, in whole numbers.

    values   uint8 or uint16 (H, W, C), C = 1 or 3; white is 255 or 65535
    alpha    the opacity, (H, W) of the same kind, or None
    profile  the ICC colour profile, or None
    exif     date, camera, place and so on as EXIF data, which say that the picture is upright, or None
    dpi      pixels per inch across and down, by which a print gets its size, or None
    """

    values: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None

    @property
    def bit_depth(self) -> int:
        """8 or 16."""
        return 8 * self.values.dtype.itemsize


@dataclass(frozen=True)
class Header:
    """What a file says of its picture before it is decoded; height and width are those upright."""

    format: str
    height: int
    width: int
    channels: int
    bit_depth: int

    def enlarged(self, times: int) -> Header:
        """Of a picture so many times as high and as wide."""
        return replace(self, height=times * self.height, width=times * self.width)

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.height * self.width

    @property
    def megabytes(self) -> float:
        """What the decoded picture takes."""
        return self.pixels * self.channels * self.bit_depth / 8e6


def as_floats(levels: np.ndarray) -> np.ndarray:
    """Levels (H, W, C) or (H, W) as contiguous float32 (C, H, W) or (H, W) in [0, 1]."""
    white = np.float32(np.iinfo(levels.dtype).max)
    planes = levels.transpose(2, 0, 1) if levels.ndim == 3 else levels
    values = np.ascontiguousarray(planes, np.float32)
    return np.divide(values, white, out=values)


def as_levels(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Values in [0, 1] as the nearest of the levels of `dtype`; beyond, the first or last one."""
    white = np.iinfo(dtype).max
    return np.rint(np.clip(values, 0, 1) * np.float32(white)).astype(dtype)
