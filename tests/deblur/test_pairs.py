"""Pairs depend on the seed and their number, and on nothing else."""

import numpy as np
import pytest

from minigan.core.errors import ImageFileError
from minigan.deblur.blur import BlurSettings, convolve
from minigan.deblur.metrics import psnr
from minigan.deblur.pairs import TrainingPairs, typical, unseen_pairs

BLUR = BlurSettings(exposure=1.0)


def batches(photographs, seed=0, blur=BLUR):
    return TrainingPairs(photographs, blur, crop=16, batch=3, seed=seed, kernels=5)


def test_a_batch_does_not_depend_on_those_before_it(photographs):
    first, second = batches(photographs), batches(photographs)
    for number in (0, 1, 2):
        first[number]
    for a, b in zip(first[3], second[3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_batches_and_seeds_differ(photographs):
    pairs = batches(photographs)
    assert not np.array_equal(pairs[0][0], pairs[1][0])
    assert not np.array_equal(pairs[0][0], batches(photographs, seed=1)[0][0])


def test_a_batch_is_float32_in_the_unit_interval(photographs):
    blurry, sharp = batches(photographs)[0]
    for array in (blurry, sharp):
        assert array.shape == (3, 3, 16, 16)
        assert array.dtype == np.float32
        assert 0 <= array.min() <= array.max() <= 1


def test_the_blurry_picture_is_the_sharp_one_blurred(photographs):
    pairs = unseen_pairs(photographs[:1], BlurSettings(sigma=0, exposure=1.0), 32, each=2, seed=4)
    for pair in pairs:
        inside = convolve(pair.sharp, pair.kernel, "valid")
        rim = pair.kernel.shape[0] // 2
        shown = pair.blurry[:, rim:-rim, rim:-rim]
        assert np.abs(inside - shown).max() <= 0.5 / 255 + 1e-6  # rounded to 8 bits


def test_unseen_pairs_have_a_kernel_each_and_training_never_uses_it(photographs):
    held_out = [p.kernel for p in unseen_pairs(photographs, BLUR, 32, each=3, seed=0)]
    trained_on = batches(photographs, seed=0).kernels
    kernels = [k.tobytes() for k in (*held_out, *trained_on)]
    assert len(set(kernels)) == len(kernels)


def test_a_photograph_that_is_too_small_is_named(photographs):
    with pytest.raises(ImageFileError, match="made 0 has 200 x 180 pixels"):
        TrainingPairs(photographs, BLUR, crop=176, batch=1, seed=0)


def test_the_typical_pair_of_a_photograph_is_the_median(photographs):
    pairs = unseen_pairs(photographs, BLUR, 32, each=3, seed=0)
    chosen = typical(pairs, each=3)
    assert len(chosen) == len(photographs)
    for i, pair in enumerate(chosen):
        figures = sorted(psnr(p.blurry, p.sharp) for p in pairs[3 * i : 3 * i + 3])
        assert psnr(pair.blurry, pair.sharp) == figures[1]
