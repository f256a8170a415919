"""The blur model: trajectories, kernels, convolution, noise, 8 bits, pairs for training."""

import cmath
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import ndimage
from scipy.signal import convolve2d

from minigan.core.errors import ArgumentError, ShapeError
from minigan.deblur import blur, kernels
from minigan.deblur.blur import BlurSettings, add_noise, average_frames, convolve, degrade, quantize
from minigan.deblur.kernels import EXPOSURES, kernel_radius, motion_kernel, motion_trajectory


def generator(seed=0):
    return np.random.default_rng(seed)


def noise_image(height, width, channels=3, seed=0):
    return generator(seed).random((channels, height, width), dtype=np.float32)


def centre_of_mass(plane):
    """Offset (rows, columns) of the centre of mass from the central pixel."""
    rows, columns = (np.arange(side) - side // 2 for side in plane.shape)
    weights = plane.astype(np.float64)
    return (weights.sum(1) @ rows) / weights.sum(), (weights.sum(0) @ columns) / weights.sum()


def only(monkeypatch, pull=0.0, jerk_rate=0.0, tremor=0.0):
    """Switch off all forces on the trajectory but those named."""
    monkeypatch.setattr(kernels, "MAX_PULL", pull)
    monkeypatch.setattr(kernels, "MAX_JERK_RATE", jerk_rate)
    monkeypatch.setattr(kernels, "MAX_TREMOR", tremor)


class TestTrajectory:
    @pytest.mark.parametrize("length", [0.5, 12.0, 60.0])
    def test_every_move_has_the_same_size_and_they_add_up_to_the_length(self, length):
        path = motion_trajectory(generator(), length)
        assert path.shape == (2000,)
        assert path[0] == 0
        np.testing.assert_allclose(np.abs(np.diff(path)), length / 1999, rtol=1e-9)

    def test_follows_the_published_recursion_of_velocities(self):
        length, steps = 60.0, 2000
        rng = generator(3)
        e = float(rng.choice(kernels.SHAKINESS))
        c, p, g = 0.7 * rng.random(), 0.2 * rng.random(), 10 * rng.random()
        speed = length / (steps - 1)
        v = speed * cmath.exp(2j * math.pi * rng.random())
        moves = steps - 1
        jerk, u = rng.random(moves) < p * e, rng.random(moves)
        normal = rng.standard_normal(moves) + 1j * rng.standard_normal(moves)
        x = [0j]
        for t in range(moves):
            impulse = 2 * v * cmath.exp(1j * (math.pi + u[t] - 0.5)) if jerk[t] else 0
            v += impulse + e * (g * normal[t] - c * x[-1]) * speed
            v *= speed / abs(v)
            x.append(x[-1] + v)
        assert jerk.any(), "the seed should show a jerk"
        np.testing.assert_allclose(motion_trajectory(generator(3), length), x, atol=1e-9)

    def test_without_forces_it_is_a_straight_line_in_any_direction(self, monkeypatch):
        only(monkeypatch)
        ends = [motion_trajectory(generator(seed), 12.0)[-1] for seed in range(40)]
        np.testing.assert_allclose(np.abs(ends), 12.0, rtol=1e-9)
        quarters = np.floor(np.angle(ends) / (np.pi / 2))
        assert len(set(quarters)) == 4

    def test_a_jerk_turns_the_camera_about_and_is_as_rare_as_it_should_be(self, monkeypatch):
        only(monkeypatch, jerk_rate=kernels.MAX_JERK_RATE)
        paths = [motion_trajectory(generator(seed), 12.0) for seed in range(300)]
        turns = np.concatenate([np.angle(d[1:] / d[:-1]) for d in map(np.diff, paths)])
        jerks = np.abs(turns) > 1e-6
        # The flattest turn is arg(1 - 2 exp(i/2)).
        assert np.abs(turns[jerks]).min() > abs(cmath.phase(1 - 2 * cmath.exp(0.5j))) - 1e-6
        expected = 1999 * np.mean(kernels.SHAKINESS) * 0.2 / 2
        assert jerks.sum() / 300 == pytest.approx(expected, rel=0.25)

    def test_the_pull_keeps_long_paths_near_their_start(self, monkeypatch):
        def reach(pull):
            only(monkeypatch, pull=pull)
            return np.mean([abs(motion_trajectory(generator(s), 60.0)).max() for s in range(10)])

        assert reach(0.7) < 0.75 * reach(0.0)

    def test_same_seed_same_bits(self):
        first, again, other = (motion_trajectory(generator(seed), 9.0) for seed in (5, 5, 6))
        assert first.tobytes() == again.tobytes()
        assert first.tobytes() != other.tobytes()


class TestKernel:
    @pytest.mark.parametrize("length", [0.3, 4.0, 7.5, 12.0, 30.0])
    @pytest.mark.parametrize("exposure", [None, *EXPOSURES])
    def test_is_a_centred_distribution_no_longer_than_the_path(self, length, exposure):
        for seed in range(15):
            kernel = motion_kernel(generator(seed), length, exposure)
            size = 2 * math.ceil(length / 2) + 1
            assert kernel.shape == (size, size)
            assert kernel.dtype == np.float32
            assert kernel.min() >= 0
            assert kernel.sum(dtype=np.float64) == pytest.approx(1, abs=1e-6)
            assert centre_of_mass(kernel) == pytest.approx((0, 0), abs=1e-5)
            rows, columns = np.nonzero(kernel > 1e-12)
            # Between pixels, a path of n pixels touches at most n + 2 of them.
            assert max(np.ptp(rows), np.ptp(columns)) <= (exposure or 1) * length + 2

    def test_bilinear_weights_on_a_known_path(self, monkeypatch):
        # Centred: -0.5, 0 and 0.5 along x, so in one row.
        monkeypatch.setattr(kernels, "motion_trajectory", lambda *_: np.array([0, 0.5, 1 + 0j]))
        expected = np.zeros((3, 3))
        expected[1] = np.array([0.5, 0.5 + 1 + 0.5, 0.5]) / 3
        np.testing.assert_allclose(motion_kernel(generator(), 1.0, 1.0), expected, atol=1e-7)

    def test_the_imaginary_axis_runs_down_the_rows(self, monkeypatch):
        monkeypatch.setattr(kernels, "motion_trajectory", lambda *_: np.array([0, 0.5j, 1j]))
        kernel = motion_kernel(generator(), 1.0, 1.0)
        np.testing.assert_allclose(kernel.sum(axis=0), [0, 1, 0], atol=1e-7)

    def test_a_straight_path_gives_a_bar_of_the_exposed_length(self, monkeypatch):
        only(monkeypatch)
        for exposure in (0.25, 0.5, 1.0):
            kernel = motion_kernel(generator(4), 40.0, exposure).astype(np.float64)
            rows, columns = np.mgrid[-20:21, -20:21]
            variance = (kernel * (rows**2 + columns**2)).sum()
            # A uniform bar of n pixels has variance n^2 / 12; bilinear weights add up to 1/2.
            assert 0 < variance - (40 * exposure) ** 2 / 12 < 0.5

    def test_exposes_the_start_of_the_path(self, monkeypatch):
        bend = np.concatenate([np.arange(0, 4, 0.01), 4 + 1j * np.arange(0, 4, 0.01)])
        monkeypatch.setattr(kernels, "motion_trajectory", lambda *_: bend)
        half = motion_kernel(generator(), 8.0, 0.5)
        np.testing.assert_allclose(half.sum(axis=1), np.eye(9)[4], atol=1e-6)

    def test_draws_each_exposure_for_one_and_the_same_path(self):
        seen = set()
        for seed in range(30):
            drawn = motion_kernel(generator(seed), 12.0).tobytes()
            choices = [motion_kernel(generator(seed), 12.0, e).tobytes() for e in EXPOSURES]
            assert drawn in choices
            seen.add(choices.index(drawn))
        assert seen == {0, 1, 2}

    def test_same_seed_same_bits(self):
        first, again, other = (motion_kernel(generator(seed), 9.0) for seed in (5, 5, 6))
        assert first.tobytes() == again.tobytes()
        assert first.tobytes() != other.tobytes()

    def test_a_larger_canvas_holds_the_same_kernel(self):
        small = motion_kernel(generator(1), 7.0)
        large = motion_kernel(generator(1), 7.0, radius=9)
        assert large.shape == (19, 19)
        np.testing.assert_allclose(large, np.pad(small, 5), atol=1e-7)

    @pytest.mark.parametrize(
        ("length", "options", "message"),
        [
            (0, {}, "length must be finite and above 0, got 0"),
            (math.inf, {}, "length must be finite"),
            (math.nan, {}, "length must be finite"),
            (5.0, {"exposure": 0}, r"exposure must be None or in \(0, 1\], got 0"),
            (5.0, {"exposure": 1.5}, "exposure must be None"),
            (5.0, {"radius": 2}, "radius of at least 3, got 2"),
        ],
    )
    def test_refuses(self, length, options, message):
        with pytest.raises(ArgumentError, match=message):
            motion_kernel(generator(), length, **options)

    def test_trajectory_refuses_a_single_step(self):
        with pytest.raises(ArgumentError, match="steps must be at least 2, got 1"):
            motion_trajectory(generator(), 5.0, steps=1)


class TestConvolve:
    @pytest.mark.parametrize("shape", [(3, 16, 16), (1, 17, 23), (2, 30, 13)])
    @pytest.mark.parametrize("kernel_shape", [(1, 1), (3, 3), (5, 9), (13, 13)])
    def test_valid_is_the_direct_sum(self, shape, kernel_shape):
        image = generator(1).random(shape, dtype=np.float32)
        kernel = generator(2).random(kernel_shape, dtype=np.float32)
        kernel /= kernel.sum()
        expected = [convolve2d(plane.astype(float), kernel, "valid") for plane in image]
        result = convolve(image, kernel)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=2e-6)

    @pytest.mark.parametrize("kernel_shape", [(1, 1), (3, 5), (13, 13)])
    def test_same_mirrors_the_borders(self, kernel_shape):
        image = noise_image(17, 23)
        kernel = generator(2).random(kernel_shape, dtype=np.float32)
        kernel /= kernel.sum()
        expected = [ndimage.convolve(plane, kernel, mode="mirror") for plane in image]
        np.testing.assert_allclose(convolve(image, kernel, "same"), expected, atol=2e-6)

    def test_an_impulse_becomes_the_kernel_the_right_way_round(self):
        image = np.zeros((1, 9, 9), np.float32)
        image[0, 4, 4] = 1
        kernel = np.array([[1, 2, 0], [0, 4, 0], [0, 0, 3]], np.float32) / 10
        np.testing.assert_allclose(convolve(image, kernel, "same")[0, 3:6, 3:6], kernel, atol=1e-6)

    @pytest.mark.parametrize(
        ("image", "kernel", "mode", "error", "message"),
        [
            (np.zeros((8, 8)), np.ones((3, 3)), "valid", ShapeError, r"\(C, H, W\), got \(8, 8\)"),
            (np.zeros((3, 0, 8)), np.ones((3, 3)), "valid", ShapeError, r"got \(3, 0, 8\)"),
            (np.zeros((1, 8, 8)), np.ones((3, 4)), "valid", ShapeError, r"odd.*got \(3, 4\)"),
            (np.zeros((1, 8, 8)), np.ones(3), "valid", ShapeError, r"odd.*got \(3,\)"),
            (np.zeros((1, 8, 8)), np.ones((9, 3)), "valid", ShapeError, "9x3 kernel.*got 8x8"),
            (np.zeros((1, 8, 8)), np.ones((3, 3)), "full", ArgumentError, "got 'full'"),
            (np.zeros((1, 8, 8), np.uint8), np.ones((3, 3)), "valid", ArgumentError, "got uint8"),
        ],
    )
    def test_refuses(self, image, kernel, mode, error, message):
        with pytest.raises(error, match=f"convolve: .*{message}"):
            convolve(image, kernel, mode)

    def test_transform_length_is_the_next_product_of_2_3_and_5(self):
        smooth = {2**a * 3**b * 5**c for a in range(10) for b in range(7) for c in range(5)}
        for length in range(1, 400):
            assert blur._fast_length(length) == min(n for n in smooth if n >= length)


