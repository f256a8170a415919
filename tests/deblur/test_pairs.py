"""Pairs depend on the seed and their number, and on nothing else."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from minigan.core.errors import ImageFileError
from minigan.deblur.blur import BlurSettings, convolve
from minigan.deblur.metrics import psnr
from minigan.deblur.pairs import TrainingPairs, typical, unseen_pairs, whole_pairs
from minigan.deblur.photographs import Photograph

BLUR = BlurSettings(exposure=1.0)


class Few:
    """Blur with a few kernels, because to draw two thousand takes a second."""

    def __init__(self, blur):
        self.blur, self.margin, self.draw = blur, blur.margin, blur.draw

    def prepared(self, rng):
        """Of twenty kernels."""
        return self.blur.prepared(rng, 20)


def batches(photographs, seed=0, blur=BLUR):
    return TrainingPairs(photographs, Few(blur), crop=16, batch=3, seed=seed)


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
    trained_on = [k.weights for k in batches(photographs, seed=0).degradation.kernels[:20]]
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


# ---------------------------------------------------------------------- pairs that there are already


def twins(photographs):
    """Photographs whose blurry twins are their negatives."""
    return [replace(p, blurry=255 - p.pixels) for p in photographs]


def test_pairs_are_cut_mirrored_and_turned_alike(photographs):
    inputs, sharp = batches(twins(photographs))[0]
    np.testing.assert_allclose(inputs, 1 - sharp, atol=1e-6)
    assert sharp.shape == (3, 3, 16, 16)


def test_pairs_need_no_margin(photographs):
    TrainingPairs(twins(photographs), Few(BLUR), crop=180, batch=1, seed=0)[0]


def test_whole_pairs_and_crops_know_the_kernel_in_the_file(photographs, tmp_path):
    kernel = np.full((3, 5), 1 / 15, np.float32)
    np.save(tmp_path / "k.npy", kernel)
    known, unknown = (
        replace(p, kernel=k)
        for p, k in zip(twins(photographs)[:2], [tmp_path / "k.npy", None], strict=True)
    )
    whole, without = whole_pairs([known, unknown])
    assert whole.sharp.shape == (3, 180, 200)
    assert whole.sharp.dtype == np.float32
    np.testing.assert_array_equal(whole.kernel, kernel)
    assert without.kernel is None
    (crop,) = unseen_pairs([known], BLUR, 32, each=1)
    np.testing.assert_array_equal(crop.kernel, kernel)
    np.testing.assert_allclose(crop.blurry, 1 - crop.sharp, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no array", "even", "nan", "zero"])
def test_a_kernel_that_is_none_is_named(photographs, tmp_path, content):
    path = tmp_path / "k.npy"
    arrays = {"even": np.ones((2, 3)), "nan": np.full((3, 3), np.nan), "zero": np.zeros((3, 3))}
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, arrays[content])
    with pytest.raises(ImageFileError, match=r"cannot read the kernel .*k\.npy .*both odd"):
        list(whole_pairs([replace(twins(photographs)[0], kernel=path)]))


# ---------------------------------------------------------------------- more than fits into memory


STILL = BlurSettings(models="gaussian", max_spread=0.5, min_spread=0.1, sigma=0)


def flat(count, side=16):
    """Photographs of one level each, by which a crop tells where it is from."""
    return [Photograph(str(i), np.full((3, side, side), i, np.uint8)) for i in range(count)]


def shown(pairs, number):
    """Which of the flat photographs a batch shows."""
    return {round(255 * float(level)) for level in pairs[number][1][:, 0, 0, 0]}


def test_of_too_many_photographs_each_batch_sees_a_part_and_all_have_their_turn():
    photographs = flat(40)
    pairs = TrainingPairs(photographs, Few(STILL), 4, 6, seed=0, memory=10 * 3 * 16 * 16)
    for number in range(0, 80, 4):
        near = set().union(*(shown(pairs, n) for n in range(number, number + 4)))
        assert len(near) <= 10
    assert set().union(*(shown(pairs, n) for n in range(250))) == set(range(40))


def test_the_part_depends_on_the_number_of_the_batch_alone():
    photographs = flat(40)
    first, second = (
        TrainingPairs(photographs, Few(STILL), 4, 6, seed=0, memory=10 * 3 * 16 * 16)
        for _ in range(2)
    )
    for number in (90, 3, 41):
        first[number]
    np.testing.assert_array_equal(first[17][0], second[17][0])


def test_what_fits_is_drawn_from_whole():
    photographs = flat(6)
    size = sum(p.nbytes for p in photographs)
    whole, fits = (TrainingPairs(photographs, Few(BLUR), 4, 6, 0, memory=m) for m in (10**9, size))
    np.testing.assert_array_equal(whole[5][0], fits[5][0])


def test_where_crops_are_is_what_it_was_in_earlier_runs(photographs):
    """Or all figures ever published change: a draw more or less shows in the places of later crops."""
    unseen = unseen_pairs(photographs, BLUR, 32, each=3, seed=2)
    trained = batches(photographs, seed=5)
    found = [digest([p.sharp for p in unseen]), digest([trained[n][1] for n in (0, 7)])]
    assert found == ["3fdf586ce7584a02", "34ebc9dfbdcf4e17"]


def digest(arrays):
    """Of the levels that the pictures show, which no rounding changes."""
    levels = [np.rint(255 * array).astype(np.uint8).tobytes() for array in arrays]
    return hashlib.blake2b(b"".join(levels), digest_size=8).hexdigest()
