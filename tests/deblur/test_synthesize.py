"""Blurred data sets: that they are read back, say all of themselves, and survive interruption."""

import json

import numpy as np
import pytest

from minigan.core.errors import ArgumentError, ImageFileError, OutputPathError
from minigan.deblur import synthesize as module
from minigan.deblur.blur import BlurSettings, degrade
from minigan.deblur.layouts import Source, find
from minigan.deblur.pairs import whole_pairs
from minigan.deblur.photographs import Photograph, fingerprint, fingerprints, split
from minigan.deblur.synthesize import SynthesisSettings, synthesize

SETTINGS = SynthesisSettings(
    BlurSettings(models="motion,defocus", sigma=0.0, max_sigma=0.02), size=24, each=2, seed=3
)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def manifest(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_it_is_read_back_with_kernels_and_where_it_comes_from(photographs, tmp_path):
    assert synthesize(photographs, SETTINGS, tmp_path / "set") == 6
    found = find(Source(tmp_path / "set"))
    assert found.layout == "pairs"
    assert [p.name for p in found.photographs][:3] == ["made 0-001", "made 0-002", "made 1-001"]
    assert {p.origin for p in found.photographs} == {fingerprint(p) for p in photographs}
    assert set(fingerprints(photographs)) <= set(fingerprints(found.photographs))
    training, unseen = split(found.photographs)
    assert {p.group for p in training}.isdisjoint({p.group for p in unseen})


def test_the_manifest_says_how_to_make_each_pair_again(photographs, tmp_path):
    """From the source, the crop and the kernel: the pair, but for the noise."""
    blur = BlurSettings(sigma=0.0, exposure=1.0)
    synthesize(photographs, SynthesisSettings(blur, size=24, each=2), tmp_path)
    found = find(Source(tmp_path)).photographs
    for record, pair in zip(manifest(tmp_path), whole_pairs(found), strict=True):
        source = next(p for p in photographs if p.name == record["source"])
        top, left, height, width = record["crop"].values()
        m = blur.margin
        rows, columns = slice(top - m, top + height + m), slice(left - m, left + width + m)
        sharp = source.pixels[:, rows, columns].astype(np.float32) / 255
        blurry, centre = degrade(sharp, pair.kernel, 0.0, np.random.default_rng(0))
        np.testing.assert_allclose(pair.sharp, centre, atol=1e-6)
        np.testing.assert_allclose(pair.blurry, blurry, atol=1e-6)
        assert record["model"] == "motion"
        assert 4 <= record["length"] <= 12
        assert record["exposure"] == 1.0


def test_whole_photographs_lose_the_margin_alone(photographs, tmp_path):
    synthesize(photographs[:1], SynthesisSettings(BlurSettings()), tmp_path)
    (photograph,) = find(Source(tmp_path)).photographs
    assert photograph.name == "made 0"
    assert photograph.size == (180 - 12, 200 - 12)
    assert manifest(tmp_path)[0]["crop"] == {"top": 6, "left": 6, "height": 168, "width": 188}


def test_the_same_call_twice_gives_the_same_bits(photographs, tmp_path):
    for name in "ab":
        synthesize(photographs, SETTINGS, tmp_path / name)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    before = contents(tmp_path / "a")
    assert synthesize(photographs, SETTINGS, tmp_path / "a") == 0
    assert contents(tmp_path / "a") == before


class Killed(BaseException):
    """What no handler in the program catches."""


@pytest.mark.parametrize("at", [0, 1, 2, 3, 7, 14])
def test_interrupted_it_goes_on(photographs, tmp_path, monkeypatch, at):
    """At any of the picture files, before it is there; the manifest's last line may be cut off."""
    synthesize(photographs, SETTINGS, tmp_path / "undisturbed")
    write, count = module.write_image, []

    def killed(path, *arguments):
        count.append(path)
        if len(count) == at + 1:
            raise Killed
        write(path, *arguments)

    monkeypatch.setattr(module, "write_image", killed)
    with pytest.raises(Killed):
        synthesize(photographs, SETTINGS, tmp_path / "set")
    lines = tmp_path / "set" / "manifest.jsonl"
    complete = lines.read_bytes().count(b"\n")
    lines.write_bytes(lines.read_bytes() + b'{"name": "made 1')
    (tmp_path / "set" / f".minigan-{'0' * 16}.png").write_bytes(b"")
    assert synthesize(photographs, SETTINGS, tmp_path / "set") == 6 - complete
    assert contents(tmp_path / "set") == contents(tmp_path / "undisturbed")


def test_names_that_differ_in_their_suffix_alone_do_not_meet(photographs, tmp_path):
    twins = [
        Photograph(f"x.{s}", p.pixels) for s, p in zip(("jpg", "png"), photographs, strict=False)
    ]
    synthesize(twins, SynthesisSettings(BlurSettings(), size=24), tmp_path)
    assert [p.name for p in find(Source(tmp_path)).photographs] == ["x.jpg", "x.png"]


def test_pairs_are_cut_and_have_no_kernel(photographs, tmp_path):
    pair = Photograph("a/x.png", photographs[0].pixels, photographs[1].pixels, part="train")
    synthesize([pair], SynthesisSettings(size=24), tmp_path)
    assert not (tmp_path / "kernels").exists()
    (record,) = manifest(tmp_path)
    top, left, height, width = record["crop"].values()
    blurry, sharp = find(Source(tmp_path)).photographs[0].pair()
    rows, columns = slice(top, top + height), slice(left, left + width)
    np.testing.assert_array_equal(sharp, photographs[0].pixels[:, rows, columns])
    np.testing.assert_array_equal(blurry, photographs[1].pixels[:, rows, columns])


# ---------------------------------------------------------------------- bad input


def test_nothing_that_is_there_is_overwritten(photographs, tmp_path):
    synthesize(photographs, SETTINGS, tmp_path / "set")
    before = contents(tmp_path / "set")
    for others, settings in (
        (photographs[:2], SETTINGS),
        (photographs, SynthesisSettings(SETTINGS.blur, 24, 2, seed=4)),
    ):
        with pytest.raises(
            OutputPathError, match="holds a data set of other photographs or settings"
        ):
            synthesize(others, settings, tmp_path / "set")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(OutputPathError, match="mine holds other files; a data set needs a new"):
        synthesize(photographs, SETTINGS, tmp_path / "mine")
    assert contents(tmp_path / "set") == before
    assert contents(tmp_path / "mine") == {"letter.txt": b"dear"}


@pytest.mark.parametrize("content", ["{}\n", "[\n", "3\n"])
def test_a_manifest_that_is_damaged_is_told(photographs, tmp_path, content):
    synthesize(photographs, SETTINGS, tmp_path)
    (tmp_path / "manifest.jsonl").write_text(content)
    with pytest.raises(OutputPathError, match=r"manifest\.jsonl is damaged"):
        synthesize(photographs, SETTINGS, tmp_path)


def test_a_small_photograph_is_named_before_anything_is_written(photographs, tmp_path):
    small = Photograph("small", photographs[0].pixels[:, :30, :30])
    with pytest.raises(
        ImageFileError, match="photograph small has 30 x 30 pixels, and needs at least 36"
    ):
        synthesize([*photographs, small], SETTINGS, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("arguments", [{"size": 15}, {"each": 0}])
def test_settings_that_make_no_sense(arguments):
    with pytest.raises(ArgumentError):
        SynthesisSettings(**arguments)