class TestNoiseAndRounding:
    def test_noise_has_the_deviation_asked_for_and_is_not_clipped(self):
        image = np.ones((3, 100, 100), np.float32)
        noise = add_noise(image, 0.1, generator()) - image
        assert noise.dtype == np.float32
        assert noise.std() == pytest.approx(0.1, rel=0.02)
        assert noise.mean() == pytest.approx(0, abs=0.002)
        assert (image == 1).all(), "the input was written to"

    def test_no_noise_changes_nothing_but_draws_as_many_numbers(self):
        image = noise_image(8, 8)
        silent, loud = generator(), generator()
        np.testing.assert_array_equal(add_noise(image, 0.0, silent), image)
        add_noise(image, 0.5, loud)
        assert silent.random() == loud.random()

    @pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf])
    def test_refuses_a_negative_sigma(self, sigma):
        with pytest.raises(ArgumentError, match="add_noise: sigma must be finite and not below 0"):
            add_noise(noise_image(4, 4), sigma, generator())

    def test_all_256_levels_stay_as_they_are(self):
        levels = np.arange(256, dtype=np.uint8).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(quantize(levels.reshape(1, 16, 16)).ravel(), levels)

    def test_rounds_to_the_nearest_level_and_clips(self):
        values = np.array([10.4, 10.6, 254.6, -3, 300], np.float32).reshape(1, 1, 5) / 255
        result = quantize(values)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result.ravel() * 255, [10, 11, 255, 0, 255], rtol=1e-6)


