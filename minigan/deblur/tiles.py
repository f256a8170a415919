"""A picture as tiles: how it is cut up, and how their results are put together row by row of tiles.

The picture is cut into tiles that overlap; each goes through the generator with some pixels of its
surroundings (the rim), which are thrown away again, and where neighbours overlap, their results are
blended by weights that fall off linearly. So no seam shows.

Without instance norm the generator sees only so far, and with a rim as wide as that the tiling changes
nothing beyond rounding. With instance norm each tile has statistics of its own; then tiles are as large
as the training crops, because the generator has never seen statistics over anything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Array
from minigan.deblur.blur import check_image
from minigan.deblur.model import Model
from minigan.deblur.networks import SCALE, GeneratorSettings, fixed_noise
from minigan.images.levels import as_levels

LARGEST = 320  # pixels of a tile's side that are kept; then a process takes some 60 MB for it

Place = tuple[int, int]


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut up: into tiles of `kept` (height, width), in pixels.

    The generator gets a tile with `rim` pixels more on each side, which are dropped from its result; of
    what remains, `overlap` pixels are blended with the neighbour.
    """

    kept: tuple[int, int]
    rim: int
    overlap: int

    def __post_init__(self) -> None:
        sides = [kept + 2 * self.rim for kept in self.kept]
        if (
            any(side % SCALE for side in sides)
            or self.rim < 0
            or self.overlap < 0
            or min(self.kept) <= self.overlap
        ):
            raise ArgumentError(
                f"Tiling: kept {self.kept}, rim {self.rim}, overlap {self.overlap}; it needs kept + 2 "
                f"rim divisible by {SCALE}, and kept larger than overlap"
            )


