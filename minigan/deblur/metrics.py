"""How near a restored picture comes to the sharp one, and how such figures are summed up.

Pictures are floating-point arrays of shape (C, H, W) with values in [0, 1]; every comparison is
computed in float64. All functions raise ShapeError for other shapes or for two pictures of
different shapes, and ArgumentError for arrays of integers: round to 8 bits with `blur.quantize`,
which stays in [0, 1], because arithmetic on bytes wraps round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minigan.core.errors import ArgumentError, ShapeError, require
from minigan.deblur.blur import FloatArray, check_image

# Xue et al. give 0.0026 for luminance in [0, 1]; their code says 170 for 0 to 255: 170 / 255^2.
GMSD_CONSTANT = 0.0026
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, for R, G, B
SSIM_WINDOW = 11  # pixels: a Gaussian of sigma 1.5, cut off at 3.5 sigma


def psnr(result: FloatArray, sharp: FloatArray) -> float:
    """Peak signal-to-noise ratio in dB, -10 log10(mean((result - sharp)^2)); inf if equal.

    The peak is 1, and the mean goes over all channels and pixels.
    """
    result64, sharp64 = _pair("psnr", result, sharp)
    error = float(np.mean((result64 - sharp64) ** 2))
    return -10 * math.log10(error) if error else math.inf


def ssim(result: FloatArray, sharp: FloatArray) -> float:
    """Structural similarity, at most 1: the mean over pixels, then over channels.

    Wang et al., "Image quality assessment: from error visibility to structural similarity" (IEEE
    TIP 13(4), 2004), with that paper's settings: Gaussian window of sigma 1.5, population
    covariance, K1 = 0.01, K2 = 0.03, data range 1. Computed by scikit-image, which leaves out a
    border of 5 pixels. Raises ShapeError for pictures smaller than 11x11 pixels.
    """
    result64, sharp64 = _pair("ssim", result, sharp)
    _check_side("ssim", result64, SSIM_WINDOW)
    metrics = require("skimage.metrics", "deblur", "compute SSIM")
    return float(
        metrics.structural_similarity(
            result64,
            sharp64,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=0,
        )
    )


def sharpness_ratio(result: FloatArray, sharp: FloatArray) -> float:
    """Mean absolute difference of neighbours in the result, over that in the sharp picture.

        S(I) = mean |I[y, x + 1] - I[y, x]| + mean |I[y + 1, x] - I[y, x]|,  S(result) / S(sharp)

    1 is ideal, less is blurry, more is noisy or over-sharpened. It looks at no position, so it
    says nothing unless read beside PSNR or SSIM. If the sharp picture is flat, 1 for a flat result
    and inf for another.
    """
    variation, wanted = (
        _total_variation(image) for image in _pair("sharpness_ratio", result, sharp)
    )
    if wanted == 0:
        return 1.0 if variation == 0 else math.inf
    return variation / wanted


def gmsd(result: FloatArray, sharp: FloatArray) -> float:
    """Gradient-magnitude similarity deviation: 0 for equal gradients, larger is worse.

    Xue et al., "Gradient magnitude similarity deviation: a highly efficient perceptual image
    quality index" (IEEE TIP 23(2), 2014). The luminance is averaged over 2x2 pixels and halved in
    size; m is its gradient magnitude under the Prewitt operator (divided by 3), and

        GMS = (2 m_r m_s + c) / (m_r^2 + m_s^2 + c),  c = `GMSD_CONSTANT`

    at each pixel; GMSD is the standard deviation of GMS over the pixels. Only pixels whose window
    lies inside the picture count; the authors' code takes what lies outside for black instead.
    Raises ShapeError for pictures smaller than 6x6 pixels, or with neither 1 nor 3 channels.
    """
    pair = _pair("gmsd", result, sharp)
    _check_side("gmsd", pair[0], 6)
    m_r, m_s = (_prewitt_magnitude(_halve(_luminance("gmsd", image))) for image in pair)
    similarity = (2 * m_r * m_s + GMSD_CONSTANT) / (m_r**2 + m_s**2 + GMSD_CONSTANT)
    return float(similarity.std())


@dataclass(frozen=True)
class Summary:
    """One figure per image, summed up over the images.

    `std` is the population standard deviation: the spread of the images, not the error of the mean.
    `worse` is the share of images, 0 to 1, that the restorer made worse than its input was, or
    None where there is nothing to compare with.
    """

    count: int
    mean: float
    std: float
    worse: float | None


def summarise(
    values: Sequence[float],
    inputs: Sequence[float] | None = None,
    higher_is_better: bool = True,
) -> Summary:
    """Sum up per-image figures; `inputs` are the figures of the blurry images, in the same order.

    With an infinite value among them (the PSNR of equal pictures) the mean is infinite and the
    deviation nan. Raises ArgumentError without values, or if the two differ in number.
    """
    if not len(values):
        raise ArgumentError("summarise: values must hold at least one figure, got 0")
    if inputs is not None and len(inputs) != len(values):
        raise ArgumentError(
            f"summarise: inputs must hold one figure for each of the {len(values)} values, got "
            f"{len(inputs)}"
        )
    figures = np.asarray(values, dtype=np.float64)
    finite = bool(np.isfinite(figures).all())
    worse = None
    if inputs is not None:
        before = np.asarray(inputs, dtype=np.float64)
        # Compared, not subtracted: the difference of two infinite figures would be nan.
        worse = float(np.mean(figures < before if higher_is_better else figures > before))
    return Summary(
        count=len(figures),
        mean=float(figures.mean()),
        std=float(figures.std()) if finite else math.nan,
        worse=worse,
    )


def _pair(
    where: str, result: FloatArray, sharp: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both pictures as float64, or say why they cannot be compared."""
    result, sharp = check_image(where, "result", result), check_image(where, "sharp", sharp)
    if result.shape != sharp.shape:
        raise ShapeError(
            f"{where}: result and sharp must have the same shape, got {result.shape} and "
            f"{sharp.shape}"
        )
    return result.astype(np.float64), sharp.astype(np.float64)


def _check_side(where: str, image: NDArray[np.float64], least: int) -> None:
    height, width = image.shape[1:]
    if min(height, width) < least:
        raise ShapeError(
            f"{where}: a picture must be at least {least}x{least} pixels, got {height}x{width}"
        )


def _total_variation(image: NDArray[np.float64]) -> float:
    """Return S(I); a picture of one row or one column has no differences that way."""
    steps = (np.abs(np.diff(image, axis=axis)) for axis in (1, 2))
    return float(sum(step.mean() for step in steps if step.size))


def _luminance(where: str, image: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(image) == 1:
        return image[0]
    if len(image) == 3:
        return np.tensordot(LUMA, image, axes=1)
    raise ShapeError(f"{where}: a picture must have 1 or 3 channels, got {len(image)}")


def _halve(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average blocks of 2x2 pixels; an odd last row or column is left out."""
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    return plane[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def _prewitt_magnitude(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sqrt(gx^2 + gy^2): differences two pixels apart, averaged over three lines."""
    across = plane[:, 2:] - plane[:, :-2]
    down = plane[2:] - plane[:-2]
    gx = (across[:-2] + across[1:-1] + across[2:]) / 3
    gy = (down[:, :-2] + down[:, 1:-1] + down[:, 2:]) / 3
    return np.sqrt(gx**2 + gy**2)
