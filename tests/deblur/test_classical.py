"""The classical restorers against their formulas, and the least-squares filter on known answers."""

import sys

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import convolve2d

from minigan.core.errors import ArgumentError, MissingExtraError, ShapeError
from minigan.deblur.blur import add_noise, convolve, degrade
from minigan.deblur.classical import (
    LeastSquaresFilter,
    inverse_filter,
    richardson_lucy,
    unsharp_mask,
    wiener,
)
from minigan.deblur.kernels import motion_kernel
from minigan.deblur.metrics import psnr

KNOW_THE_KERNEL = [inverse_filter, wiener, richardson_lucy]
# Neither symmetric nor hard to invert: a turned, mirrored or shifted kernel shows at once.
LOPSIDED = np.array([[0, 0, 0], [0.05, 0.6, 0.25], [0, 0.1, 0]], np.float32)


def generator(seed=0):
    return np.random.default_rng(seed)


def city(size=64, channels=3, seed=0):
    """A sharp picture: boxes of random brightness before a smooth sky, and edges all over."""
    rng = generator(seed)
    picture = np.linspace(0.2, 0.8, size)[:, None] * np.ones((channels, size, size))
    for _ in range(40):
        top, left = rng.integers(0, size - 4, 2)
        height, width = rng.integers(3, size // 3, 2)
        picture[:, top : top + height, left : left + width] = rng.random((channels, 1, 1))
    return picture.astype(np.float32)


def pair(seed=0, sigma=2 / 255, length=10.0):
    kernel = motion_kernel(generator(seed), length, 1.0)
    blurry, sharp = degrade(city(96, seed=seed), kernel, sigma, generator(seed))
    return blurry, sharp, kernel


def mirrored(plane, pad):
    return np.pad(plane.astype(np.float64), pad, mode="reflect")


@pytest.mark.parametrize("restore", KNOW_THE_KERNEL)
class TestAllThatKnowTheKernel:
    def test_a_picture_comes_back_with_its_shape_type_and_range(self, restore):
        blurry = generator().random((2, 31, 44), dtype=np.float32)
        result = restore(blurry, motion_kernel(generator(1), 9.0))
        assert result.shape == blurry.shape
        assert result.dtype == np.float32
        assert result.min() >= 0
        assert result.max() <= 1

    def test_channels_do_not_mix(self, restore):
        blurry, _, kernel = pair()
        alone = np.concatenate([restore(blurry[i : i + 1], kernel) for i in range(3)])
        np.testing.assert_array_equal(restore(blurry, kernel), alone)

    def test_a_flat_picture_stays_flat_to_its_borders(self, restore):
        flat = np.full((1, 40, 40), 0.4, np.float32)
        result = restore(flat, motion_kernel(generator(), 8.0, 1.0))
        np.testing.assert_allclose(result, 0.4, atol=2e-3)

    def test_gentle_blur_without_noise_is_undone(self, restore):
        sharp = city(70)
        blurry = convolve(sharp, LOPSIDED)
        centre = sharp[:, 1:-1, 1:-1]
        gain = psnr(restore(blurry, LOPSIDED), centre) - psnr(blurry, centre)
        turned = psnr(restore(blurry, LOPSIDED[::-1, ::-1]), centre) - psnr(blurry, centre)
        assert gain > 4
        assert turned < 0

    def test_refuses_what_is_no_picture_or_no_kernel(self, restore):
        name = restore.__name__
        with pytest.raises(ShapeError, match=rf"{name}: blurry must have shape \(C, H, W\)"):
            restore(np.zeros((8, 8), np.float32), LOPSIDED)
        with pytest.raises(ShapeError, match=f"{name}: kernel must have an odd number"):
            restore(np.zeros((1, 8, 8), np.float32), LOPSIDED[:2])


class TestInverseFilter:
    def test_is_exact_where_mirroring_knows_what_lies_outside(self):
        # Round the picture lies a flat frame, so the mirrored blurry picture is the blur of the
        # mirrored sharp one.
        sharp = np.pad(city(40), ((0, 0), (8, 8), (8, 8)), constant_values=0.5)
        blurry = convolve(sharp, LOPSIDED, "same")
        # float32 rounding, some 1e-7, divided by |H| of at least 0.2.
        np.testing.assert_allclose(inverse_filter(blurry, LOPSIDED), sharp, atol=1e-5)

    def test_a_little_noise_ruins_it(self):
        blurry, sharp, kernel = pair()
        assert psnr(inverse_filter(blurry, kernel), sharp) < psnr(blurry, sharp) - 5

    def test_frequencies_that_the_blur_put_out_are_left_out(self):
        # 42 columns, mirrored to 54: three in a row put out every 18th of 54 frequencies.
        sharp = np.pad(city(30, 1), ((0, 0), (6, 6), (6, 6)), constant_values=0.5)
        box = np.full((1, 3), 1 / 3, np.float32)
        result = inverse_filter(convolve(sharp, box, "same"), box)
        assert np.abs(result - sharp).mean() < 0.1


class TestWiener:
    @pytest.mark.parametrize("balance", [0.001, 0.05])
    def test_is_the_formula(self, balance):
        blurry, _, kernel = pair(length=6.0)
        pad = 2 * kernel.shape[0]
        plane = mirrored(blurry[1], pad)

        def transfer(response):
            canvas = np.zeros(plane.shape)
            canvas[: len(response), : len(response)] = response
            half = len(response) // 2
            return np.fft.fft2(np.roll(canvas, (-half, -half), (0, 1)))

        H, D = transfer(kernel), transfer(np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]))
        spectrum = H.conj() * np.fft.fft2(plane) / (np.abs(H) ** 2 + balance * np.abs(D) ** 2)
        expected = np.fft.ifft2(spectrum).real[pad:-pad, pad:-pad].clip(0, 1)
        np.testing.assert_allclose(wiener(blurry, kernel, balance)[1], expected, atol=1e-4)

    def test_gains_over_the_blurry_picture_despite_noise(self):
        gains = [psnr(wiener(b, k), s) - psnr(b, s) for b, s, k in map(pair, range(8))]
        assert np.mean(gains) > 1

    @pytest.mark.parametrize("balance", [0, -1, float("nan")])
    def test_refuses_a_balance_that_does_not_smooth(self, balance):
        with pytest.raises(ArgumentError, match="wiener: balance must be above 0"):
            wiener(city(), LOPSIDED, balance)