class TestDegrade:
    def test_is_convolution_then_noise_then_rounding(self):
        sharp, kernel = noise_image(40, 50), motion_kernel(generator(2), 9.0)
        blurry, _ = degrade(sharp, kernel, 0.02, generator(7))
        expected = quantize(add_noise(convolve(sharp, kernel), 0.02, generator(7)))
        np.testing.assert_array_equal(blurry, expected)
        exact, _ = degrade(sharp, kernel, 0.0, generator(7), eight_bit=False)
        np.testing.assert_array_equal(exact, convolve(sharp, kernel))

    @pytest.mark.parametrize("shape", [(1, 1), (3, 7), (13, 13)])
    def test_without_blur_the_two_are_the_same_picture(self, shape):
        kernel = np.zeros(shape, np.float32)
        kernel[shape[0] // 2, shape[1] // 2] = 1
        sharp = quantize(noise_image(20, 24))
        blurry, centre = degrade(sharp, kernel, 0.0, generator())
        assert blurry.shape == (3, 21 - shape[0], 25 - shape[1])
        np.testing.assert_array_equal(blurry, centre)

    def test_blurring_moves_and_darkens_nothing(self):
        rows, columns = np.mgrid[-32:33, -32:33]
        spot = np.exp(-(rows**2 + columns**2) / 18)[None].astype(np.float32)
        for seed in range(20):
            kernel = motion_kernel(generator(seed), 12.0, 1.0)
            blurry, centre = degrade(spot, kernel, 0.0, generator(), eight_bit=False)
            assert centre_of_mass(blurry[0]) == pytest.approx((0, 0), abs=1e-3)
            assert blurry.sum() == pytest.approx(centre.sum(), rel=1e-4)


class TestSettings:
    @pytest.mark.parametrize(
        "settings", [BlurSettings(), BlurSettings(3.0, 3.0), BlurSettings(0.5, 25.4, 0.0, 1.0)]
    )
    def test_a_crop_with_its_margin_becomes_a_pair_of_the_size_wanted(self, settings):
        rng = generator()
        for _ in range(20):
            sharp = noise_image(16 + 2 * settings.margin, 20 + 2 * settings.margin)
            blurry, centre = degrade(sharp, settings.draw_kernel(rng), settings.sigma, rng)
            assert blurry.shape == centre.shape == (3, 16, 20)

    def test_defaults(self):
        settings = BlurSettings()
        assert (settings.min_length, settings.max_length) == (4.0, 12.0)
        assert settings.sigma == 2 / 255
        assert settings.margin == kernel_radius(12.0) == 6

    def test_lengths_are_uniform_between_the_two_ends(self, monkeypatch):
        lengths = []

        def record(rng, length, exposure, *, radius):
            lengths.append(length)
            return radius

        monkeypatch.setattr(blur, "motion_kernel", record)
        rng = generator()
        for _ in range(2000):
            BlurSettings(2.0, 10.0).draw_kernel(rng)
        assert min(lengths) == pytest.approx(2, abs=0.1)
        assert max(lengths) == pytest.approx(10, abs=0.1)
        assert np.mean(lengths) == pytest.approx(6, abs=0.2)
        assert np.std(lengths) == pytest.approx(8 / math.sqrt(12), abs=0.1)

    def test_exposure_reaches_the_kernel(self):
        settings = BlurSettings(8.0, 8.0, exposure=0.1)
        for seed in range(10):
            assert (settings.draw_kernel(generator(seed)) > 1e-12).sum() <= 9

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"min_length": 0}, "min_length must be finite and above 0, got 0"),
            ({"max_length": math.inf}, "max_length must be finite"),
            ({"min_length": 13.0}, "min_length must not exceed max_length, got 13.0 and 12.0"),
            ({"sigma": -1e-3}, "sigma must be finite and not below 0, got -0.001"),
            ({"exposure": 2.0}, "exposure must be None or"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ArgumentError, match=f"BlurSettings: {message}"):
            BlurSettings(**arguments)


