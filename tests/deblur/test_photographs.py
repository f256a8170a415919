"""Where sharp photographs come from, how they are divided, and what a random crop is."""

import sys

import numpy as np
import pytest
from PIL import Image

import minigan.deblur.photographs as module
from minigan.core.errors import ArgumentError, ImageFileError, MissingExtraError, ShapeError
from minigan.deblur.photographs import (
    Photograph,
    bundled_photographs,
    check_sizes,
    folder_photographs,
    random_crop,
    split,
)


def photograph(name="a", height=20, width=30, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)
    return Photograph(name, levels)


@pytest.fixture(scope="module")
def bundled():
    return bundled_photographs()


class TestBundled:
    def test_the_split_is_the_one_in_the_documentation(self, bundled):
        assert [p.name for p in bundled.unseen] == ["chelsea", "china", "coffee", "rocket"]
        assert {p.name for p in bundled.training} == {
            *["astronaut", "camera", "flower", "motorcycle_left", "motorcycle_right"],
            *["brick", "coins", "grass", "gravel", "hubble_deep_field", "ihc"],
        }

    def test_they_are_bytes_in_three_channels_at_their_full_size(self, bundled):
        for p in bundled.training + bundled.unseen:
            assert p.pixels.dtype == np.uint8
            assert p.pixels.shape[0] == 3
            assert not p.pixels.flags.writeable
        check_sizes(bundled.training + bundled.unseen, 256)
        sizes = {p.name: p.pixels.shape[1:] for p in bundled.training + bundled.unseen}
        assert sizes["hubble_deep_field"] == (872, 1000)
        assert sizes["china"] == (427, 640)

    def test_the_unseen_ones_are_in_colour(self, bundled):
        for p in bundled.unseen:
            assert np.ptp(p.pixels.astype(int), axis=0).mean() > 10

    def test_no_unseen_photograph_resembles_a_training_one(self, bundled):
        """Two views of one scene correlate (the motorcycle: 0.88), others less (0.55)."""

        def thumbnail(p):
            image = Image.fromarray(np.moveaxis(p.pixels, 0, -1)).convert("L").resize((16, 16))
            values = np.asarray(image, float)
            return (values - values.mean()) / values.std()

        def likeness(a, b):
            return np.mean(thumbnail(a) * thumbnail(b))

        left, right = (p for p in bundled.training if p.name.startswith("motorcycle"))
        nearest = max(likeness(a, b) for a in bundled.unseen for b in bundled.training)
        assert nearest < 0.7 < likeness(left, right)

    def test_a_missing_texture_is_left_out(self, monkeypatch):
        monkeypatch.setattr(module, "BUNDLED_TRAINING", ("coins",))
        monkeypatch.setattr(module, "BUNDLED_UNSEEN", ("china",))
        monkeypatch.setattr(module, "BUNDLED_TEXTURES", ("gone", "brick"))
        assert [p.name for p in bundled_photographs().training] == ["coins", "brick"]

    @pytest.mark.parametrize("part", ["BUNDLED_TRAINING", "BUNDLED_UNSEEN"])
    def test_any_other_missing_one_is_an_error(self, monkeypatch, part):
        for name in ("BUNDLED_TRAINING", "BUNDLED_UNSEEN", "BUNDLED_TEXTURES"):
            monkeypatch.setattr(module, name, ("gone",) if name == part else ())
        with pytest.raises(ImageFileError, match="scikit-image lacks the photograph gone"):
            bundled_photographs()

    def test_a_missing_library_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "skimage", None)
        with pytest.raises(
            MissingExtraError, match=r"skimage is needed to read .*minigan\[deblur\]"
        ):
            bundled_photographs()


def save(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)


