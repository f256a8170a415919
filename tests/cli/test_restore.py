"""minigan deblur restore as photographers call it: files, folders, patterns, pipes; good and bad."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mutate_pictures import model as save_smallest
from PIL import Image, ImageCms

from minigan.cli.main import main
from minigan.images import Levels, read_levels, write_levels

NOT_UTF8 = os.fsdecode(b"caf\xe9.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a model and no pictures."""
    monkeypatch.chdir(tmp_path)
    save_smallest(tmp_path / "model.safetensors")
    return tmp_path


def picture(name, channels=3, dtype=np.uint8, size=(20, 30)):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    write_levels(name, Levels(rng.integers(0, np.iinfo(dtype).max, (*size, channels), dtype, True)))
    return name


def call(*arguments, **options):
    words = ["deblur", "restore", *map(str, arguments), "--model", "model.safetensors"]
    return CliRunner().invoke(main, words, **options)


def restored(*arguments, **options):
    result = call(*arguments, **options)
    assert result.exit_code == 0, result.output
    return result


def refused(result, *words):
    """Exit status 2, and nothing but one sentence with these words on standard error."""
    assert result.exit_code == 2, result.output
    (message,) = result.stderr.splitlines()
    assert message.startswith("Error: ")
    for word in words:
        assert word in message, message


def files():
    return sorted(str(p) for p in Path().rglob("*") if p.is_file() and p.suffix != ".safetensors")


def test_a_picture_goes_beside_itself_and_the_time_is_told(folder):
    result = restored(picture("my photo.png"))
    assert result.stdout == "my photo.png -> my photo-restored.png\n"
    (line,) = result.stderr.splitlines()
    assert line.startswith("1 picture, 0.00 megapixels in ")
    assert "per megapixel" not in line  # of so few pixels, that would mean nothing
    (line,) = restored(picture("large.png", size=(400, 300)), "-o", "x.png").stderr.splitlines()
    assert line.endswith(" s per megapixel")
    os.remove("large.png")
    os.remove("x.png")
    refused(call("my photo.png"), "my photo-restored.png is there already", "--force")
    restored("my photo.png", "--force")
    assert files() == ["my photo-restored.png", "my photo.png"]


@pytest.mark.parametrize("out", [[], ["-o", "out"]])
@pytest.mark.parametrize("what", ["trip", "trip/*.png"])
def test_a_folder_or_pattern_can_be_given_again_and_does_what_is_left(folder, out, what):
    picture("trip/a.png")
    restored(what, *out, "--compare")
    before = files()
    picture("trip/b.png")
    again = restored(what, *out)
    assert "Passed over, as restored already: 1 picture; --force does them again" in again.stderr
    target = "out/b.png" if out else "trip/b-restored.png"
    assert [f for f in files() if f not in before] == sorted([target, "trip/b.png"])
    first = Path(target).read_bytes()
    Path(target).write_bytes(b"x")
    assert "restored already: 2 pictures" in restored(what, *out).stderr
    assert Path(target).read_bytes() == b"x"
    restored(what, *out, "--force")
    assert Path(target).read_bytes() == first


def test_a_picture_that_is_named_twice_counts_once(folder):
    picture("trip/a.png")
    result = restored("trip", "trip/a.png", "./trip/a.png", "-o", "out")
    assert result.stdout == "trip/a.png -> out/a.png\n"


def test_more_threads_than_a_machine_can_have_are_refused(folder):
    refused(call(picture("a.png"), "--threads", "9999"), "'9999' is no whole number from 1 to")


def test_a_folder_keeps_its_order_of_folders(folder):
    for name in ("in/a.png", "in/b c/ä.jpg", "in/b c/e.tif"):
        picture(name)
    restored("in", "-o", "out")
    assert files()[3:] == ["out/a.png", "out/b c/e.tif", "out/b c/ä.jpg"]
    restored("in/**/*.tif", "-o", "glob")
    assert "glob/b c/e.tif" in files()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_bits_and_channels_stay(folder, dtype, channels):
    for name in ("a.png", "a.tif"):
        picture(name, channels, dtype)
        restored(name, "-o", f"new/{name}/")
        before, after = read_levels(name), read_levels(f"new/{name}/{name}")
        assert (after.values.shape, after.bit_depth) == (before.values.shape, before.bit_depth)
        # The smallest model has learnt nothing, and so changes nothing: not one of 65536 levels.
        np.testing.assert_array_equal(after.values, before.values)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_transparency_profile_and_date_stay(folder, name):
    rng, exif = np.random.default_rng(0), Image.Exif()
    exif[306] = "2020:01:01 10:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before = rng.integers(0, 256, (20, 30, 4), np.uint8)
    write_levels(name, Levels(before[..., :3], before[..., 3], profile, exif.tobytes()))
    restored(name, "-o", "new/")
    after = read_levels(f"new/{name}")
    np.testing.assert_array_equal(after.alpha, before[..., 3])
    assert after.profile == profile
    assert after.exif is not None
    assert b"2020:01:01 10:00:00" in after.exif


def test_what_a_format_cannot_keep_is_told(folder):
    result = restored(picture("a.png", 3, np.uint16), "-o", "b.jpg")
    assert result.stdout.splitlines()[1] == "b.jpg: the format does not keep 16 bits"


