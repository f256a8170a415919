"""Distributions of points in the plane, and how many of their heaps a generator has found.

Heaps of points far apart are where mode collapse shows: a generator that makes only some of them can
look right to a discriminator that sees one point at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.core.tensor import Array

NEAR = 3.0  # deviations within which a sample is good


@dataclass(frozen=True, eq=False)
class Mixture:
    """Normal distributions of one deviation around `centres` (K, 2), all equally likely."""

    name: str
    centres: Array
    deviation: float

    def sample(self, count: int, random: np.random.Generator) -> Array:
        """float32 (count, 2)."""
        chosen = self.centres[random.integers(len(self.centres), size=count)]
        return (chosen + random.normal(scale=self.deviation, size=(count, 2))).astype(np.float32)


def ring(modes: int = 8, deviation: float = 0.02) -> Mixture:
    """Around a circle of radius 1, as in Metz et al. 2017, appendix A (whose ring has radius 2)."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return Mixture("ring", np.stack([np.cos(angles), np.sin(angles)], axis=1), deviation)


def grid(side: int = 5, deviation: float = 0.0125) -> Mixture:
    """side x side heaps over [-1, 1]; the deviation is 1/40 of their distance, as in Srivastava et
    al. 2017 (VEEGAN), section 4.1.
    """
    line = np.linspace(-1, 1, side)
    return Mixture("grid", np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), deviation)


MIXTURES = {"ring": ring, "grid": grid}


def mixture_named(name: str) -> Mixture:
    """The mixture of that name, or an ArgumentError that lists the names there are."""
    try:
        return MIXTURES[name]()
    except (KeyError, TypeError):
        known = ", ".join(MIXTURES)
        raise ArgumentError(f"there is no mixture named {name!r}; the names are {known}") from None


class Coverage(NamedTuple):
    """What a generator's samples cover of a mixture.

    modes  how many centres have a good sample nearest to them
    good   the share of samples that are good: within `NEAR` deviations of a centre
    """

    modes: int
    good: float


def coverage(samples: Array, mixture: Mixture) -> Coverage:
    """How many modes the samples (N, 2) find, and how many of them are good.

    The metric of VEEGAN (Srivastava et al. 2017, section 4.1) and PacGAN (Lin et al. 2018, section 4.1).
    """
    found = nearest(samples, mixture)
    good = np.linalg.norm(samples - mixture.centres[found], axis=1) < NEAR * mixture.deviation
    return Coverage(len(np.unique(found[good])), float(good.mean()))


def nearest(samples: Array, mixture: Mixture) -> Array:
    """The number of the centre that is nearest to each sample: (N,)."""
    return np.linalg.norm(samples[:, None] - mixture.centres[None], axis=2).argmin(axis=1)