MIXED = BlurSettings(models="motion,defocus,gaussian", max_radius=5.0, max_spread=1.2)


class TestModels:
    def test_the_default_draws_nothing_but_motion(self):
        """The bits of kernels and noise are those of a shake's kernel, and of `degrade` after it."""
        settings, sharp = BlurSettings(exposure=1.0), noise_image(32, 32)
        pair = settings.draw(generator(7), sharp)
        rng = generator(7)
        kernel = motion_kernel(rng, float(rng.uniform(4, 12)), 1.0, radius=6)
        blurry, centre = degrade(sharp, kernel, 2 / 255, rng)
        np.testing.assert_array_equal(pair.input, blurry)
        np.testing.assert_array_equal(pair.sharp, centre)
        np.testing.assert_array_equal(pair.kernel, kernel)
        assert pair.facts.keys() == {"model", "length", "sigma"}

    def test_the_margin_is_that_of_the_widest_model(self):
        assert (
            MIXED.margin == 6
        )  # motion of 12 pixels; a disc of 5; 3 standard deviations of 1.2 are 4
        assert BlurSettings(models="defocus", max_radius=2.2).margin == 3
        assert BlurSettings(models="gaussian", max_spread=3.0).margin == 9

    @pytest.mark.parametrize(
        ("models", "shares"),
        [
            ("motion,defocus,gaussian", [1 / 3, 1 / 3, 1 / 3]),
            ("motion=3, defocus=1", [0.75, 0.25, 0]),
            ("gaussian", [0, 0, 1]),
        ],
    )
    def test_models_are_drawn_by_their_shares(self, models, shares):
        settings, rng = BlurSettings(models=models), generator()
        kernels = settings.prepared(rng, 600).kernels
        drawn = [kernel.facts["model"] for kernel in kernels]
        counts = [drawn.count(model) / 600 for model in blur.MODELS]
        np.testing.assert_allclose(counts, shares, atol=0.07)
        assert {kernel.weights.shape for kernel in kernels} == {(2 * settings.margin + 1,) * 2}

    def test_prepared_pairs_come_from_the_kernels_prepared(self):
        prepared = MIXED.prepared(generator(), 3)
        known = {kernel.weights.tobytes() for kernel in prepared.kernels}
        rng, sharp = generator(1), noise_image(40, 40)
        drawn = {prepared.draw(rng, sharp).kernel.tobytes() for _ in range(40)}
        assert drawn == known

    def test_noise_of_a_range_and_of_light(self):
        settings = BlurSettings(sigma=0.01, max_sigma=0.05)
        grey = np.full((3, 112, 112), 0.5, np.float32)
        for seed in range(5):
            pair = settings.draw(generator(seed), grey)
            assert 0.01 <= pair.facts["sigma"] <= 0.05
            assert pair.input.std() == pytest.approx(pair.facts["sigma"], rel=0.05)
        light = BlurSettings(sigma=0.0, photon_gain=0.01)
        bright = np.broadcast_to(np.float32([0.2, 0.8])[:, None, None], (2, 212, 212))
        deviations = light.draw(generator(), bright).input.std(axis=(1, 2))
        np.testing.assert_allclose(deviations, np.sqrt([0.002, 0.008]), rtol=0.05)

    def test_jpeg_of_a_range(self):
        settings = BlurSettings(min_quality=20, max_quality=23)
        drawn = {
            settings.draw(generator(s), noise_image(40, 40)).facts["jpeg_quality"]
            for s in range(40)
        }
        assert drawn == {20, 21, 22, 23}

    def test_settings_survive_json(self):
        stored = json.loads(json.dumps(asdict(MIXED)))
        assert BlurSettings(**stored) == MIXED

    def test_settings_of_older_files_load(self):
        old = {"min_length": 4.0, "max_length": 12.0, "sigma": 2 / 255, "exposure": None}
        assert BlurSettings(**old) == BlurSettings()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"models": ""}, "models is ''; it needs some of motion, defocus, gaussian"),
            ({"models": "motion,motion"}, "models is"),
            ({"models": "motion=0"}, "models is"),
            ({"models": "motion=nan"}, "models is"),
            ({"models": "motion=x"}, "models is"),
            ({"models": "fog"}, "models is 'fog'"),
            ({"min_radius": 5.0}, "min_radius must not exceed max_radius, got 5.0 and 4.0"),
            ({"max_spread": 0}, "max_spread must be finite and above 0"),
            ({"max_sigma": 0.001}, "sigma must not exceed max_sigma"),
            ({"photon_gain": -1}, "photon_gain must be finite and not below 0"),
            ({"min_quality": 50}, "min_quality and max_quality must both be None, or"),
            ({"min_quality": 50, "max_quality": 40}, "min_quality and max_quality"),
            ({"min_quality": 50, "max_quality": 100}, "min_quality and max_quality"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ArgumentError, match=f"BlurSettings: {message}"):
            BlurSettings(**arguments)


class TestFrames:
    def test_light_is_averaged_and_not_its_code(self):
        black, white = np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
        assert average_frames([black, white]).item() == pytest.approx(0.5 ** (1 / 2.2))
        assert average_frames([black, white], gamma=1).item() == 0.5

    def test_a_still_video_is_its_frame(self):
        frame = noise_image(5, 6)
        np.testing.assert_allclose(average_frames([frame] * 7), frame, atol=1e-6)

    def test_refuses(self):
        with pytest.raises(ArgumentError, match="at least one frame"):
            average_frames([])
        with pytest.raises(ShapeError, match=r"one shape, got \(3, 4, 4\) and \(3, 4, 5\)"):
            average_frames([noise_image(4, 4), noise_image(4, 5)])
        with pytest.raises(ArgumentError, match="gamma must be finite and above 0"):
            average_frames([noise_image(4, 4)], gamma=0)
