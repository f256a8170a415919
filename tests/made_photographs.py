"""Photographs for tests, made of numbers alone."""

from __future__ import annotations

import numpy as np

from minigan.deblur.photographs import Photograph


def photographs() -> list[Photograph]:
    """Three of 180 x 200 pixels with edges and texture, each different."""
    made = []
    for i in range(3):
        rng = np.random.default_rng(i)
        blocks = rng.integers(0, 256, (3, 18, 20))
        pixels = np.kron(blocks, np.ones((10, 10))) + rng.normal(0, 8, (3, 180, 200))
        made.append(Photograph(f"made {i}", np.clip(pixels, 0, 255).astype(np.uint8)))
    return made
