"""Restoring pictures of any size, by tiles, with memory that hardly grows with them.

Processes or threads put tiles through the generator; `minigan.deblur.tiles` cuts them from a picture and
puts their results together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from minigan.core.forked import ForkedMap, can_fork
from minigan.core.graph import no_grad
from minigan.core.parallel import Workers
from minigan.core.tensor import Array, Tensor
from minigan.deblur.model import Model
from minigan.deblur.tiles import Job, checked, most_in_a_tile, tiles_of

_WORTH_FORKING = 4  # tiles: to fork a process takes as long as a third of one
_LARGE = 16  # tiles: a picture of as many is restored alone; it keeps all processes busy

# From tiles (C, height, width), the generator's results for them, in order.
Through = Callable[[Iterable[Array]], Iterator[Array]]

# Gets the number of pixels of each tile that is done.
Progress = Callable[[int], None]

Key = TypeVar("Key")


def restore(model: Model, picture: Array, workers: Workers | None = None) -> Array:
    """Sharpen a picture (C, H, W) with C = 3, or 1 for grey: the same shape and dtype.

    Floats are in [0, 1] and give float32. Of whole numbers, uint8 or uint16, the largest is white; they
    are converted tile by tile, so that a large photograph takes no more memory than twice its own.

    Any height and width. A grey picture goes through as colour, and its three results are averaged.
    `workers` lets tiles be computed at the same time, or one tile's operations be shared out; the
    result has the same bits.
    """
    if workers is None:
        return Restorer(model, partial(map, partial(_through, model)))(picture)
    if tiles_of(model, checked(picture).shape[1:])[0] < _WORTH_FORKING:
        return Restorer(model, _on_threads(model, workers))(picture)
    with restorer(model, workers) as restored:
        return restored(picture)


@contextmanager
def restorer(model: Model, workers: Workers) -> Iterator[Restorer]:
    """`restore` for many pictures, by a model that does not change inside the block.

    Tiles are computed in processes, which are forked once and end with the block; on threads where
    processes cannot be forked, or the generator is not on the CPU.
    """
    if workers.count == 1 or model.device != "cpu" or not can_fork():
        yield Restorer(model, _on_threads(model, workers))
        return
    room = most_in_a_tile(model)
    forked = ForkedMap("restore", partial(_through, model), (room, room), workers.count - 1)
    with closing(forked):
        yield Restorer(model, forked)


class Restorer:
    """Restores one picture after the other, or several small ones at the same time."""

    def __init__(self, model: Model, many: Through):
        self.model, self._many = model, many

    def __call__(self, picture: Array, progress: Progress | None = None) -> Array:
        """What `restore` gives."""
        ((_, result),) = self.each([(None, picture)], progress)
        return result

    def each(
        self, pictures: Iterable[tuple[Key, Array]], progress: Progress | None = None
    ) -> Iterator[tuple[Key, Array]]:
        """The results for pictures, each with a key of the caller's, in their order.

        The tiles of small pictures that follow each other are computed at the same time, so that a
        picture is fetched before those ahead of it are done. After a large one, none is: no two of
        them are in memory.
        """
        source = iter(pictures)
        while True:
            begun: deque[tuple[Key, Job]] = deque()
            results, found = self._results(self._tiles(source, begun)), False
            for first in results:
                found = True
                key, job = begun.popleft()
                # Not strict: what is left of `results` belongs to the next pictures.
                for place, result in zip(job.places, chain([first], results)):  # noqa: B905
                    job.put(result, place)
                    if progress is not None:
                        progress(job.new_pixels(place))
                yield key, job.result
                del key, job  # a large picture goes before the next is fetched
            if not found:
                return

    def _tiles(
        self, source: Iterator[tuple[Key, Array]], begun: deque[tuple[Key, Job]]
    ) -> Iterator[Array]:
        for key, picture in source:
            job = Job(self.model, picture)
            begun.append((key, job))
            yield from job.tiles()
            if len(job.places) >= _LARGE:
                return
            del key, picture, job

    def _results(self, tiles: Iterator[Array]) -> Iterator[Array]:
        """A single tile is computed here, with its operations shared out."""
        first = list(islice(tiles, 2))
        many = self._many if len(first) > 1 else partial(map, partial(_through, self.model))
        return many(chain(first, tiles))


def _on_threads(model: Model, workers: Workers) -> Through:
    return partial(workers.imap, partial(_through, model))


def _through(model: Model, tile: Array) -> Array:
    """One tile through the generator: (C + noise channels, height, width) -> (C, height, width)."""
    channels = len(tile) - model.generator_settings.noise_channels
    colour = np.broadcast_to(tile[:channels], (3, *tile.shape[1:]))
    inputs = [colour[None]] if channels == len(tile) else [colour[None], tile[None, channels:]]
    with no_grad():
        on_device = [Tensor(np.ascontiguousarray(array)).to(model.device) for array in inputs]
        result = model.generator(*on_device).to("cpu")._array[0]
    return result if channels == 3 else result.mean(axis=0, keepdims=True)
