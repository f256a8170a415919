"""Restoring pictures of any size, in overlapping tiles, with memory that does not grow with them.

The picture is cut into tiles that overlap; each goes through the generator with some pixels of its
surroundings (the rim), which are thrown away again, and where neighbours overlap, their results are
blended by weights that fall off linearly. So no seam shows.

Without instance norm the generator sees only so far, and with a rim as wide as that the tiling changes
nothing beyond rounding. With instance norm each tile has statistics of its own; then tiles are as large
as the training crops, because the generator has never seen statistics over anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.core.forked import ForkedMap, can_fork
from minigan.core.graph import no_grad
from minigan.core.parallel import Workers
from minigan.core.tensor import Array, Tensor
from minigan.deblur.blur import check_image
from minigan.deblur.model import Model
from minigan.deblur.networks import SCALE

_LARGEST = 320  # pixels of a tile's side that are kept; then a process takes some 60 MB for it
_WORTH_FORKING = 4  # tiles: to fork a process takes as long as a third of one


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


Place = tuple[int, int]


def tiling_for(model: Model, size: tuple[int, int]) -> Tiling:
    """The tiling of a picture of `size` (height, width) that treats the generator as its training did.

    Without instance norm tiles may have any size: few and large ones lose the least to their rims, and
    equal ones cover the picture without waste.
    """
    if model.generator_settings.norm == "instance":
        return Tiling((model.crop, model.crop), rim=0, overlap=model.crop // 2)
    height, width = (-(-n // -(-n // _LARGEST)) for n in size)
    reach = receptive_radius(model.generator_settings.blocks)
    return Tiling((_multiple(height), _multiple(width)), rim=reach, overlap=0)


def _most_in_a_tile(model: Model) -> int:
    """The numbers in a tile of three channels, at most."""
    tiling = tiling_for(model, (_LARGEST, _LARGEST))
    return 3 * prod(kept + 2 * tiling.rim for kept in tiling.kept)


def _multiple(pixels: int) -> int:
    """The next multiple of the generator's scale."""
    return -(-pixels // SCALE) * SCALE


def receptive_radius(blocks: int) -> int:
    """How many pixels away an input can change an output of the generator, a multiple of its scale.

    On the way: enter 1, down1 1, down2 2 (its neighbours are 2 pixels apart), each block 2 x 4, up1
    and up2 2 and 1 after doubling (rounded up by a coarse pixel for where the grids lie), leave 1.
    """
    reach = 1 + 1 + 2 + 8 * blocks + 2 + 1 + 1 + SCALE
    return _multiple(reach)


# From tiles (C, height, width), the generator's results for them, in order.
Through = Callable[[Iterable[Array]], Iterator[Array]]


def restore(model: Model, picture: Array, workers: Workers | None = None) -> Array:
    """Sharpen a picture (C, H, W) in [0, 1] with C = 3, or 1 for grey: the same shape, in [0, 1].

    Any height and width. A grey picture goes through as colour, and its three results are averaged.
    `workers` lets tiles be computed at the same time, or one tile's operations be shared out; the
    result has the same bits.
    """
    if workers is None:
        return _restored(model, picture, partial(map, partial(_through, model)))
    if len(_cut_up(model, picture)[2]) < _WORTH_FORKING:
        return _restored(model, picture, _on_threads(model, workers))
    with restorer(model, workers) as restored:
        return restored(picture)


@contextmanager
def restorer(model: Model, workers: Workers) -> Iterator[Callable[[Array], Array]]:
    """`restore` for many pictures, one at a time, by a model that does not change inside the block.

    Tiles are computed in processes, which are forked once and end with the block; on threads where
    processes cannot be forked, or the generator is not on the CPU.
    """
    if workers.count == 1 or model.device != "cpu" or not can_fork():
        through = _on_threads(model, workers)
        yield lambda picture: _restored(model, picture, through)
        return
    room = _most_in_a_tile(model)
    forked = ForkedMap("restore", partial(_through, model), (room, room), workers.count - 1)
    with closing(forked):
        yield lambda picture: _restored(model, picture, forked)


def _on_threads(model: Model, workers: Workers) -> Through:
    return partial(workers.imap, partial(_through, model))


def _cut_up(model: Model, picture: Array) -> tuple[Array, Tiling, list[Place]]:
    """The picture, checked; its tiling; and where the kept parts of the tiles begin, to cover it."""
    picture = check_image("restore", "picture", picture)
    if len(picture) not in (1, 3):
        raise ArgumentError(f"restore: the picture has {len(picture)} channels; it needs 1 or 3")
    size = picture.shape[1], picture.shape[2]
    tiling = tiling_for(model, size)
    tops, lefts = (
        range(0, max(n - tiling.overlap, 1), kept - tiling.overlap)
        for n, kept in zip(size, tiling.kept, strict=True)
    )
    return picture, tiling, list(product(tops, lefts))


def _restored(model: Model, picture: Array, many: Through) -> Array:
    """The tiles' results put together; a single tile is computed here, with its operations shared out."""
    picture, tiling, places = _cut_up(model, picture)
    through = many if len(places) > 1 else partial(map, partial(_through, model))
    total = np.zeros(picture.shape, np.float32)
    weight = np.zeros(picture.shape[1:], np.float32)
    tiles = (_cut(picture, place, tiling) for place in places)
    for place, result in zip(places, through(tiles), strict=True):
        _blend(total, weight, result, place, tiling)
    total /= weight
    return np.clip(total, 0, 1, out=total)


def _cut(picture: Array, place: Place, tiling: Tiling) -> Array:
    """A tile (C, height, width) around a place; beyond the picture's border it is mirrored."""
    rows, columns = (
        _mirrored(np.arange(start - tiling.rim, start + kept + tiling.rim), size)
        for start, kept, size in zip(place, tiling.kept, picture.shape[1:], strict=True)
    )
    left = columns.min()
    strip = picture[:, rows, left : columns.max() + 1]
    return strip[:, :, columns - left]  # in two steps: a fourth of the time of both at once


def _mirrored(positions: Array, size: int) -> Array:
    """Positions outside 0 ... size - 1 reflected into it, however far out: period 2 (size - 1)."""
    if size == 1:
        return np.zeros_like(positions)
    folded = np.mod(positions, 2 * (size - 1))
    return np.minimum(folded, 2 * (size - 1) - folded)


def _through(model: Model, tile: Array) -> Array:
    """One tile through the generator: (C, height, width) -> the same shape."""
    colour = np.broadcast_to(tile, (3, *tile.shape[1:]))
    with no_grad():
        picture = Tensor(np.ascontiguousarray(colour[None])).to(model.device)
        result = model.generator(picture).to("cpu")._array[0]
    return result if len(tile) == 3 else result.mean(axis=0, keepdims=True)


def _blend(total: Array, weight: Array, result: Array, place: Place, tiling: Tiling) -> None:
    """Add a tile's kept part, weighted, to the picture; and its weights to theirs."""
    top, left = place
    down, across = (_ramp(kept, tiling.overlap) for kept in tiling.kept)
    bottom, right = (
        min(s + kept, n) for s, kept, n in zip(place, tiling.kept, weight.shape, strict=True)
    )
    height, width = bottom - top, right - left
    weights = np.outer(down[:height], across[:width])
    kept = result[:, tiling.rim : tiling.rim + height, tiling.rim : tiling.rim + width]
    total[:, top:bottom, left:right] += kept * weights
    weight[top:bottom, left:right] += weights


def _ramp(kept: int, overlap: int) -> Array:
    """Weights along a side, which rise linearly over the overlap and fall again."""
    from_ends = np.minimum(np.arange(1, kept + 1), np.arange(kept, 0, -1))
    return np.minimum(from_ends, overlap + 1).astype(np.float32)
