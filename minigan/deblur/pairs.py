"""Pairs of a blurry and a sharp picture, made from photographs as the networks need them.

Everything random comes from a seed and the number of the batch or of the photograph, so that batch
1,000 is the same whether or not the 999 before it were ever made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minigan.core.errors import ImageFileError
from minigan.core.tensor import Array
from minigan.deblur.checks import check_kernel
from minigan.deblur.crops import place_crop, probabilities
from minigan.deblur.degradation import Degradation
from minigan.deblur.metrics import psnr
from minigan.deblur.photographs import Photograph, check_sizes
from minigan.deblur.stored import CACHE_BYTES

# Each purpose draws from a sequence of its own: no test kernel is ever a training kernel.
_KERNELS, _TRAINING, _TESTING, _ORDER = 1, 2, 3, 4

# Of a data set that does not fit into memory, one photograph is exchanged for another every so many
# batches. To decode it costs some steps' time in all; it is cropped as often as there are batches.
_EXCHANGED_EVERY = 4


@dataclass(frozen=True, eq=False)
class Pair:
    """A blurry picture and the sharp one behind it, float32 (3, H, W), and the kernel between them.

    The kernel is None where nobody knows it.
    """

    name: str
    blurry: Array
    sharp: Array
    kernel: Array | None


class TrainingPairs:
    """Batches of crops from photographs, flipped and turned at random.

    Sharp photographs are degraded on the fly; of those with a blurry twin, both are cut at one place.

    All photographs are drawn from where their pixels fit into `memory` bytes. Of more, each batch sees a
    part that fits; the part changes by one photograph every few batches, through all of them in a random
    order, so that most crops come from pixels that are decoded already.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        degradation: Degradation,
        crop: int,
        batch: int,
        seed: int,
        memory: int = CACHE_BYTES,
    ):
        check_sizes(photographs, crop, degradation.margin)
        self.photographs, self.crop, self.batch, self.seed = photographs, crop, batch, seed
        self.degradation = degradation.prepared(np.random.default_rng([seed, _KERNELS]))
        total = sum(photograph.nbytes for photograph in photographs)
        self._at_once = len(photographs)
        if total > memory:
            self._at_once = max(1, len(photographs) * memory // total)
        self._part = 0, photographs, probabilities(photographs)

    def __getitem__(self, number: int) -> tuple[Array, Array]:
        """Batch `number`: inputs and sharp pictures, float32 (batch, 3, crop, crop) each.

        Raises ImageFileError for a photograph that can no longer be read.
        """
        photographs, weights = self._drawn_from(number)
        rng = np.random.default_rng([self.seed, _TRAINING, number])
        pairs = []
        for _ in range(self.batch):
            photograph = photographs[rng.choice(len(photographs), p=weights)]
            pairs.append(_crop_of(rng, photograph, self.degradation, self.crop)[:2])
        inputs, sharp = zip(*pairs, strict=True)
        return np.stack(inputs), np.stack(sharp)

    def _drawn_from(self, number: int) -> tuple[Sequence[Photograph], Array]:
        """The photographs that batch `number` may show, and how often each is drawn."""
        count = len(self.photographs)
        if self._at_once == count:
            return self._part[1:]
        first = number // _EXCHANGED_EVERY
        if self._part[0] != first or self._part[1] is self.photographs:
            part = [self.photographs[i] for i in self._in_line(first)]
            self._part = first, part, probabilities(part)
        return self._part[1:]

    def _in_line(self, first: int) -> list[int]:
        """Who stands in an endless line from `first` on: all photographs shuffled, again and again."""
        count = len(self.photographs)
        rounds, start = divmod(first, count)
        shuffled = [
            np.random.default_rng([self.seed, _ORDER, n]).permutation(count)
            for n in (rounds, rounds + 1)
        ]
        line = np.concatenate(shuffled)[start : start + self._at_once]
        return sorted(set(line.tolist()))


def unseen_pairs(
    photographs: Sequence[Photograph],
    degradation: Degradation,
    size: int = 128,
    each: int = 10,
    seed: int = 0,
) -> list[Pair]:
    """`each` crops of size x size from every photograph, upright, each with a kernel of its own."""
    return list(crops_of(photographs, degradation, size, each, seed))


def crops_of(
    photographs: Sequence[Photograph],
    degradation: Degradation,
    size: int = 128,
    each: int = 10,
    seed: int = 0,
    only: Sequence[int] | None = None,
) -> Iterator[Pair]:
    """The same, one after the other; crops of pairs have no kernel but the one that stands in a file.

    only  the numbers of some photographs, for no others than these
    """
    check_sizes(photographs, size, degradation.margin)
    for i in range(len(photographs)) if only is None else only:
        rng = np.random.default_rng([seed, _TESTING, i])
        for k in range(each):
            rng.random()  # once drew the photograph, from this one alone; without it, all figures change
            crop = _crop_of(rng, photographs[i], degradation, size, augmented=False)
            yield Pair(f"{photographs[i].name} {k + 1}", *crop)


def whole_pairs(photographs: Sequence[Photograph]) -> Iterator[Pair]:
    """Photographs with a blurry twin, each as a whole, read one after the other."""
    for photograph in photographs:
        blurry, sharp = (levels / np.float32(255) for levels in photograph.pair())
        yield Pair(photograph.name, blurry, sharp, _kernel_of(photograph))


def _crop_of(
    rng: np.random.Generator,
    photograph: Photograph,
    degradation: Degradation,
    size: int,
    augmented: bool = True,
) -> tuple[Array, Array, Array | None]:
    """Input, sharp picture and kernel at a random place of a photograph."""
    if photograph.blurry is None:
        pixels, side = photograph.pixels, size + 2 * degradation.margin
        crop = place_crop(rng, photograph.name, pixels.shape[1:], side, augmented, augmented)
        pair = degradation.draw(rng, crop.of(pixels))
        return pair.input, pair.sharp, pair.kernel
    blurry, sharp = photograph.pair()
    crop = place_crop(rng, photograph.name, sharp.shape[1:], size, augmented, augmented)
    # Of a crop that was turned, nobody asks for the kernel.
    return crop.of(blurry), crop.of(sharp), None if augmented else _kernel_of(photograph)


def _kernel_of(photograph: Photograph) -> Array | None:
    """The kernel in a photograph's file, if it has one."""
    path = photograph.kernel
    if path is None:
        return None
    try:
        kernel = check_kernel(str(path), np.load(path, allow_pickle=False))
        if not np.isfinite(kernel).all() or not kernel.sum() > 0:
            raise ValueError("its values are no weights")
        return kernel
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise ImageFileError(
            f"cannot read the kernel {path} ({reason}); it needs an array (rows, columns), both odd, as "
            "numpy.save writes it"
        ) from error


def typical(pairs: Sequence[Pair], each: int) -> list[Pair]:
    """Of each photograph's `each` pairs, the one whose blurry picture has the median PSNR."""
    groups = [pairs[i : i + each] for i in range(0, len(pairs), each)]
    by_blur = [sorted(group, key=lambda p: psnr(p.blurry, p.sharp)) for group in groups]
    return [group[len(group) // 2] for group in by_blur]


def spread_out(count: int, most: int) -> list[int]:
    """At most `most` of the numbers 0 ... count - 1, at equal distances."""
    return [i * count // min(most, count) for i in range(min(most, count))]
