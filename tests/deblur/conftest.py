"""Small photographs and settings that the tests of the deblurring share."""

import numpy as np
import pytest

from minigan.deblur.networks import GeneratorSettings
from minigan.deblur.photographs import Photograph
from minigan.deblur.train import TrainSettings


@pytest.fixture
def photographs():
    """Three photographs of 180 x 200 pixels with edges and texture, each different."""
    made = []
    for i in range(3):
        rng = np.random.default_rng(i)
        blocks = rng.integers(0, 256, (3, 18, 20))
        pixels = np.kron(blocks, np.ones((10, 10))) + rng.normal(0, 8, (3, 180, 200))
        made.append(Photograph(f"made {i}", np.clip(pixels, 0, 255).astype(np.uint8)))
    return made


@pytest.fixture
def settings():
    """A training run of a second."""
    return TrainSettings(
        steps=6,
        batch=2,
        crop=16,
        critic_width=2,
        report_every=2,
        generator=GeneratorSettings(width=2, blocks=1),
    )