def test_standard_input_and_output(folder):
    content = Path(picture("a.png")).read_bytes()
    for arguments in (["-"], ["-", "-o", "-"]):
        result = restored(*arguments, input=content)
        np.testing.assert_array_equal(
            read_levels(result.stdout_bytes).values, read_levels(content).values
        )
        assert "standard input -> standard output" in result.stderr
    result = restored("a.png", "-o", "-", "--format", "tiff")
    assert result.stdout_bytes[:4] == b"II*\0"
    restored("-", "-o", "b.bmp", input=content)
    assert files() == ["a.png", "b.bmp"]


def test_standard_input_that_is_no_picture(folder):
    refused(call("-", input=b""), "standard input: it is empty")
    refused(call("-", input=b"text"), "standard input: it is no picture")
    refused(call("-", "-", input=b"text"), "- was given more than once")
    assert files() == []


def test_a_closed_pipe_is_told_in_a_sentence(folder):
    picture("a.png", size=(300, 400))
    command = [sys.executable, "-m", "minigan", "deblur", "restore", "a.png", "-o", "-"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*command, "--model", "model.safetensors"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(write_end)
    assert done.returncode == 2
    assert done.stderr == "Error: cannot write to standard output: Broken pipe\n"


def test_one_bad_file_does_not_lose_the_others(folder):
    for name in ("a.png", "c.png"):
        picture(name)
    for i, name in enumerate(("b.png", "d.png")):  # without a header, and without an end
        Path(name).write_bytes(b"no picture" if i else Path("a.png").read_bytes()[:-500])
    Image.new("CMYK", (9, 9)).save("inks.jpg")
    result = call("a.png", "b.png", "c.png", "d.png", "inks.jpg", "-o", "out")
    assert result.exit_code == 2
    assert files()[-2:] == ["out/a.png", "out/c.png"]
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 3
    assert sum(name in "".join(errors) for name in ("b.png", "d.png", "inks.jpg")) == 3
    assert "2 pictures, " in result.stderr


def test_small_and_large_pictures_in_one_call(folder, monkeypatch):
    monkeypatch.setattr("minigan.deblur.tiles.LARGEST", 32)
    sizes = [(9, 20), (200, 170), (5, 5), (60, 70)]
    names = [picture(f"{i}.png", size=size) for i, size in enumerate(sizes)]
    restored(*names, "-o", "out", "--threads", 2)
    for name in names:
        np.testing.assert_array_equal(read_levels(f"out/{name}").values, read_levels(name).values)


def test_comparisons(folder):
    restored(picture("a.png"), "--compare")
    assert files() == ["a-restored-compare.png", "a-restored.png", "a.png"]
    assert read_levels("a-restored-compare.png").values.shape == (28 + 20 + 8, 3 * 8 + 2 * 30, 3)
    os.remove("a-restored.png")
    refused(call("a.png", "--compare"), "a-restored-compare.png is there already")
    assert "a-restored.png" not in files()
    refused(call("a.png", "-o", "-", "--compare"), "a comparison beside standard output")


def test_a_dry_run_tells_and_writes_nothing(folder):
    picture("a.png", size=(400, 500))
    result = restored("a.png", "-o", "new/folder", "--dry-run")
    first, second = result.stdout.splitlines()
    assert first == "a.png  500 x 400, 0.2 megapixels -> new/folder/a.png"
    assert second.startswith("1 picture, 0.2 megapixels: some ")
    assert second.endswith("nothing was written")
    assert files() == ["a.png"]
    Path("b.png").write_bytes(b"x")
    result = call("a.png", "b.png", "--dry-run")
    assert result.exit_code == 2
    assert "b.png" in result.stderr


def test_names_that_are_no_text(folder):
    try:
        Path("x.png").touch()
        os.rename("x.png", NOT_UTF8)
    except OSError:
        pytest.skip("this file system has names of text alone")
    os.remove(NOT_UTF8)
    picture("x.png", 3, np.uint16)
    os.rename("x.png", NOT_UTF8)
    result = restored(".")
    assert r"caf\udce9-restored.png" in result.stdout
    assert len(files()) == 2
    assert "restored already: 1 picture" in restored(".").stderr
    os.rename(NOT_UTF8, "line\nbreak.png")
    result = restored("line\nbreak.png")
    assert result.stdout == "line\\nbreak.png -> line\\nbreak-restored.png\n"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the rights of POSIX")
def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    picture("in/a.png")
    real = os.open

    def read_only(path, flags, *rest, **options):  # chmod would not stop root
        if flags & os.O_CREAT and "in/" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr("minigan.files.os.open", read_only)
    refused(call("in"), "cannot write in the folder", "Permission denied")


def test_oddities_of_file_systems(folder):
    Path("x.jpg").mkdir()
    refused(call("x.jpg"), "the folder x.jpg holds no pictures")
    os.symlink("nowhere", "link.png")
    refused(call("link.png"), "link.png: its link leads nowhere")
    refused(call("*.webp"), "no file has a name like *.webp")
    picture("x.jpg/a.png")
    os.symlink("nowhere", "x.jpg/link.png")
    result = call("x.jpg")
    assert result.exit_code == 2  # told, and the other restored
    assert files() == ["x.jpg/a-restored.png", "x.jpg/a.png"]


def test_a_full_disk_is_told_and_leaves_nothing(folder):
    picture("a.bmp", size=(300, 400))
    command = f"ulimit -f 100; {sys.executable} -m minigan deblur restore a.bmp --threads 1"
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {command} --model model.safetensors"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 2
    assert done.stderr == "Error: cannot write a-restored.bmp: File too large\n"
    assert files() == ["a.bmp"]
