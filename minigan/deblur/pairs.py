"""Pairs of a blurry and a sharp picture, made from sharp photographs as the networks need them.

Everything random comes from a seed and the number of the batch or of the photograph, so that batch
1,000 is the same whether or not the 999 before it were ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigan.core.tensor import Array
from minigan.deblur.blur import BlurSettings, degrade
from minigan.deblur.metrics import psnr
from minigan.deblur.photographs import Photograph, check_sizes, random_crop

# Each purpose draws from a sequence of its own: no test kernel is ever a training kernel.
_KERNELS, _TRAINING, _TESTING = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Pair:
    """A blurry picture and the sharp one behind it, float32 (3, H, W), and the kernel between them."""

    name: str
    blurry: Array
    sharp: Array
    kernel: Array


class TrainingPairs:
    """Batches of crops from photographs, each blurred by one of `kernels` drawn beforehand.

    Drawing a kernel takes as long as blurring with it; some thousands of them, on crops that are
    flipped and turned, repeat so rarely that nothing is lost.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        blur: BlurSettings,
        crop: int,
        batch: int,
        seed: int,
        kernels: int = 2000,
    ):
        check_sizes(photographs, crop + 2 * blur.margin)
        self.photographs, self.blur, self.crop, self.batch = photographs, blur, crop, batch
        self.seed = seed
        rng = np.random.default_rng([seed, _KERNELS])
        self.kernels = [blur.draw_kernel(rng) for _ in range(kernels)]

    def __getitem__(self, number: int) -> tuple[Array, Array]:
        """Batch `number`: blurry and sharp, float32 (batch, 3, crop, crop) each."""
        rng = np.random.default_rng([self.seed, _TRAINING, number])
        pairs = [self._draw(rng) for _ in range(self.batch)]
        return np.stack([blurry for blurry, _ in pairs]), np.stack([sharp for _, sharp in pairs])

    def _draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        sharp = random_crop(rng, self.photographs, self.crop + 2 * self.blur.margin)
        kernel = self.kernels[rng.integers(len(self.kernels))]
        return degrade(sharp, kernel, self.blur.sigma, rng)


def unseen_pairs(
    photographs: Sequence[Photograph],
    blur: BlurSettings,
    size: int = 128,
    each: int = 10,
    seed: int = 0,
) -> list[Pair]:
    """`each` crops of size x size from every photograph, upright, each with a kernel of its own."""
    check_sizes(photographs, size + 2 * blur.margin)
    pairs = []
    for i, photograph in enumerate(photographs):
        rng = np.random.default_rng([seed, _TESTING, i])
        for k in range(each):
            crop = random_crop(rng, [photograph], size + 2 * blur.margin, flips=False, turns=False)
            kernel = blur.draw_kernel(rng)
            blurry, sharp = degrade(crop, kernel, blur.sigma, rng)
            pairs.append(Pair(f"{photograph.name} {k + 1}", blurry, sharp, kernel))
    return pairs


def typical(pairs: Sequence[Pair], each: int) -> list[Pair]:
    """Of each photograph's `each` pairs, the one whose blurry picture has the median PSNR."""
    groups = [pairs[i : i + each] for i in range(0, len(pairs), each)]
    by_blur = [sorted(group, key=lambda p: psnr(p.blurry, p.sharp)) for group in groups]
    return [group[len(group) // 2] for group in by_blur]
