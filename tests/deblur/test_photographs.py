"""Where sharp photographs come from, how they are divided, and what a random crop is."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import minigan.deblur.photographs as module
from minigan.core.errors import ArgumentError, ImageFileError, MissingExtraError, ShapeError
from minigan.deblur import stored
from minigan.deblur.photographs import (
    Photograph,
    bundled_photographs,
    check_sizes,
    distinct,
    fingerprint,
    fingerprints,
    folder_photographs,
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
        monkeypatch.setattr(stored, "read_image", lambda path: pytest.fail("decoded"))
        with pytest.raises(ImageFileError) as caught:
            folder_photographs(tmp_path, min_size=64)
        assert str(caught.value) == (
            f"the photograph {tmp_path / 'b.png'} has 63 x 64 pixels, and needs at least 64 x 64"
        )

    def test_nothing_is_decoded_before_it_is_needed_and_then_once(self, tmp_path, monkeypatch):
        for name in ("a.png", "b.png"):
            save(tmp_path / name, np.zeros((20, 30), np.uint8))
        decoded, read = [], stored.read_image
        monkeypatch.setattr(
            stored, "read_image", lambda path: decoded.append(path.name) or read(path)
        )
        first, second = folder_photographs(tmp_path)
        assert (first.size, decoded) == ((20, 30), [])
        for one in (first, second, first):
            assert one.pixels.shape == (3, 20, 30)
        assert decoded == ["a.png", "b.png"]

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


@pytest.mark.parametrize("shape", [(20, 30), (1, 20, 30), (20, 30, 3)])
def test_a_photograph_has_three_channels(shape):
    with pytest.raises(ShapeError, match="the photograph a has pixels of shape"):
        Photograph("a", np.zeros(shape, np.uint8))


def test_a_photograph_is_bytes():
    with pytest.raises(ShapeError, match="dtype float32"):
        Photograph("a", np.zeros((3, 4, 4), np.float32))


class TestGroups:
    def test_a_scene_is_on_one_side(self):
        shots = [
            replace(photograph(f"{i:02}", 4, 4, i), group=f"scene {i // 3}") for i in range(15)
        ]
        for seed in range(20):
            training, unseen = split(shots, seed=seed)
            assert len(unseen) == 3
            assert {p.group for p in training}.isdisjoint({p.group for p in unseen})

    def test_the_data_sets_own_division_counts(self):
        parts = ["train", "", "val", "test", "test"]
        shots = [replace(photograph(part, 4, 4, i), part=part) for i, part in enumerate(parts)]
        training, unseen = split(shots)
        assert [p.part for p in training] == ["train", "", "val"]
        assert [p.part for p in unseen] == ["test", "test"]
        assert [p.part for p in split(shots[:3]).unseen] == ["val"]

    def test_a_division_into_one_part_is_none(self):
        shots = [replace(photograph(str(i), 4, 4, i), part="test") for i in range(10)]
        assert len(split(shots).unseen) == 2

    def test_one_scene_cannot_be_divided(self):
        shots = [replace(photograph(str(i), 4, 4, i), group="street") for i in range(3)]
        with pytest.raises(ArgumentError, match="all 3 pictures are of one scene, street, and"):
            split(shots)

    def test_one_picture_blurred_in_several_ways_is_on_one_side(self):
        shots = [
            Photograph(
                f"{i} {k}", photograph(seed=i).pixels, photograph(seed=10 * i + k + 1).pixels
            )
            for k in range(3)
            for i in range(5)
        ]
        assert len(distinct([*shots, shots[3]])) == 15
        for seed in range(10):
            training, unseen = split(shots, seed=seed)
            assert len(unseen) == 3
            assert {p.digest for p in training}.isdisjoint({p.digest for p in unseen})


class TestFingerprints:
    def test_cut_out_pictures_are_known_by_where_they_come_from(self):
        whole = photograph("whole")
        part = Photograph("part", whole.pixels[:, :5, :5], origin=fingerprint(whole))
        assert fingerprints([part]) == sorted([fingerprint(part), fingerprint(whole)])

    def test_copies_go_and_the_first_stays(self):
        one, copy, other = photograph("a"), photograph("b"), photograph("c", seed=1)
        assert [p.name for p in distinct([one, copy, other])] == ["a", "c"]

    def test_the_first_picture_that_cannot_be_read_is_named(self, tmp_path):
        for i in range(20):
            save(tmp_path / f"{i:02}.png", np.full((20, 30), i, np.uint8))
        for name in ("07.png", "12.png"):
            content = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(content[:-30])
        with pytest.raises(ImageFileError, match=r"07\.png: the picture is damaged"):
            distinct(folder_photographs(tmp_path))


class TestPairs:
    def test_a_pair_of_two_sizes_is_named(self):
        odd = Photograph("odd", photograph().pixels, photograph(height=19).pixels)
        with pytest.raises(ImageFileError, match=r"pair odd does not match: .* 30 x 19 .* 30 x 20"):
            odd.pair()

    def test_what_has_no_twin(self):
        with pytest.raises(ArgumentError, match="photograph a has no blurry twin"):
            photograph().pair()
