"""Photon noise has the variance of light, and JPEG costs what JPEG costs."""

import numpy as np
import pytest

from minigan.core.errors import ArgumentError
from minigan.deblur.camera import jpeg, photon_noise


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("value", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("gain", [1e-3, 1e-2])
def test_the_variance_is_gain_times_value(value, gain):
    noisy = photon_noise(np.full((1, 300, 300), value, np.float32), gain, generator())
    assert noisy.mean() == pytest.approx(value, rel=0.01)
    assert noisy.var() == pytest.approx(gain * value, rel=0.03)
    assert noisy.dtype == np.float32


def test_black_stays_black_and_what_rounding_made_of_it_too():
    dark = np.array([[[0.0, -1e-9]]], np.float32)
    np.testing.assert_array_equal(photon_noise(dark, 0.01, generator()), [[[0, 0]]])


@pytest.mark.parametrize("gain", [0, -1, np.nan])
def test_no_gain_is_refused(gain):
    with pytest.raises(ArgumentError, match="photon_noise: gain must be finite and above 0"):
        photon_noise(np.zeros((1, 2, 2), np.float32), gain, generator())


def picture(channels=3):
    """Soft waves with some noise on them."""
    y, x = np.mgrid[:40, :56] / 9
    waves = np.stack([np.sin(x + c) * np.cos(y - c) for c in range(channels)]) * 0.3 + 0.5
    return (waves + generator().normal(0, 0.02, waves.shape)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_keeps_shape_and_loses_more_at_lower_quality(channels):
    sharp = picture(channels)
    errors = [np.abs(jpeg(sharp, quality) - sharp).mean() for quality in (95, 60, 20, 5)]
    assert errors == sorted(errors)
    assert errors[0] < 0.02
    stored = jpeg(sharp, 60)
    assert stored.shape == sharp.shape
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(
        stored, np.rint(stored * 255).astype(np.float32) / np.float32(255)
    )


@pytest.mark.parametrize(("channels", "quality"), [(3, 0), (3, 96), (2, 50)])
def test_what_jpeg_cannot_do(channels, quality):
    with pytest.raises(ArgumentError, match="jpeg: quality is"):
        jpeg(np.zeros((channels, 8, 8), np.float32), quality)
