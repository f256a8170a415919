"""Restoring pictures of any size, in overlapping tiles, with memory that does not grow with them.

The picture is cut into tiles that overlap; each goes through the generator with some pixels of its
surroundings (the rim), which are thrown away again, and where neighbours overlap, their results are
blended by weights that fall off linearly. So no seam shows.

Without instance norm the generator sees only so far, and with a rim as wide as that the tiling changes
nothing beyond rounding. With instance norm each tile has statistics of its own; then tiles are as large
as the training crops, because the generator has never seen statistics over anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.core.forked import map_arrays
from minigan.core.graph import no_grad
from minigan.core.parallel import Workers
from minigan.core.tensor import Array, Tensor
from minigan.deblur.blur import check_image
from minigan.deblur.model import Model
from minigan.deblur.networks import SCALE

_WORTH_FORKING = 8  # tiles: to fork a process takes as long as a third of one


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut up: the side of a tile in pixels, the rim and the overlap inside it.

    A tile of `side` pixels is what the generator gets; `rim` pixels on each side are dropped from its
    result; of what remains, `overlap` pixels are blended with the neighbour.
    """

    side: int
    rim: int
    overlap: int

    def __post_init__(self) -> None:
        if self.side % SCALE or self.rim < 0 or self.overlap < 0 or self.kept <= self.overlap:
            raise ArgumentError(
                f"Tiling: side {self.side}, rim {self.rim}, overlap {self.overlap}; it needs a side "
                f"divisible by {SCALE}, and more than 2 rim + overlap"
            )

    @property
    def kept(self) -> int:
        """Pixels of a tile's side that are used."""
        return self.side - 2 * self.rim


def tiling_for(model: Model) -> Tiling:
    """The tiling that treats the generator as its training did."""
    if model.generator_settings.norm == "instance":
        return Tiling(model.crop, rim=0, overlap=model.crop // 2)
    reach = receptive_radius(model.generator_settings.blocks)
    return Tiling(192 + 2 * reach, rim=reach, overlap=0)


def receptive_radius(blocks: int) -> int:
    """How many pixels away an input can change an output of the generator, a multiple of its scale.

    On the way: enter 1, down1 1, down2 2 (its neighbours are 2 pixels apart), each block 2 x 4, up1
    and up2 2 and 1 after doubling (rounded up by a coarse pixel for where the grids lie), leave 1.
    """
    reach = 1 + 1 + 2 + 8 * blocks + 2 + 1 + 1 + SCALE
    return -(-reach // SCALE) * SCALE


def restore(model: Model, picture: Array, workers: Workers | None = None) -> Array:
    """Sharpen a picture (C, H, W) in [0, 1] with C = 3, or 1 for grey: the same shape, in [0, 1].

    Any height and width. A grey picture goes through as colour, and its three results are averaged.
    `workers` lets tiles be computed at the same time: in processes, where they can be forked and the
    generator is on the CPU, else on threads. The result has the same bits.
    """
    picture = check_image("restore", "picture", picture)
    if len(picture) not in (1, 3):
        raise ArgumentError(f"restore: the picture has {len(picture)} channels; it needs 1 or 3")
    tiling = tiling_for(model)
    total = np.zeros(picture.shape, np.float32)
    weight = np.zeros(picture.shape[1:], np.float32)
    places = list(_places(picture.shape[1], picture.shape[2], tiling))
    kept = slice(tiling.rim, tiling.rim + tiling.kept)

    def restored(place: tuple[int, int]) -> Array:
        return _through(model, _cut(picture, place, tiling))[:, kept, kept]

    shape = len(picture), tiling.kept, tiling.kept
    for place, tile in zip(places, _each(restored, places, shape, model, workers), strict=True):
        _blend(total, weight, tile, place, tiling)
    total /= weight
    return np.clip(total, 0, 1, out=total)


def _each(
    restored: Callable[[tuple[int, int]], Array],
    places: Sequence[tuple[int, int]],
    shape: tuple[int, ...],
    model: Model,
    workers: Workers | None,
) -> Iterator[Array]:
    """The restored tiles of the places, in order."""
    if workers is None:
        return map(restored, places)
    if model.device == "cpu" and len(places) >= _WORTH_FORKING:
        return map_arrays("restore", restored, places, shape, workers)
    return workers.imap(restored, places)


def _places(height: int, width: int, tiling: Tiling) -> Iterator[tuple[int, int]]:
    """Where the kept parts of the tiles begin, so that they cover the picture."""
    step = tiling.kept - tiling.overlap
    for top in range(0, max(height - tiling.overlap, 1), step):
        for left in range(0, max(width - tiling.overlap, 1), step):
            yield top, left


def _cut(picture: Array, place: tuple[int, int], tiling: Tiling) -> Array:
    """A tile (C, side, side) around a place; beyond the picture's border it is mirrored."""
    rows, columns = (
        _mirrored(np.arange(start - tiling.rim, start - tiling.rim + tiling.side), size)
        for start, size in zip(place, picture.shape[1:], strict=True)
    )
    return picture[:, rows[:, None], columns]


def _mirrored(positions: Array, size: int) -> Array:
    """Positions outside 0 ... size - 1 reflected into it, however far out: period 2 (size - 1)."""
    if size == 1:
        return np.zeros_like(positions)
    folded = np.mod(positions, 2 * (size - 1))
    return np.minimum(folded, 2 * (size - 1) - folded)


def _through(model: Model, tile: Array) -> Array:
    """One tile through the generator: (C, side, side) -> the same shape."""
    colour = np.broadcast_to(tile, (3, *tile.shape[1:]))
    with no_grad():
        picture = Tensor(np.ascontiguousarray(colour[None])).to(model.device)
        result = model.generator(picture).to("cpu")._array[0]
    return result if len(tile) == 3 else result.mean(axis=0, keepdims=True)


def _blend(
    total: Array, weight: Array, tile: Array, place: tuple[int, int], tiling: Tiling
) -> None:
    """Add the kept part of a tile, weighted, to the picture; and its weights to theirs."""
    top, left = place
    height, width = (
        min(tiling.kept, size - start) for size, start in zip(weight.shape, place, strict=True)
    )
    ramp = np.minimum(np.arange(1, tiling.kept + 1), np.arange(tiling.kept, 0, -1))
    ramp = np.minimum(ramp, tiling.overlap + 1).astype(np.float32)
    weights = np.outer(ramp[:height], ramp[:width])
    total[:, top : top + height, left : left + width] += tile[:, :height, :width] * weights
    weight[top : top + height, left : left + width] += weights