class TestFolder:
    def test_pictures_are_read_sorted_and_named_by_their_path(self, tmp_path):
        colour = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        save(tmp_path / "b.png", colour)
        save(tmp_path / "a" / "c.png", colour[:, :, 0])
        grey, rgb = folder_photographs(tmp_path)
        assert (grey.name, rgb.name) == ("a/c.png", "b.png")
        np.testing.assert_array_equal(rgb.pixels, colour.transpose(2, 0, 1))
        np.testing.assert_array_equal(grey.pixels, np.stack([colour[:, :, 0]] * 3))

    def test_all_levels_survive(self, tmp_path):
        levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
        save(tmp_path / "a.png", levels)
        np.testing.assert_array_equal(folder_photographs(tmp_path)[0].pixels[0], levels)

    def test_grey_pictures_take_the_memory_of_one_channel(self, tmp_path):
        save(tmp_path / "a.png", np.zeros((20, 30), np.uint8))
        pixels = folder_photographs(tmp_path)[0].pixels
        assert pixels.shape == (3, 20, 30)
        assert pixels.strides[0] == 0

    def test_small_ones_are_refused_before_any_is_decoded(self, tmp_path, monkeypatch):
        save(tmp_path / "a.png", np.zeros((64, 64), np.uint8))
        save(tmp_path / "b.png", np.zeros((64, 63), np.uint8))
        monkeypatch.setattr(module, "read_image", lambda path: pytest.fail("decoded"))
        with pytest.raises(ImageFileError) as caught:
            folder_photographs(tmp_path, min_size=64)
        assert str(caught.value) == (
            f"the photograph {tmp_path / 'b.png'} has 63 x 64 pixels, and needs at least 64 x 64"
        )

    def test_too_many_for_the_memory_are_refused_before_any_is_decoded(self, tmp_path, monkeypatch):
        for name in ("a.png", "b.png"):
            save(tmp_path / name, np.zeros((64, 64), np.uint8))
        assert len(folder_photographs(tmp_path, memory_limit=2 * 3 * 64 * 64)) == 2
        monkeypatch.setattr(module, "read_image", lambda path: pytest.fail("decoded"))
        with pytest.raises(ImageFileError, match=r"the 2 pictures in .* GiB of memory"):
            folder_photographs(tmp_path, memory_limit=2 * 3 * 64 * 64 - 1)

    def test_missing_empty_and_damaged(self, tmp_path):
        with pytest.raises(ImageFileError, match="does not exist"):
            folder_photographs(tmp_path / "none")
        with pytest.raises(ImageFileError, match="holds no pictures"):
            folder_photographs(tmp_path)
        (tmp_path / "a.png").write_text("no picture")
        with pytest.raises(ImageFileError, match=r"a\.png: it is no picture"):
            folder_photographs(tmp_path)


class TestSplit:
    photographs = tuple(photograph(f"{i:02}", 4, 4) for i in range(10))

    def test_every_photograph_is_on_one_side_and_in_order(self):
        training, unseen = split(self.photographs, unseen_share=0.3)
        assert (len(training), len(unseen)) == (7, 3)
        assert {*training, *unseen} == {*self.photographs}
        for part in (training, unseen):
            assert [p.name for p in part] == sorted(p.name for p in part)

    def test_the_seed_decides(self):
        splits = {tuple(p.name for p in split(self.photographs, seed=s).unseen) for s in range(9)}
        assert len(splits) > 4
        assert split(self.photographs, seed=3) == split(self.photographs, seed=3)

    @pytest.mark.parametrize(("share", "unseen"), [(0.001, 1), (0.2, 2), (0.999, 9)])
    def test_each_side_has_at_least_one(self, share, unseen):
        assert len(split(self.photographs, share).unseen) == unseen

    def test_two_are_enough_and_one_is_not(self):
        assert [len(part) for part in split(self.photographs[:2])] == [1, 1]
        with pytest.raises(
            ArgumentError, match="at least two different photographs, and there is 1"
        ):
            split(self.photographs[:1])

    @pytest.mark.parametrize("share", [0, 1, -0.5, 2, float("nan")])
    def test_shares_that_are_none(self, share):
        with pytest.raises(ArgumentError, match="unseen_share is"):
            split(self.photographs, share)