class TestRichardsonLucy:
    def test_is_the_formula(self):
        blurry, _, kernel = pair(length=6.0)
        # What happens at the rim gets no farther in two iterations than four half kernels.
        pad = 20
        observed = mirrored(blurry[2], pad)
        estimate = np.full_like(observed, 0.5)
        for _ in range(2):
            quotient = observed / convolve2d(estimate, kernel, "same")
            estimate = estimate * convolve2d(quotient, kernel[::-1, ::-1], "same")
        expected = estimate[pad:-pad, pad:-pad].clip(0, 1)
        np.testing.assert_allclose(richardson_lucy(blurry, kernel, 2)[2], expected, atol=1e-4)

    def test_gains_over_the_blurry_picture_despite_noise(self):
        gains = [psnr(richardson_lucy(b, k), s) - psnr(b, s) for b, s, k in map(pair, range(8))]
        assert np.mean(gains) > 1

    @pytest.mark.parametrize("level", [0.0, 1e-3, 1.0])
    def test_stays_finite_with_a_kernel_in_the_corner_of_its_canvas(self, level):
        corner = np.zeros((13, 13), np.float32)
        corner[[0, 1, 2], [0, 1, 2]] = 1 / 3
        assert np.isfinite(richardson_lucy(level * city(48), corner, 20)).all()

    def test_refuses_no_iterations(self):
        with pytest.raises(ArgumentError, match="iterations must be at least 1, got 0"):
            richardson_lucy(city(), LOPSIDED, 0)


class TestUnsharpMask:
    def test_is_the_formula(self):
        blurry = city(40)
        smooth = np.stack([ndimage.gaussian_filter(plane, 2.0) for plane in blurry])
        expected = (blurry + 0.7 * (blurry - smooth)).clip(0, 1)
        result = unsharp_mask(blurry, 2.0, 0.7)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=1e-5)

    def test_no_amount_changes_nothing(self):
        np.testing.assert_array_equal(unsharp_mask(city(), 2.0, 0.0), city())

    def test_a_value_below_black_is_clipped_like_any_other(self):
        blurry = city(32) - 0.3
        result = unsharp_mask(blurry, 1.0, 0.5)
        assert result.min() == 0

    def test_refuses(self):
        with pytest.raises(ArgumentError, match="radius must not be below 0, got -1"):
            unsharp_mask(city(), -1)
        with pytest.raises(ShapeError, match="unsharp_mask: blurry must have shape"):
            unsharp_mask(city()[0])


