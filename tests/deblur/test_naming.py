"""Which pictures are meant, and where their restored twins go."""

import os
from pathlib import Path

import pytest

from minigan.core.errors import ImageFileError, OutputPathError
from minigan.deblur.naming import check_apart, found, jobs


@pytest.fixture
def trip(tmp_path, monkeypatch):
    """A folder of empty files, which is the working directory's."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b 2.PNG", "deep/c.jpg", "deep/er/d.tif", "notes.txt", "a-restored.jpg"):
        path = tmp_path / "trip" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "trip"


def targets(names, out=None, suffix=None, formats="PNG"):
    pictures = found(names, b"content", out)
    return [str(j.target) for j in jobs(pictures, [formats] * len(pictures), out, suffix)]


def test_beside_each_picture(trip):
    assert targets(["trip/a.jpg"]) == ["trip/a-restored.jpg"]
    assert targets(["trip/b 2.PNG"]) == ["trip/b 2-restored.PNG"]


def test_in_a_folder_under_their_own_names_and_order(trip):
    inside = ["a.jpg", "b 2.PNG", "deep/c.jpg", "deep/er/d.tif"]
    assert targets(["trip"], out="new") == [f"new/{name}" for name in inside]
    assert targets(["trip/deep/c.jpg"], out="new") == ["new/c.jpg"]
    assert targets(["trip/deep/c.jpg"], out="new.d/") == ["new.d/c.jpg"]


def test_restored_pictures_in_a_folder_are_passed_over(trip):
    assert targets(["trip"])[0] == "trip/a-restored.jpg"
    assert len(targets(["trip"])) == 4
    assert targets(["trip/a-restored.jpg"]) == ["trip/a-restored-restored.jpg"]
    (trip / "out").mkdir()
    (trip / "out" / "a.jpg").touch()
    assert len(targets(["trip"], out="trip/out")) == 4
    os.rename("trip/a-restored.jpg", "trip/deep/er/a-restored.jpg")
    os.remove("trip/deep/er/d.tif")
    with pytest.raises(ImageFileError, match="er holds no pictures but restored ones"):
        targets(["trip/deep/er"])


def test_patterns_keep_the_folders_below_them(trip):
    assert targets(["trip/**/*.jpg"], out="new") == ["new/a.jpg", "new/deep/c.jpg"]
    assert targets(["trip/*.jpg"]) == ["trip/a-restored.jpg"]
    with pytest.raises(ImageFileError, match=r"no file has a name like trip/\*\.webp"):
        targets(["trip/*.webp"])


def test_a_name_that_looks_like_a_pattern_is_a_name_first(trip):
    (trip / "d[1].jpg").touch()
    assert targets(["trip/d[1].jpg"]) == ["trip/d[1]-restored.jpg"]


def test_suffixes_follow_the_request_then_the_name_then_the_format(trip):
    for name, format_, expected in [
        ("x.gif", "GIF", "x-restored.png"),
        ("x.ppm", "PPM", "x-restored.png"),
        ("x", "JPEG", "x-restored.jpg"),
        ("x.mpo", "MPO", "x-restored.jpg"),
    ]:
        Path(name).touch()
        assert targets([name], formats=format_) == [expected]
    assert targets(["trip/a.jpg"], suffix=".tif") == ["trip/a-restored.tif"]
    assert targets(["trip/a.jpg"], out="b.png") == ["b.png"]
    with pytest.raises(OutputPathError, match=r"b\.png: it was asked for in another format, \.tif"):
        targets(["trip/a.jpg"], out="b.png", suffix=".tif")
    assert targets(["trip/a.jpg"], out="b.jpeg", suffix=".jpg") == ["b.jpeg"]


def test_pipes(trip):
    assert targets(["-"]) == ["None"]
    assert targets(["-"], out="x.png") == ["x.png"]
    assert targets(["trip/a.jpg"], out="-") == ["None"]
    with pytest.raises(OutputPathError, match="has no name; name a file"):
        targets(["-"], out="folder")
    with pytest.raises(OutputPathError, match="4 pictures to standard output"):
        targets(["trip"], out="-")


def test_missing_names_and_broken_links(trip):
    with pytest.raises(ImageFileError, match=r"none\.jpg: there is no such file"):
        targets(["trip/a.jpg", "none.jpg"])
    (trip / "link.jpg").symlink_to("nowhere")
    with pytest.raises(ImageFileError, match=r"link\.jpg: its link leads nowhere"):
        targets(["trip/link.jpg"])


def apart(names, out=None, compare=False):
    pictures = found(names, None, out)
    return check_apart(jobs(pictures, ["JPEG"] * len(pictures), out, None), compare)


def test_two_pictures_never_go_to_one_file(trip):
    Path("deep").mkdir()
    Path("deep/a.jpg").touch()
    with pytest.raises(OutputPathError, match=r"new/a\.jpg twice: trip/a\.jpg and deep/a\.jpg"):
        apart(["trip/a.jpg", "deep/a.jpg"], "new")
    Path("x-restored.jpg").symlink_to("trip/a-restored.jpg")
    Path("x.jpg").touch()
    with pytest.raises(OutputPathError, match="twice"):
        apart(["trip/a.jpg", "x.jpg"])


def test_no_picture_that_is_read_is_written_over(trip):
    with pytest.raises(OutputPathError, match="it is the picture to restore itself"):
        apart(["trip"], "trip")
    with pytest.raises(OutputPathError, match=r"a-restored\.jpg: it is a picture to restore"):
        apart(["trip/a.jpg", "trip/a-restored.jpg"])
    os.link("trip/a.jpg", "hard.jpg")
    with pytest.raises(OutputPathError, match=r"hard\.jpg: it is a picture to restore"):
        apart(["trip/a.jpg"], "hard.jpg")


def test_comparisons_lie_beside_their_pictures(trip):
    written = apart(["trip/a.jpg"], compare=True)
    assert written == [Path("trip/a-restored.jpg"), Path("trip/a-restored-compare.png")]
    Path("x-restored-compare.png").touch()
    assert len(apart(["."])) == 4  # nor are they taken for pictures
