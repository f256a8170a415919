"""Defocus and Gaussian kernels: their weights are areas and integrals, which can be counted otherwise."""

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from minigan.core.errors import ArgumentError
from minigan.deblur.kernels import defocus_kernel, gaussian_kernel

RADII = (0.2, 0.5, 0.75, 1.0, math.sqrt(2), 2.3, 4.0, 7.5)


def counted_disc(radius, canvas, steps=40):
    """Shares of the disc in each pixel, by counting points of a fine grid."""
    side = (2 * canvas + 1) * steps
    line = (np.arange(side) + 0.5) / steps - canvas - 0.5
    inside = line[:, None] ** 2 + line[None, :] ** 2 <= radius**2
    blocks = inside.reshape(2 * canvas + 1, steps, 2 * canvas + 1, steps).sum((1, 3))
    return blocks / blocks.sum()


class TestDefocus:
    @pytest.mark.parametrize("radius", RADII)
    def test_each_pixel_has_its_share_of_the_area(self, radius):
        kernel = defocus_kernel(radius)
        canvas = math.ceil(radius)
        assert kernel.shape == (2 * canvas + 1,) * 2
        counted = counted_disc(radius, canvas, steps=200 if radius < 3 else 60)
        np.testing.assert_allclose(kernel, counted, atol=2e-3 / radius)

    @pytest.mark.parametrize("radius", [2.3, 4.0])
    def test_a_pixel_inside_has_one_over_the_area(self, radius):
        kernel = defocus_kernel(radius)
        middle = len(kernel) // 2
        assert kernel[middle, middle] == pytest.approx(1 / (math.pi * radius**2), rel=1e-6)

    @pytest.mark.parametrize("radius", RADII)
    def test_the_sum_is_one_and_all_eight_symmetries_hold(self, radius):
        kernel = defocus_kernel(radius)
        assert kernel.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
        assert kernel.min() >= 0
        for turned in (kernel[::-1], kernel[:, ::-1], kernel.T):
            np.testing.assert_allclose(turned, kernel, atol=1e-7)

    def test_within_a_pixel_nothing_is_blurred(self):
        np.testing.assert_array_equal(defocus_kernel(0.5) > 0, np.eye(3)[1][:, None] * np.eye(3)[1])

    def test_a_larger_canvas_changes_no_weight(self):
        np.testing.assert_allclose(
            defocus_kernel(2.3, canvas=6), np.pad(defocus_kernel(2.3), 3), atol=1e-8
        )

    def test_the_radius_grows_smoothly(self):
        """No step anywhere: between neighbouring radii, no weight changes by more than they do."""
        radii = np.arange(1.5, 3.0, 0.01)
        kernels = [defocus_kernel(radius, canvas=4) for radius in radii]
        steps = [np.abs(b - a).max() for a, b in itertools.pairwise(kernels)]
        assert max(steps) < 0.004

    @pytest.mark.parametrize("radius", [0, -1, math.inf, math.nan])
    def test_refuses_a_radius(self, radius):
        with pytest.raises(
            ArgumentError, match="defocus_kernel: radius must be finite and above 0"
        ):
            defocus_kernel(radius)

    def test_refuses_a_canvas(self):
        with pytest.raises(
            ArgumentError, match=r"radius 2.5 needs a canvas of at least 3 .* got 2"
        ):
            defocus_kernel(2.5, canvas=2)


class TestGaussian:
    @pytest.mark.parametrize("spread", [0.8, 1.5, 3.0])
    def test_is_that_of_scipy_blurred_by_a_pixel(self, spread):
        """Integrals over pixels: a Gaussian sampled a hundred times as finely, summed up."""
        fine, radius = 21, math.ceil(3 * spread)
        side = (2 * radius + 1) * fine
        point = np.zeros(side)
        point[side // 2] = 1
        line = ndimage.gaussian_filter1d(point, spread * fine, truncate=9, mode="constant")
        pixels = line.reshape(2 * radius + 1, fine).sum(1)
        expected = np.outer(pixels, pixels)
        np.testing.assert_allclose(
            gaussian_kernel(spread), expected / expected.sum(), rtol=2e-3, atol=1e-6
        )

    def test_its_variance_is_that_of_the_gaussian_and_of_a_pixel(self):
        kernel = gaussian_kernel(2.0).astype(np.float64)
        offsets = np.arange(len(kernel)) - len(kernel) // 2
        variance = float(kernel.sum(0) @ offsets**2)
        assert variance == pytest.approx(4 + 1 / 12, rel=0.03)  # 0.3 % of a line is cut off

    def test_far_below_a_pixel_nothing_is_blurred(self):
        np.testing.assert_allclose(gaussian_kernel(0.01), np.outer(*[[0, 1, 0]] * 2), atol=1e-7)

    def test_refuses(self):
        with pytest.raises(ArgumentError, match="spread must be finite and above 0, got 0"):
            gaussian_kernel(0)
        with pytest.raises(ArgumentError, match="needs a canvas of at least 6 pixels, got 5"):
            gaussian_kernel(2.0, canvas=5)