def tiling_for(model: Model, size: Sequence[int]) -> Tiling:
    """The tiling of a picture of `size` (height, width) that treats the generator as its training did.

    Without instance norm tiles may have any size: few and large ones lose the least to their rims, and
    equal ones cover the picture without waste.
    """
    if model.generator_settings.norm == "instance":
        return Tiling((model.crop, model.crop), rim=0, overlap=model.crop // 2)
    height, width = (-(-n // -(-n // LARGEST)) for n in size)
    reach = receptive_radius(model.generator_settings)
    return Tiling((_multiple(height), _multiple(width)), rim=reach, overlap=0)


def tiles_of(model: Model, size: Sequence[int]) -> tuple[int, int, int]:
    """How many tiles a picture of `size` (height, width) has, and the full height and width of each."""
    tiling = tiling_for(model, size)
    height, width = (kept + 2 * tiling.rim for kept in tiling.kept)
    return prod(map(len, _starts(tiling, size))), height, width


def most_in_a_tile(model: Model) -> int:
    """The numbers in a tile of three channels, and in its noise, at most."""
    _, height, width = tiles_of(model, (LARGEST, LARGEST))
    return (3 + model.generator_settings.noise_channels) * height * width


def _multiple(pixels: int) -> int:
    """The next multiple of the generator's scale."""
    return -(-pixels // SCALE) * SCALE


def receptive_radius(settings: GeneratorSettings) -> int:
    """How many pixels away an input can change an output of the generator, a multiple of its scale.

    On the way: the first layer 1 (ResNet: 3), then 1 and 2 (its neighbours are 2 pixels apart), each
    block 2 x 4, after doubling 2 and 1 (rounded up by a coarse pixel for where the grids lie), and the
    last layer like the first.
    """
    ends = 3 if settings.architecture == "resnet" else 1
    reach = ends + 1 + 2 + 8 * settings.blocks + 2 + 1 + ends + SCALE
    return _multiple(reach)


class Job:
    """A picture that is being restored, row of tiles by row.

    Of floats there is only a band as high as a tile. What the tiles of a row have added to it is final
    but for the rows that the next one overlaps; these move up to the band's beginning.
    """

    def __init__(self, model: Model, picture: Array):
        self._picture = checked(picture)
        self._noise = model.generator_settings.noise_channels
        self._size = size = self._picture.shape[1:]
        self._tiling = tiling_for(model, size)
        self._starts = _starts(self._tiling, size)
        self.places: list[Place] = [(y, x) for y in self._starts[0] for x in self._starts[1]]
        self._ramps = [_ramp(kept, self._tiling.overlap) for kept in self._tiling.kept]
        self._weights = [
            _added_up(n, starts, ramp)
            for n, starts, ramp in zip(size, self._starts, self._ramps, strict=True)
        ]
        self._band = np.zeros((len(picture), self._tiling.kept[0], size[1]), np.float32)
        self.result = _empty_like(self._picture)

    def tiles(self) -> Iterator[Array]:
        """What the generator gets, in the order of places."""
        return (_cut(self._picture, place, self._tiling, self._noise) for place in self.places)

    def put(self, result: Array, place: Place) -> None:
        """Blend in what the generator gave for a place; with a row's last tile, the row is written."""
        (top, left), rim = place, self._tiling.rim
        height, width = (
            min(kept, n - start)
            for kept, n, start in zip(self._tiling.kept, self._size, place, strict=True)
        )
        down, across = self._ramps
        kept = result[:, rim : rim + height, rim : rim + width]
        weights = np.outer(down[:height], across[:width])
        self._band[:, :height, left : left + width] += kept * weights
        if left == self._starts[1][-1]:
            self._write(top)

    def _write(self, top: int) -> None:
        """The band's rows that are final, from `top` on, go to the result."""
        bottom = self._end(top, 0)
        down, across = self._weights
        band, step = self._band, self._starts[0].step
        final = band[:, : bottom - top]
        final /= np.outer(down[top:bottom], across)
        np.clip(final, 0, 1, out=final)
        self.result[:, top:bottom] = _in_dtype(final, self.result.dtype)
        overlapped = band[:, step:].copy()
        band[:, : overlapped.shape[1]] = overlapped
        band[:, overlapped.shape[1] :] = 0

    def _end(self, start: int, axis: int) -> int:
        """Where the next tile begins, or the picture ends."""
        return (
            self._size[axis] if start == self._starts[axis][-1] else start + self._starts[axis].step
        )

    def new_pixels(self, place: Place) -> int:
        """How many pixels a tile brings; over all tiles, those of the picture."""
        return prod(self._end(start, axis) - start for axis, start in enumerate(place))


def _starts(tiling: Tiling, size: Sequence[int]) -> list[range]:
    """Where the kept parts of the tiles begin, from top to bottom and from left to right."""
    return [
        range(0, max(n - tiling.overlap, 1), kept - tiling.overlap)
        for n, kept in zip(size, tiling.kept, strict=True)
    ]


def checked(picture: Array) -> Array:
    """A picture that can be restored, floats as float32; ShapeError and ArgumentError for any other."""
    if not isinstance(picture, np.ndarray) or picture.dtype not in (np.uint8, np.uint16):
        picture = check_image("restore", "picture", picture)
    elif picture.ndim != 3 or picture.size == 0:
        raise ShapeError(f"restore: picture must have shape (C, H, W), got {picture.shape}")
    if len(picture) not in (1, 3):
        raise ArgumentError(f"restore: the picture has {len(picture)} channels; it needs 1 or 3")
    return picture


def _empty_like(picture: Array) -> Array:
    """Room for the result; whole numbers lie in memory as files have them, (H, W, C)."""
    if picture.dtype == np.float32:
        return np.empty(picture.shape, np.float32)
    channels, height, width = picture.shape
    return np.empty((height, width, channels), picture.dtype).transpose(2, 0, 1)


def _in_dtype(values: Array, dtype: np.dtype) -> Array:
    return values if dtype == np.float32 else as_levels(values, dtype)


def _added_up(size: int, starts: Iterable[int], ramp: Array) -> Array:
    """The sum, at each of `size` positions, of ramps that begin at the starts."""
    total = np.zeros(size, np.float32)
    for start in starts:
        part = total[start : start + len(ramp)]
        part += ramp[: len(part)]
    return total


def _cut(picture: Array, place: Place, tiling: Tiling, noise_channels: int) -> Array:
    """A tile (C + noise_channels, height, width) around a place; beyond the border it is mirrored."""
    positions = [
        np.arange(start - tiling.rim, start + kept + tiling.rim)
        for start, kept in zip(place, tiling.kept, strict=True)
    ]
    rows, columns = map(_mirrored, positions, picture.shape[1:])
    left = columns.min()
    strip = picture[:, rows, left : columns.max() + 1]
    tile = strip[:, :, columns - left]  # in two steps: a fourth of the time of both at once
    if tile.dtype != np.float32:
        tile = tile / np.float32(np.iinfo(tile.dtype).max)
    if noise_channels:
        return np.concatenate([tile, fixed_noise(noise_channels, *positions)])
    return tile


def _mirrored(positions: Array, size: int) -> Array:
    """Positions outside 0 ... size - 1 reflected into it, however far out: period 2 (size - 1)."""
    if size == 1:
        return np.zeros_like(positions)
    folded = np.mod(positions, 2 * (size - 1))
    return np.minimum(folded, 2 * (size - 1) - folded)


def _ramp(kept: int, overlap: int) -> Array:
    """Weights along a side, which rise linearly over the overlap and fall again."""
    from_ends = np.minimum(np.arange(1, kept + 1), np.arange(kept, 0, -1))
    return np.minimum(from_ends, overlap + 1).astype(np.float32)
