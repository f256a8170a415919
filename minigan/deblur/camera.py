"""What a camera adds to a picture besides blur: the noise of light itself, and JPEG compression."""

from __future__ import annotations

import io

import numpy as np

from minigan.core.errors import ArgumentError, require
from minigan.deblur.checks import FloatArray, check_image, check_positive


def photon_noise(image: FloatArray, gain: float, rng: np.random.Generator) -> FloatArray:
    """Light counted photon by photon: gain P, with P Poisson of mean image / gain.

    A pixel of value v then has variance gain v: bright parts are noisier, black is free of noise. With
    `blur.add_noise` after it, the sum is the signal-dependent model var(v) = a v + b of Foi et al.,
    "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data" (IEEE TIP 17(10),
    2008), equation 4, with a = gain and b = sigma^2. Negative values, which only rounding makes, count as
    black. Raises ArgumentError unless gain > 0.
    """
    image = check_image("photon_noise", "image", image)
    check_positive("photon_noise", "gain", gain)
    photons = rng.poisson(image.astype(np.float64).clip(0) / gain)
    return (gain * photons).astype(np.float32)


def jpeg(image: FloatArray, quality: int) -> FloatArray:
    """A picture (C, H, W), C = 1 or 3, through a JPEG file of `quality` 1 to 95, by Pillow, and back.

    Colours are stored at half the size in both directions (4:2:0), as most cameras and Pillow's default
    have it. Raises ArgumentError for another quality or another number of channels, MissingExtraError
    without Pillow.
    """
    image = check_image("jpeg", "image", image)
    if not 1 <= quality <= 95 or len(image) not in (1, 3):
        raise ArgumentError(
            f"jpeg: quality is {quality!r} and the picture has {len(image)} channels; it needs a quality "
            "from 1 to 95, and 1 or 3 channels"
        )
    pillow = require("PIL.Image", "deblur", "compress pictures as JPEG")
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    pixels = levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)
    stream = io.BytesIO()
    pillow.fromarray(pixels).save(stream, "JPEG", quality=int(quality))
    with pillow.open(stream) as stored:
        decoded = np.atleast_3d(np.asarray(stored))
    return np.ascontiguousarray(np.moveaxis(decoded, -1, 0), np.float32) / np.float32(255)