class TestCrop:
    def test_values_shape_and_type(self):
        one = photograph()
        for seed in range(20):
            crop = random_crop(np.random.default_rng(seed), [one], 8)
            assert crop.shape == (3, 8, 8)
            assert crop.dtype == np.float32
            assert crop.flags.c_contiguous
        levels = np.full((3, 8, 8), 255, np.uint8)
        assert random_crop(np.random.default_rng(0), [Photograph("a", levels)], 8).max() == 1

    def test_without_augmentation_every_place_is_cut_out_as_it_is(self):
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
    def test_flips_and_turns(self, flips, turns, count):
        image = photograph(height=5, width=5).pixels
        whole = Photograph("a", image)
        rng = np.random.default_rng(0)
        seen = {random_crop(rng, [whole], 5, flips, turns).tobytes() for _ in range(100)}
        flipped = [image[:, ::v, ::h] for v in (1, -1) for h in (1, -1)]
        turned = [np.rot90(image, k, axes=(1, 2)) for k in range(4)]
        wanted = flipped if flips else turned if turns else [image]
        assert seen == {(w / np.float32(255)).astype(np.float32).tobytes() for w in wanted}
        assert len(seen) == count

    def test_both_together_give_all_eight_symmetries_alike(self):
        whole = photograph(height=5, width=5)
        rng = np.random.default_rng(0)
        crops = [random_crop(rng, [whole], 5).tobytes() for _ in range(800)]
        counts = [crops.count(crop) for crop in set(crops)]
        assert len(counts) == 8
        assert min(counts) > 60

    def test_the_seed_decides(self):
        photographs = [photograph("a", seed=1), photograph("b", seed=2)]
        first, again, other = (
            [random_crop(np.random.default_rng(seed), photographs, 8) for seed in seeds]
            for seeds in [(1, 2), (1, 2), (3, 4)]
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_photographs_are_drawn_by_area_up_to_the_median(self):
        # Areas 100, 400, 40,000: the largest counts as 400, so 1 : 4 : 4.
        sides = (10, 20, 200)
        photographs = [
            Photograph(str(side), np.full((3, side, side), side, np.uint8)) for side in sides
        ]
        rng = np.random.default_rng(0)
        drawn = [round(random_crop(rng, photographs, 2)[0, 0, 0] * 255) for _ in range(1800)]
        counts = np.array([drawn.count(side) for side in sides])
        np.testing.assert_allclose(counts, [200, 800, 800], atol=70)

    def test_of_two_the_larger_does_not_dominate(self):
        photographs = [
            Photograph(str(side), np.full((3, side, side), side, np.uint8)) for side in (10, 200)
        ]
        rng = np.random.default_rng(0)
        drawn = [random_crop(rng, photographs, 2)[0, 0, 0] < 0.5 for _ in range(400)]
        assert 150 < sum(drawn) < 250

    def test_a_photograph_as_large_as_the_crop_is_large_enough(self):
        random_crop(np.random.default_rng(0), [photograph(height=8, width=8)], 8)

    def test_too_small_a_photograph_is_named_with_its_size(self):
        small = photograph("small.png", height=7, width=30)
        message = "the photograph small.png has 30 x 7 pixels, and needs at least 8 x 8"
        with pytest.raises(ImageFileError, match=message):
            random_crop(np.random.default_rng(0), [small], 8)
        with pytest.raises(ImageFileError, match=message):
            check_sizes([photograph(), small], 8)
        check_sizes([photograph(), small], 7)

    def test_no_photographs(self):
        with pytest.raises(ArgumentError, match="got no photographs"):
            random_crop(np.random.default_rng(0), [], 8)


@pytest.mark.parametrize("shape", [(20, 30), (1, 20, 30), (20, 30, 3)])
def test_a_photograph_has_three_channels(shape):
    with pytest.raises(ShapeError, match="the photograph a has pixels of shape"):
        Photograph("a", np.zeros(shape, np.uint8))


def test_a_photograph_is_bytes():
    with pytest.raises(ShapeError, match="dtype float32"):
        Photograph("a", np.zeros((3, 4, 4), np.float32))
