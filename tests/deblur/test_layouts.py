"""Data sets as people have them: what is found, what belongs together, and what is told of odd ones."""

import json

import numpy as np
import pytest
from PIL import Image

from minigan.core.errors import ArgumentError, ImageFileError
from minigan.deblur.blur import average_frames
from minigan.deblur.layouts import Source, find
from minigan.deblur.photographs import split


def save(path, seed=0, height=20, width=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(levels).save(path)
    return levels.transpose(2, 0, 1)


def names(found):
    return [photograph.name for photograph in found.photographs]


class TestDetection:
    def test_a_folder_of_photographs(self, tmp_path):
        save(tmp_path / "a.png")
        save(tmp_path / "deep" / "b.png")
        found = find(Source(tmp_path))
        assert (found.layout, names(found)) == ("photographs", ["a.png", "deep/b.png"])
        assert found.said == f"{tmp_path}: 2 sharp photographs."
        assert all(p.blurry is None for p in found.photographs)

    @pytest.mark.parametrize(
        "twins", [("blur", "sharp"), ("blurry", "sharp"), ("input", "target"), ("A", "B")]
    )
    def test_paired_folders(self, tmp_path, twins):
        blurry, sharp = (
            save(tmp_path / twins[0] / "x.png", 1),
            save(tmp_path / twins[1] / "x.png", 2),
        )
        (photograph,) = find(Source(tmp_path)).photographs
        for ours, expected in zip(photograph.pair(), (blurry, sharp), strict=True):
            np.testing.assert_array_equal(ours, expected)

    def test_gopro(self, tmp_path):
        seed = 0
        for scene in ("train/GOPR01", "train/GOPR02", "test/GOPR03"):
            for folder in ("blur", "blur_gamma", "sharp"):
                for i in range(2):
                    save(tmp_path / scene / folder / f"{i:06}.png", seed := seed + 1)
        found = find(Source(tmp_path))
        assert found.layout == "pairs"
        assert names(found)[0] == "test/GOPR03/000000"
        assert [p.group for p in found.photographs] == ["GOPR03"] * 2 + ["GOPR01"] * 2 + [
            "GOPR02"
        ] * 2
        assert found.said.endswith(
            ": 6 pairs of a blurry and a sharp picture, groups that stay together: 3, train: 4, test: 2."
        )
        assert {p.group for p in split(found.photographs).unseen} == {"GOPR03"}
        one_part = find(Source(tmp_path / "train")).photographs
        assert {p.group for p in split(one_part).unseen} in ({"GOPR01"}, {"GOPR02"})

    def test_a_layout_can_be_forced(self, tmp_path):
        save(tmp_path / "blur" / "x.png")
        save(tmp_path / "sharp" / "x.png")
        assert names(find(Source(tmp_path, "photographs"))) == ["blur/x.png", "sharp/x.png"]

    def test_hidden_folders_are_passed_over(self, tmp_path):
        for folder in ("blur", "sharp"):
            save(tmp_path / ".trash" / folder / "x.png")
        save(tmp_path / "a.png")
        assert find(Source(tmp_path)).layout == "photographs"


class TestPairs:
    def test_two_folders_anywhere_and_suffixes_that_differ(self, tmp_path):
        save(tmp_path / "lens" / "s1" / "x.jpg")
        save(tmp_path / "tripod" / "s1" / "x.png")
        found = find(Source(blurry=tmp_path / "lens", sharp=tmp_path / "tripod"))
        (photograph,) = found.photographs
        assert (photograph.name, photograph.group) == ("s1/x", "s1")
        assert str(tmp_path / "lens") in found.said

    def test_what_was_synthesized_knows_kernels_and_where_it_comes_from(self, tmp_path):
        for i in range(4):
            save(tmp_path / "blur" / f"{i}.png")
            save(tmp_path / "sharp" / f"{i}.png")
        (tmp_path / "kernels").mkdir()
        np.save(tmp_path / "kernels" / "1.npy", np.ones((3, 3)) / 9)
        records = [
            {"name": f"{i}", "source": f"s{i // 2}", "fingerprint": f"f{i}"} for i in range(4)
        ]
        (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        found = find(Source(tmp_path)).photographs
        assert [p.kernel and p.kernel.name for p in found] == [None, "1.npy", None, None]
        assert [p.group for p in found] == ["s0", "s0", "s1", "s1"]
        assert [p.origin for p in found] == ["f0", "f1", "f2", "f3"]

    @pytest.mark.parametrize("side", ["blur", "sharp"])
    def test_a_missing_twin_is_named(self, tmp_path, side):
        for folder in ("blur", "sharp"):
            save(tmp_path / folder / "x.png")
        save(tmp_path / side / "y.png")
        with pytest.raises(
            ImageFileError, match=rf"{side}/y\.png has no twin in .* holds \d pic"
        ) as e:
            find(Source(tmp_path))
        assert "they need the same names" in str(e.value)

    def test_sizes_that_differ_are_named(self, tmp_path):
        save(tmp_path / "blur" / "x.png", height=21)
        save(tmp_path / "sharp" / "x.png")
        with pytest.raises(
            ImageFileError, match=r"blur/x\.png does not match: .* 30 x 21 .* 30 x 20"
        ):
            find(Source(tmp_path))

    def test_two_of_one_name_are_named(self, tmp_path):
        for name in ("x.png", "x.jpg"):
            save(tmp_path / "blur" / name)
        save(tmp_path / "sharp" / "x.png")
        with pytest.raises(
            ImageFileError, match=r"x\.jpg and .*x\.png differ in their suffix alone"
        ):
            find(Source(tmp_path))

    def test_an_empty_or_missing_half(self, tmp_path):
        save(tmp_path / "blur" / "x.png")
        (tmp_path / "sharp").mkdir()
        with pytest.raises(ImageFileError, match="sharp holds no pictures"):
            find(Source(tmp_path))
        with pytest.raises(ImageFileError, match="none does not exist"):
            find(Source(blurry=tmp_path / "blur", sharp=tmp_path / "none"))

    def test_no_pairs_where_pairs_were_asked_for(self, tmp_path):
        with pytest.raises(ImageFileError, match="holds no pictures"):
            find(Source(tmp_path, "pairs"))
        save(tmp_path / "x.png")
        with pytest.raises(
            ImageFileError, match=r"holds no pairs, which lie in .* blur/sharp, blurry"
        ):
            find(Source(tmp_path, "pairs"))

    def test_a_manifest_that_is_none(self, tmp_path):
        for folder in ("blur", "sharp"):
            save(tmp_path / folder / "x.png")
        for content in ("no json", "[1]", '{"a": 1}'):
            (tmp_path / "manifest.jsonl").write_text(content)
            with pytest.raises(ImageFileError, match=r"cannot read .*manifest\.jsonl"):
                find(Source(tmp_path))


class TestSideBySide:
    @pytest.mark.parametrize("half", ["left", "right"])
    def test_the_halves(self, tmp_path, half):
        pixels = save(tmp_path / "train" / "x.png")
        found = find(Source(tmp_path, "side-by-side", sharp_half=half))
        (photograph,) = found.photographs
        assert photograph.size == (20, 15)
        assert photograph.part == "train"
        blurry, sharp = photograph.pair()
        left, right = pixels[:, :, :15], pixels[:, :, 15:]
        expected = (left, right) if half == "right" else (right, left)
        np.testing.assert_array_equal(blurry, expected[0])
        np.testing.assert_array_equal(sharp, expected[1])

    def test_an_odd_width(self, tmp_path):
        save(tmp_path / "x.png", width=31)
        with pytest.raises(ImageFileError, match=r"x\.png is 31 pixels wide, and two"):
            find(Source(tmp_path, "side-by-side"))


class TestFrames:
    def test_windows_of_frames_in_the_order_of_their_numbers(self, tmp_path):
        frames = [save(tmp_path / "video" / f"{i}.png", seed=i) for i in range(11)]
        found = find(Source(tmp_path, "frames", frames=5)).photographs
        assert [p.name for p in found] == ["video/2.png", "video/7.png"]
        assert {p.group for p in found} == {"video"}
        blurry, sharp = found[1].pair()
        np.testing.assert_array_equal(sharp, frames[7])
        mean = average_frames([frame / np.float32(255) for frame in frames[5:10]])
        np.testing.assert_array_equal(blurry, np.rint(mean * 255).astype(np.uint8))

    def test_too_few(self, tmp_path):
        save(tmp_path / "video" / "0.png")
        with pytest.raises(ImageFileError, match=r"no folder in .* holds 3 frames"):
            find(Source(tmp_path, "frames", frames=3))

    def test_frames_of_two_sizes(self, tmp_path):
        for i in range(3):
            save(tmp_path / f"{i}.png", height=20 + i // 2)
        with pytest.raises(
            ImageFileError, match=r"2\.png has 30 x 21 pixels and .*0\.png has 30 x 20"
        ):
            find(Source(tmp_path, "frames", frames=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "zip"}, "the layout is 'zip'; it needs one of photographs, pairs"),
        ({"sharp_half": "top"}, "the sharp half is 'top'; it needs left or right"),
        ({"frames": 4}, "frames to average is 4; it needs an odd one"),
        ({"blurry": "x"}, "a folder of the sharp ones is needed as well"),
        ({"sharp": "x"}, "a folder of the blurry ones is needed as well"),
        ({"blurry": "x", "sharp": "x"}, "they need one each"),
        ({"blurry": "x", "sharp": "y", "data": "z"}, "it can be only one of the two"),
        ({"blurry": "x", "sharp": "y", "layout": "frames"}, "x and y are folders of pairs"),
    ],
)
def test_sources_that_make_no_sense(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        Source(**arguments)
