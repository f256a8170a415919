"""What a random crop is, and how often each photograph is drawn."""

import numpy as np
import pytest

from minigan.core.errors import ArgumentError, ImageFileError
from minigan.deblur.crops import random_crop
from minigan.deblur.photographs import Photograph, check_sizes


def photograph(name="a", height=20, width=30, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)
    return Photograph(name, levels)


def test_values_shape_and_type():
    one = photograph()
    for seed in range(20):
        crop = random_crop(np.random.default_rng(seed), [one], 8)
        assert crop.shape == (3, 8, 8)
        assert crop.dtype == np.float32
        assert crop.flags.c_contiguous
    levels = np.full((3, 8, 8), 255, np.uint8)
    assert random_crop(np.random.default_rng(0), [Photograph("a", levels)], 8).max() == 1


def test_without_augmentation_every_place_is_cut_out_as_it_is():
    one = photograph(height=6, width=7)
    windows = {
        (one.pixels[:, y : y + 4, x : x + 4] / np.float32(255)).astype(np.float32).tobytes()
        for y in range(3)
        for x in range(4)
    }
    rng = np.random.default_rng(0)
    crops = {random_crop(rng, [one], 4, flips=False, turns=False).tobytes() for _ in range(300)}
    assert crops == windows


@pytest.mark.parametrize(
    ("flips", "turns", "count"), [(False, False, 1), (True, False, 4), (False, True, 4)]
)
def test_flips_and_turns(flips, turns, count):
    image = photograph(height=5, width=5).pixels
    whole = Photograph("a", image)
    rng = np.random.default_rng(0)
    seen = {random_crop(rng, [whole], 5, flips, turns).tobytes() for _ in range(100)}
    flipped = [image[:, ::v, ::h] for v in (1, -1) for h in (1, -1)]
    turned = [np.rot90(image, k, axes=(1, 2)) for k in range(4)]
    wanted = flipped if flips else turned if turns else [image]
    assert seen == {(w / np.float32(255)).astype(np.float32).tobytes() for w in wanted}
    assert len(seen) == count


def test_both_together_give_all_eight_symmetries_alike():
    whole = photograph(height=5, width=5)
    rng = np.random.default_rng(0)
    crops = [random_crop(rng, [whole], 5).tobytes() for _ in range(800)]
    counts = [crops.count(crop) for crop in set(crops)]
    assert len(counts) == 8
    assert min(counts) > 60


def test_the_seed_decides():
    photographs = [photograph("a", seed=1), photograph("b", seed=2)]
    first, again, other = (
        [random_crop(np.random.default_rng(seed), photographs, 8) for seed in seeds]
        for seeds in [(1, 2), (1, 2), (3, 4)]
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_photographs_are_drawn_by_area_up_to_the_median():
    # Areas 100, 400, 40,000: the largest counts as 400, so 1 : 4 : 4.
    sides = (10, 20, 200)
    photographs = [
        Photograph(str(side), np.full((3, side, side), side, np.uint8)) for side in sides
    ]
    rng = np.random.default_rng(0)
    drawn = [round(random_crop(rng, photographs, 2)[0, 0, 0] * 255) for _ in range(1800)]
    counts = np.array([drawn.count(side) for side in sides])
    np.testing.assert_allclose(counts, [200, 800, 800], atol=70)


def test_of_two_the_larger_does_not_dominate():
    photographs = [
        Photograph(str(side), np.full((3, side, side), side, np.uint8)) for side in (10, 200)
    ]
    rng = np.random.default_rng(0)
    drawn = [random_crop(rng, photographs, 2)[0, 0, 0] < 0.5 for _ in range(400)]
    assert 150 < sum(drawn) < 250


def test_a_photograph_as_large_as_the_crop_is_large_enough():
    random_crop(np.random.default_rng(0), [photograph(height=8, width=8)], 8)


def test_too_small_a_photograph_is_named_with_its_size():
    small = photograph("small.png", height=7, width=30)
    message = "the photograph small.png has 30 x 7 pixels, and needs at least 8 x 8"
    with pytest.raises(ImageFileError, match=message):
        random_crop(np.random.default_rng(0), [small], 8)
    with pytest.raises(ImageFileError, match=message):
        check_sizes([photograph(), small], 8)
    check_sizes([photograph(), small], 7)


def test_no_photographs():
    with pytest.raises(ArgumentError, match="got no photographs"):
        random_crop(np.random.default_rng(0), [], 8)
