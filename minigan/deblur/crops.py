"""Random crops of photographs: which photograph, which place in it, mirrored and turned."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.deblur.photographs import Photograph, require_size


class Crop(NamedTuple):
    """A square out of a photograph: where it begins, its side, and how it is mirrored and turned."""

    top: int
    left: int
    size: int
    steps: tuple[int, int] = (1, 1)  # -1 mirrors top to bottom, or left to right
    quarter_turns: int = 0

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Cut it out of bytes (3, H, W): float32 (3, size, size) in [0, 1]."""
        crop = pixels[:, self.top : self.top + self.size, self.left : self.left + self.size]
        crop = crop[:, :: self.steps[0], :: self.steps[1]]
        crop = np.rot90(crop, self.quarter_turns, axes=(1, 2))
        return np.ascontiguousarray(crop, np.float32) / np.float32(255)


def random_crop(
    rng: np.random.Generator,
    photographs: Sequence[Photograph],
    size: int,
    flips: bool = True,
    turns: bool = True,
) -> np.ndarray:
    """A square out of one of the photographs: float32 (3, size, size) in [0, 1].

    The photograph is drawn by `probabilities`, the place in it by `place_crop`. Raises what that raises,
    and `ArgumentError` when there are no photographs.
    """
    if not photographs:
        raise ArgumentError("random_crop: got no photographs, and needs at least one")
    photograph = photographs[rng.choice(len(photographs), p=probabilities(photographs))]
    pixels = photograph.pixels
    return place_crop(rng, photograph.name, pixels.shape[1:], size, flips, turns).of(pixels)


def place_crop(
    rng: np.random.Generator,
    name: str,
    shape: Sequence[int],
    size: int,
    flips: bool = True,
    turns: bool = True,
) -> Crop:
    """Draw a square in a picture of `shape` (height, width), uniformly.

    `flips` mirrors the crop left to right and top to bottom, each half of the time; `turns` turns it by
    0, 90, 180 or 270 degrees. Both are fair, because blur knows no upright.

    Raises `ImageFileError`, which calls the picture by `name`, when it is smaller than the crop
    (`check_sizes` finds that out beforehand).
    """
    height, width = shape
    require_size(name, height, width, size)
    top, left = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
    steps = (int(rng.choice([-1, 1])), int(rng.choice([-1, 1]))) if flips else (1, 1)
    return Crop(top, left, size, steps, int(rng.integers(4)) if turns else 0)


def probabilities(photographs: Sequence[Photograph]) -> np.ndarray:
    """How often each photograph is drawn: in proportion to its area, so that pixels are equally likely.

    None counts as larger than the median, so that one huge panorama does not push the others aside.
    """
    areas = [height * width for height, width in (p.size for p in photographs)]
    # The lower median: of two photographs, the larger counts as the smaller.
    weights = np.minimum(areas, statistics.median_low(areas))
    return weights / weights.sum()
