"""The metrics against figures worked out by hand, and against their formulas."""

import math
import sys

import numpy as np
import pytest
from scipy.signal import convolve2d

from minigan.core.errors import ArgumentError, MissingExtraError, ShapeError
from minigan.deblur.metrics import (
    GMSD_CONSTANT,
    Summary,
    gmsd,
    psnr,
    sharpness_ratio,
    ssim,
    summarise,
)

METRICS = [psnr, ssim, sharpness_ratio, gmsd]


def pictures(height=24, width=30, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    sharp = rng.random((channels, height, width), dtype=np.float32)
    result = (0.7 * sharp + 0.3 * rng.random(sharp.shape)).astype(np.float32)
    return result, sharp


def enlarge(rows):
    """Make a (1, 2 rows, 2 columns) picture whose 2x2 averages are the numbers given."""
    return np.kron(np.array(rows, np.float32), np.ones((2, 2), np.float32))[None]


@pytest.mark.parametrize("metric", METRICS)
class TestAll:
    def test_knows_a_perfect_result(self, metric):
        _, sharp = pictures()
        perfect = {psnr: math.inf, ssim: 1.0, sharpness_ratio: 1.0, gmsd: 0.0}[metric]
        value = metric(sharp, sharp.copy())
        assert value == pytest.approx(perfect, abs=1e-12)
        assert type(value) is float

    def test_refuses_what_cannot_be_compared(self, metric):
        _, sharp = pictures()
        with pytest.raises(ShapeError, match=rf"{metric.__name__}: .*got \(3, 23, 30\) and"):
            metric(sharp[:, 1:], sharp)
        with pytest.raises(ShapeError, match=r"sharp must have shape \(C, H, W\)"):
            metric(sharp, sharp[0])
        with pytest.raises(ArgumentError, match=r"result must hold floating-point.*uint8"):
            metric((255 * sharp).astype(np.uint8), sharp)


class TestPsnr:
    @pytest.mark.parametrize(("error", "expected"), [(1.0, 0.0), (0.1, 20.0), (0.01, 40.0)])
    def test_of_an_even_error(self, error, expected):
        sharp = np.zeros((3, 4, 5), np.float32)
        assert psnr(sharp + np.float32(error), sharp) == pytest.approx(expected, abs=1e-5)

    def test_averages_squares_over_channels_and_pixels_before_the_logarithm(self):
        sharp = np.zeros((2, 2, 2), np.float32)
        result = sharp.copy()
        result[0, 0, 0] = 0.8
        assert psnr(result, sharp) == pytest.approx(-10 * math.log10(0.64 / 8), abs=1e-5)


class TestSsim:
    def test_of_two_flat_pictures_is_the_luminance_term(self):
        dark, light = (np.full((1, 16, 16), level, np.float32) for level in (0.25, 0.75))
        c1 = 0.01**2
        expected = (2 * 0.25 * 0.75 + c1) / (0.25**2 + 0.75**2 + c1)
        assert ssim(dark, light) == pytest.approx(expected, abs=1e-9)

    def test_is_the_formula_of_the_paper(self):
        result, sharp = pictures()
        taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
        window = np.outer(taps, taps) / taps.sum() ** 2

        def mean(plane):
            return convolve2d(plane, window, "valid")

        def similarity(x, y):
            mx, my = mean(x), mean(y)
            vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
            c1, c2 = 0.01**2, 0.03**2
            luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
            return (luminance * (2 * vxy + c2) / (vx + vy + c2)).mean()

        planes = zip(result.astype(float), sharp.astype(float), strict=True)
        expected = np.mean([similarity(x, y) for x, y in planes])
        assert ssim(result, sharp) == pytest.approx(expected, abs=1e-9)

    def test_refuses_pictures_smaller_than_its_window(self):
        result, sharp = pictures(10, 30)
        with pytest.raises(ShapeError, match=r"ssim: .* at least 11x11 pixels, got 10x30"):
            ssim(result, sharp)
        assert ssim(*pictures(11, 11)) < 1

    def test_says_what_to_install_without_scikit_image(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skimage.metrics", None)
        with pytest.raises(MissingExtraError, match=r"pip install 'minigan\[deblur\]'"):
            ssim(*pictures())


class TestSharpnessRatio:
    def test_by_hand(self):
        # Across: (0.2 + 0.4) / 2 = 0.3, down: 0.1; against 0.1 and 0.7.
        result = np.array([[[0.0, 0.2], [0.0, 0.4]]], np.float32)
        sharp = np.array([[[0.1, 0.2], [0.8, 0.9]]], np.float32)
        assert sharpness_ratio(result, sharp) == pytest.approx((0.3 + 0.1) / (0.1 + 0.7), rel=1e-6)

    def test_half_the_contrast_is_half_as_sharp(self):
        _, sharp = pictures()
        assert sharpness_ratio(0.5 * sharp + np.float32(0.2), sharp) == pytest.approx(0.5, rel=1e-5)

    def test_the_two_directions_count_alike_in_a_wide_picture(self):
        stripes = np.zeros((1, 4, 40), np.float32)
        stripes[:, ::2] = 1  # every difference down is 1, every difference across 0
        bars = np.zeros((1, 4, 40), np.float32)
        bars[:, :, ::2] = 1
        assert sharpness_ratio(stripes, bars) == pytest.approx(1)

    def test_against_a_flat_picture(self):
        flat, sharp = np.full((3, 8, 8), 0.5, np.float32), pictures(8, 8)[1]
        assert sharpness_ratio(flat, flat) == 1
        assert sharpness_ratio(sharp, flat) == math.inf
        assert sharpness_ratio(flat, sharp) == 0

    def test_a_single_row_has_only_one_direction(self):
        row = np.array([[[0.0, 0.5]]], np.float32)
        assert sharpness_ratio(row, row / 2) == pytest.approx(2)


class TestGmsd:
    def test_by_hand(self):
        # Halved, the result has one bright column: its gradient is 0.3 at the first inner pixel
        # and 0 at the second, where it agrees with the flat picture.
        result = enlarge([[0, 0, 0.3, 0]] * 3)
        flat = np.zeros_like(result)
        low = GMSD_CONSTANT / (0.3**2 + GMSD_CONSTANT)
        assert gmsd(result, flat) == pytest.approx((1 - low) / 2, abs=1e-6)

    def test_the_constant_is_that_of_the_published_code_rescaled(self):
        assert pytest.approx(170 / 255**2, rel=0.01) == GMSD_CONSTANT

    def test_is_the_formula_of_the_paper(self):
        result, sharp = pictures(23, 30, 1)
        prewitt = np.array([[1, 0, -1]] * 3) / 3

        def magnitude(image):
            average = convolve2d(image[0].astype(float), np.full((2, 2), 0.25), "valid")[::2, ::2]
            return np.hypot(
                convolve2d(average, prewitt, "valid"), convolve2d(average, prewitt.T, "valid")
            )

        r, s = magnitude(result), magnitude(sharp)
        expected = ((2 * r * s + 0.0026) / (r**2 + s**2 + 0.0026)).std()
        assert gmsd(result, sharp) == pytest.approx(expected, abs=1e-9)

    def test_colours_are_compared_by_their_luminance(self):
        result, sharp = pictures(channels=1)
        red = [np.concatenate([p, 0 * p, 0 * p]) for p in (result, sharp)]
        assert gmsd(*red) == pytest.approx(gmsd(0.299 * result, 0.299 * sharp), abs=1e-6)
        grey = [np.repeat(p, 3, axis=0) for p in (result, sharp)]
        assert gmsd(*grey) == pytest.approx(gmsd(result, sharp), abs=1e-6)

    def test_turning_the_picture_changes_nothing(self):
        result, sharp = pictures(24, 24)
        turned = gmsd(result.transpose(0, 2, 1), sharp.transpose(0, 2, 1))
        assert gmsd(result, sharp) == pytest.approx(turned, abs=1e-12)

    def test_refuses(self):
        with pytest.raises(ShapeError, match=r"gmsd: .* at least 6x6 pixels, got 5x9"):
            gmsd(*pictures(5, 9))
        with pytest.raises(ShapeError, match=r"gmsd: .* 1 or 3 channels, got 4"):
            gmsd(*pictures(channels=4))


class TestSummarise:
    def test_by_hand(self):
        summary = summarise([1.0, 2.0, 3.0, 6.0], inputs=[2.0, 2.0, 2.0, 2.0])
        assert summary == Summary(count=4, mean=3.0, std=math.sqrt(14 / 4), worse=0.25)

    def test_lower_may_be_better(self):
        values, inputs = [0.1, 0.3, 0.2, 0.5], [0.2, 0.2, 0.2, 0.2]
        assert summarise(values, inputs, higher_is_better=False).worse == 0.5
        assert summarise(values, inputs, higher_is_better=True).worse == 0.25

    def test_without_inputs_nothing_is_said_of_worse(self):
        assert summarise([2.0]) == Summary(count=1, mean=2.0, std=0.0, worse=None)

    def test_a_perfect_image_among_them(self):
        summary = summarise([math.inf, 30.0], [math.inf, 31.0])
        assert summary.mean == math.inf
        assert math.isnan(summary.std)
        assert summary.worse == 0.5

    def test_refuses(self):
        with pytest.raises(ArgumentError, match="at least one figure, got 0"):
            summarise([])
        with pytest.raises(ArgumentError, match="one figure for each of the 2 values, got 1"):
            summarise([1.0, 2.0], [1.0])
