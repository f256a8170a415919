"""Small photographs and settings that the tests of the deblurring share."""

import made_photographs
import pytest

from minigan.deblur.networks import CriticSettings, GeneratorSettings
from minigan.deblur.settings import TrainSettings


@pytest.fixture
def photographs():
    """Three small photographs."""
    return made_photographs.photographs()


@pytest.fixture
def settings():
    """A training run of a second."""
    return TrainSettings(
        steps=6,
        batch=2,
        crop=16,
        critic=CriticSettings(width=2),
        report_every=2,
        generator=GeneratorSettings(width=2, blocks=1),
    )
