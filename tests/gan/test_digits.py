"""Each source of small images gives (N, 1, H, W) in [0, 1], or one sentence on what is wrong."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from minigan.core.errors import ArgumentError, ImageFileError
from minigan.gan.digits import load_digits


def zipped(content):
    """Gzip data without a time stamp: the same bytes in whichever second a test is collected."""
    return gzip.compress(content, mtime=0)


def idx(levels, magic=0x00000803):
    return struct.pack(">4I", magic, *levels.shape) + levels.tobytes()


def random_levels(count=7, height=6, width=5):
    levels = np.random.default_rng(0).integers(0, 256, (count, height, width), np.uint8)
    levels[0, 0, :2] = 0, 255
    return levels


def assert_images(images, shape):
    assert images.shape == shape
    assert images.dtype == np.float32
    assert images.flags.c_contiguous
    assert images.min() >= 0
    assert images.max() <= 1


class TestBundled:
    def test_digits_as_they_are(self):
        images = load_digits()
        assert_images(images, (1797, 1, 8, 8))
        assert (images.min(), images.max()) == (0, 1)
        assert np.array_equal(images * 16, np.rint(images * 16))
        # The first one is a zero: dark in the middle, with a bright ring around it.
        assert images[0, 0, 3:5, 3:5].mean() < 0.2 < 0.6 < images[0, 0, 2:6, 2].mean()

    def test_enlarged_digits_keep_their_shape(self):
        small, large = load_digits(), load_digits(size=16)
        assert_images(large, (1797, 1, 16, 16))
        halved = large.reshape(-1, 1, 8, 2, 8, 2).mean(axis=(3, 5))
        assert np.abs(halved - small).mean() < 0.05


class TestIdx:
    @pytest.mark.parametrize(
        ("name", "is_zipped"), [("a", False), ("a", True), ("a.gz", True), ("a.idx3-ubyte", False)]
    )
    def test_plain_and_gzipped_by_content_not_by_name(self, tmp_path, name, is_zipped):
        levels = random_levels()
        content = zipped(idx(levels)) if is_zipped else idx(levels)
        (tmp_path / name).write_bytes(content)
        images = load_digits(tmp_path / name)
        assert_images(images, (7, 1, 6, 5))
        np.testing.assert_array_equal(images[:, 0], levels / np.float32(255))

    def test_resizing(self, tmp_path):
        (tmp_path / "a").write_bytes(idx(random_levels()))
        assert_images(load_digits(str(tmp_path / "a"), size=16), (7, 1, 16, 16))

    def test_resizing_to_less_averages(self, tmp_path):
        stripes = np.zeros((1, 32, 32), np.uint8)
        stripes[:, :, ::2] = 255  # taking every fourth column would give 0 or 1
        (tmp_path / "a").write_bytes(idx(stripes))
        np.testing.assert_allclose(load_digits(tmp_path / "a", size=8), 0.5, atol=0.1)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "the file is empty"),
            (b"\0\0", r"announces 0 images|begins with 0x"),
            (idx(random_levels(), 0x00000801), "begins with 0x00000801, which marks labels, and"),
            (b"\x89PNG\r\n\x1a\n" + bytes(40), "begins with 0x89504e47 and an IDX file"),
            (idx(random_levels())[:10], "announces .* and it has 10$"),
            (idx(random_levels())[:-1], "7 images of 6 x 5, 226 bytes in all, and it has 225$"),
            (idx(random_levels()) + b"\0", "226 bytes in all, and it has 227$"),
            (idx(random_levels()[:0]), "it holds no images"),
            (zipped(idx(random_levels()))[:-20], "its gzip data is damaged"),
            (zipped(idx(random_levels()))[:5], "its gzip data is damaged"),
            (zipped(b""), "begins with 0x00000000"),
            (struct.pack(">4I", 0x803, *[2**32 - 1] * 3), "and it has 16$"),
        ],
    )
    def test_damaged_files(self, tmp_path, content, message):
        path = tmp_path / "a"
        path.write_bytes(content)
        with pytest.raises(ImageFileError, match=message) as caught:
            load_digits(path)
        assert str(caught.value).startswith(f"cannot read {path}: ")
        assert "\n" not in str(caught.value)

    def test_damage_inside_the_gzip_data(self, tmp_path):
        whole = bytearray(zipped(idx(random_levels())))
        for place in range(10, len(whole), 7):
            damaged = whole.copy()
            damaged[place] ^= 0xFF
            (tmp_path / "a").write_bytes(damaged)
            with pytest.raises(ImageFileError):
                load_digits(tmp_path / "a")

    def test_a_name_that_promises_gzip(self, tmp_path):
        (tmp_path / "a.gz").write_bytes(idx(random_levels()))
        with pytest.raises(ImageFileError, match=r"it ends in \.gz and is not gzipped"):
            load_digits(tmp_path / "a.gz")

    def test_missing(self, tmp_path):
        with pytest.raises(ImageFileError, match=r"cannot read .*none\.gz: No such file"):
            load_digits(tmp_path / "none.gz")


class TestFolder:
    def test_pictures_become_grey_squares_in_order(self, tmp_path):
        for name, colour in [("b.png", (255, 0, 0)), ("a.png", (0, 255, 0))]:
            Image.new("RGB", (40, 30), colour).save(tmp_path / name)
        images = load_digits(tmp_path)
        assert_images(images, (2, 1, 28, 28))
        np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), [0.587, 0.299], atol=1e-3)

    def test_the_middle_is_taken_and_not_stretched(self, tmp_path):
        levels = np.zeros((10, 30), np.uint8)
        levels[:, 10:20] = 255
        Image.fromarray(levels).save(tmp_path / "wide.png")
        Image.fromarray(levels.T).save(tmp_path / "tall.png")
        np.testing.assert_array_equal(load_digits(tmp_path, size=10), np.ones((2, 1, 10, 10)))

    def test_empty_and_damaged(self, tmp_path):
        with pytest.raises(ImageFileError, match="holds no pictures"):
            load_digits(tmp_path)
        (tmp_path / "a.png").write_text("no picture")
        with pytest.raises(ImageFileError, match=r"a\.png: it is no picture"):
            load_digits(tmp_path)


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_that_are_none(size):
    with pytest.raises(ArgumentError, match=f"size is {size}, and must be at least 1"):
        load_digits(size=size)