class TestLeastSquaresFilter:
    def test_finds_the_filter_that_made_the_data(self):
        truth = generator(1).normal(size=(5, 5)).astype(np.float32) / 5
        blurry = generator(2).random((3, 40, 40), dtype=np.float32)
        fitted = LeastSquaresFilter(5, ridge=1e-9).fit([(blurry, convolve(blurry, truth, "same"))])
        assert fitted.kernel is not None
        assert fitted.kernel.dtype == np.float32
        np.testing.assert_allclose(fitted.kernel, truth, atol=1e-5)

    def test_one_filter_from_all_channels_and_all_pairs(self):
        pairs = [(b, s) for b, s, _ in map(pair, range(3))]
        single = [(b[c : c + 1], s[c : c + 1]) for b, s in pairs for c in range(3)]
        together, apart = LeastSquaresFilter().fit(pairs), LeastSquaresFilter()
        for one in single:
            apart.fit([one])
        np.testing.assert_allclose(together.kernel, apart.kernel, atol=1e-6)

    def test_no_other_filter_of_its_size_does_better(self):
        blurry, sharp, _ = pair()
        fitted = LeastSquaresFilter(5, ridge=1e-9).fit([(blurry, sharp)]).kernel
        assert fitted is not None

        def error(kernel):
            return np.mean((convolve(blurry, kernel) - sharp[:, 2:-2, 2:-2]).astype(float) ** 2)

        for seed in range(10):
            nudge = generator(seed).normal(size=(5, 5)).astype(np.float32) * 1e-2
            assert error(fitted) < error(fitted + nudge)

    def test_undoes_a_blur_it_was_trained_on_in_pictures_it_has_not_seen(self):
        rng = generator()
        pairs = [degrade(city(seed=seed), LOPSIDED, 2 / 255, rng) for seed in range(10)]
        fitted = LeastSquaresFilter().fit(pairs[:6])
        assert min(psnr(fitted(b), s) - psnr(b, s) for b, s in pairs[6:]) > 3

    @pytest.mark.parametrize("level", [0.0, 0.5])
    def test_data_that_say_nothing_leave_pictures_alone(self, level):
        flat = np.full((1, 16, 16), level, np.float32)
        unseen = city(20, seed=1)
        np.testing.assert_allclose(
            LeastSquaresFilter().fit([(flat, flat)])(unseen), unseen, atol=1e-5
        )

    def test_a_strong_ridge_turns_it_off(self):
        blurry, sharp, _ = pair()
        fitted = LeastSquaresFilter(ridge=1e6).fit([(blurry, sharp)])
        np.testing.assert_allclose(fitted(blurry), blurry, atol=1e-4)

    def test_the_ridge_weighs_alike_however_many_pixels_there_are(self):
        blurry, sharp, _ = pair()
        once = LeastSquaresFilter(5, ridge=0.01).fit([(blurry, sharp)])
        thrice = LeastSquaresFilter(5, ridge=0.01).fit([(blurry, sharp)] * 3)
        np.testing.assert_allclose(once.kernel, thrice.kernel, atol=1e-6)

    def test_returns_a_picture_of_the_same_shape(self):
        blurry, sharp, _ = pair()
        loud = add_noise(blurry, 0.5, generator())
        result = LeastSquaresFilter().fit([(blurry, sharp)])(loud)
        assert result.shape == blurry.shape
        assert result.dtype == np.float32
        assert (result.min(), result.max()) == (0, 1)

    def test_refuses(self):
        picture = city(16)
        with pytest.raises(ArgumentError, match="size must be odd and positive, got 4"):
            LeastSquaresFilter(4)
        with pytest.raises(ArgumentError, match="ridge must be above 0, got 0"):
            LeastSquaresFilter(ridge=0)
        with pytest.raises(ArgumentError, match="call fit"):
            LeastSquaresFilter()(picture)
        with pytest.raises(ArgumentError, match="at least one pair, got 0"):
            LeastSquaresFilter().fit([])
        with pytest.raises(ShapeError, match=r"same shape, got \(3, 16, 16\) and \(3, 15, 16\)"):
            LeastSquaresFilter().fit([(picture, picture[:, 1:])])
        with pytest.raises(ShapeError, match="at least 9x9 pixels, got 8x16"):
            LeastSquaresFilter().fit([(picture[:, :8], picture[:, :8])])


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("skimage.restoration", lambda: wiener(city(), LOPSIDED)),
        ("skimage.restoration", lambda: richardson_lucy(city(), LOPSIDED)),
        ("skimage.filters", lambda: unsharp_mask(city())),
    ],
)
def test_says_what_to_install_without_scikit_image(monkeypatch, module, call):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'minigan\[deblur\]'"):
        call()
