"""Photographs come back as they came: bits, colours, transparency, EXIF data; what cannot is refused."""

import io
import subprocess
import sys

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms, ImageOps

from minigan.core.errors import ImageFileError, MissingExtraError
from minigan.images import (
    Levels,
    losses,
    read_header,
    read_levels,
    read_picture,
    stored_size,
    write_image,
    write_levels,
)

HEIGHT, WIDTH = 13, 22
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, MAKE, DATE, PHOTO, PLACE = 274, 271, 306, 34665, 34853


def values(channels, dtype=np.uint8, seed=0):
    shape, white = (HEIGHT, WIDTH, channels), np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, white, shape, dtype, endpoint=True)


def vips_file(path, array, **options):
    """A file of another library's making, independent of minigan."""
    channels = array.shape[2]
    kind = "rgb16" if channels > 2 else "grey16"
    image = pyvips.Image.new_from_memory(array.tobytes(), WIDTH, HEIGHT, channels, "ushort")
    image.copy(interpretation=kind).write_to_file(str(path), **options)
    return path


def notes(orientation=1):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif[DATE] = orientation, "Camera", "2020:01:01 10:00:00"
    exif[PHOTO] = {36867: "2020:01:01 10:00:00", 33434: 0.005, 40962: WIDTH, 40963: HEIGHT}
    exif[PLACE] = {1: "N", 2: (52.0, 31.0, 12.0)}
    return exif


def refusal(path):
    with pytest.raises(ImageFileError) as caught:
        read_levels(path)
    with pytest.raises(ImageFileError):  # without decoding
        read_header(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


class TestBits:
    # Not grey with alpha in TIFF: Pillow does not know its header.
    @pytest.mark.parametrize(
        ("suffix", "channels"), [("png", 2), ("png", 3), ("png", 4), ("tif", 3), ("tif", 4)]
    )
    def test_16_bit_colour_is_read_and_written_with_every_level(self, tmp_path, channels, suffix):
        stored = values(channels, np.uint16)
        levels = read_levels(vips_file(tmp_path / f"a.{suffix}", stored))
        assert levels.values.dtype == np.uint16
        write_levels(tmp_path / f"b.{suffix}", levels)
        again = read_levels(tmp_path / f"b.{suffix}")
        theirs = pyvips.Image.new_from_file(str(tmp_path / f"b.{suffix}")).numpy()
        np.testing.assert_array_equal(theirs, stored)
        colours = stored[..., :-1] if channels in (2, 4) else stored
        for found in (levels, again):
            np.testing.assert_array_equal(found.values, colours)
            if channels in (2, 4):
                np.testing.assert_array_equal(found.alpha, stored[..., -1])

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_16_bit_grey(self, tmp_path, suffix):
        stored = values(1, np.uint16)
        write_levels(tmp_path / f"a.{suffix}", Levels(stored))
        np.testing.assert_array_equal(read_levels(tmp_path / f"a.{suffix}").values, stored)
        with Image.open(tmp_path / f"a.{suffix}") as theirs:
            np.testing.assert_array_equal(np.asarray(theirs), stored[..., 0])

    @pytest.mark.parametrize("compression", ["lzw", "deflate", "none"])
    def test_16_bit_tiff_as_editors_compress_it(self, tmp_path, compression):
        stored = values(3, np.uint16)
        path = vips_file(tmp_path / "a.tif", stored, compression=compression)
        np.testing.assert_array_equal(read_levels(path).values, stored)

    def test_floats_have_the_precision_of_16_bits(self, tmp_path):
        stored = values(3, np.uint16)
        picture = read_picture(vips_file(tmp_path / "a.png", stored))
        assert picture.bit_depth == 16
        expected = stored.transpose(2, 0, 1) / np.float32(65535)
        np.testing.assert_array_equal(picture.pixels, expected)
        write_image(tmp_path / "b.tif", picture.pixels, bit_depth=16)
        np.testing.assert_array_equal(read_levels(tmp_path / "b.tif").values, stored)

    def test_colours_that_were_multiplied_by_alpha(self, tmp_path):
        stored = values(4, np.uint16)
        stored[..., 3] = np.maximum(stored[..., 3], 30_000)
        multiplied = stored.copy()
        multiplied[..., :3] = np.rint(stored[..., :3] * (stored[..., 3:] / 65535))
        tifffile.imwrite(
            tmp_path / "a.tif", multiplied, photometric="rgb", extrasamples=["assocalpha"]
        )
        difference = read_levels(tmp_path / "a.tif").values.astype(int) - stored[..., :3]
        assert np.abs(difference).max() <= 3

    def test_where_white_is_zero(self, tmp_path):
        stored = values(1, np.uint16)
        tifffile.imwrite(tmp_path / "a.tif", stored[..., 0], photometric="miniswhite")
        np.testing.assert_array_equal(read_levels(tmp_path / "a.tif").values, 65535 - stored)

    def test_16_bits_as_8_are_rounded(self, tmp_path):
        stored = values(3, np.uint16)
        write_levels(tmp_path / "a.bmp", Levels(stored))
        expected = np.rint(stored / 257)
        np.testing.assert_array_equal(read_levels(tmp_path / "a.bmp").values, expected)

    def test_12_bits_are_refused(self, tmp_path):
        stored = values(1, np.uint16)[..., 0]
        tifffile.imwrite(tmp_path / "a.tif", stored)
        content = bytearray((tmp_path / "a.tif").read_bytes())
        entry = content.index(b"\x02\x01\x03\x00\x01\x00\x00\x00")  # BitsPerSample, one short
        content[entry + 8] = 12
        (tmp_path / "a.tif").write_bytes(content)
        assert refusal(tmp_path / "a.tif").endswith("it has 12 bits, and 8 or 16 are needed")

    def test_16_bit_colour_in_ppm_is_refused(self, tmp_path):
        content = f"P6 {WIDTH} {HEIGHT} 65535\n".encode() + values(3, np.uint16).tobytes()
        (tmp_path / "a.ppm").write_bytes(content)
        assert "16-bit colour is read from PNG and TIFF" in refusal(tmp_path / "a.ppm")

    def test_16_bit_colour_without_pyvips_is_refused_with_the_command(self, tmp_path, monkeypatch):
        path = vips_file(tmp_path / "a.png", values(3, np.uint16))
        monkeypatch.setitem(sys.modules, "pyvips", None)
        for read in (read_levels, read_header, read_picture):
            with pytest.raises(
                MissingExtraError, match=r"a\.png .*pip install 'minigan\[photos\]'"
            ):
                read(path)

    def test_damage_in_16_bit_colour_is_told_in_one_line(self, tmp_path):
        path = vips_file(tmp_path / "a.png", values(3, np.uint16))
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(ImageFileError, match=r"a\.png: the picture is damaged \(") as caught:
            read_levels(path)
        assert "\n" not in str(caught.value)

    def test_from_memory(self):
        stored = values(3, np.uint16)
        image = pyvips.Image.new_from_memory(stored.tobytes(), WIDTH, HEIGHT, 3, "ushort")
        content = image.copy(interpretation="rgb16").pngsave_buffer()
        np.testing.assert_array_equal(read_levels(content).values, stored)


class TestKinds:
    @pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_alpha_stays(self, tmp_path, suffix, channels):
        stored = values(channels)
        write_levels(tmp_path / f"a.{suffix}", Levels(stored, values(1)[..., 0]))
        levels = read_levels(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(levels.alpha, values(1)[..., 0])

    def test_grey_stays_grey_and_a_palette_becomes_colour(self, tmp_path):
        Image.fromarray(values(1)[..., 0]).save(tmp_path / "grey.jpg")
        assert read_levels(tmp_path / "grey.jpg").values.shape == (HEIGHT, WIDTH, 1)
        palette = Image.fromarray(values(3)).quantize(8)
        palette.save(tmp_path / "palette.png")
        found = read_levels(tmp_path / "palette.png")
        np.testing.assert_array_equal(found.values, np.asarray(palette.convert("RGB")))
        palette.save(tmp_path / "clear.gif", transparency=3)
        with Image.open(tmp_path / "clear.gif") as image:
            expected = np.asarray(image.convert("RGBA"))
        found = read_levels(tmp_path / "clear.gif")
        np.testing.assert_array_equal(found.alpha, expected[..., 3])
        opaque = expected[..., 3] > 0
        np.testing.assert_array_equal(found.values[opaque], expected[..., :3][opaque])

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_headers_tell_the_upright_size(self, tmp_path, orientation):
        for suffix in ("jpg", "png", "tif", "webp"):
            path = tmp_path / f"a.{suffix}"
            exif = Image.Exif()
            exif[ORIENTATION] = orientation
            Image.fromarray(values(3)).save(path, exif=exif)
            header, levels = read_header(path), read_levels(path)
            assert (header.height, header.width) == levels.values.shape[:2]
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
            expected = np.asarray(upright)
            np.testing.assert_array_equal(levels.values, expected)

    def test_a_16_bit_tiff_is_turned_as_well(self, tmp_path):
        stored = values(3, np.uint16)
        tag = [(ORIENTATION, "H", 1, 6, True)]
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extratags=tag)
        levels, header = read_levels(tmp_path / "a.tif"), read_header(tmp_path / "a.tif")
        np.testing.assert_array_equal(levels.values, np.rot90(stored, -1))
        assert (header.height, header.width, header.bit_depth) == (WIDTH, HEIGHT, 16)

    @pytest.mark.parametrize("suffix", ["tif", "jpg"])
    def test_inks_are_refused(self, tmp_path, suffix):
        Image.new("CMYK", (WIDTH, HEIGHT)).save(tmp_path / f"a.{suffix}")
        assert "its colours are CMYK" in refusal(tmp_path / f"a.{suffix}")

    @pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
    def test_animations_and_pages_are_refused(self, tmp_path, name):
        frames = [Image.fromarray(values(3, seed=i)) for i in range(3)]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        what = "several pages" if name == "a.tif" else "animated"
        assert what in refusal(tmp_path / name)

    def test_a_jpeg_with_a_preview_is_a_photograph(self, tmp_path):
        frames = [Image.fromarray(values(3, seed=i)) for i in range(2)]
        frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
        assert read_header(tmp_path / "a.jpg").format == "MPO"
        assert read_levels(tmp_path / "a.jpg").values.shape == (HEIGHT, WIDTH, 3)

    def test_other_formats_are_not_tried(self, tmp_path):
        Image.fromarray(values(3)).save(tmp_path / "a.png", format="ICO")
        assert "no picture" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.gif", "a.tif", "a.pgm", "a.webp", "a.jpg"])
def test_bombs_are_refused_by_their_headers(tmp_path, monkeypatch, name):
    """Pillow refuses twice its limit: with the limit lowered, an ordinary picture is a bomb."""
    Image.fromarray(values(1)[..., 0]).save(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 2 - 1)
    monkeypatch.delattr("PIL.ImageFile.ImageFile.load")  # decoding would fail
    message = refusal(tmp_path / name)
    assert message.startswith(f"refused to decode {tmp_path / name}")
    assert str(HEIGHT * WIDTH) in message
    assert str(2 * (HEIGHT * WIDTH // 2 - 1)) in message


class TestResolution:
    @pytest.mark.parametrize("wide", [False, True])
    @pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.bmp"])
    def test_pixels_per_inch_are_kept(self, tmp_path, name, wide):
        levels = Levels(values(3, np.uint16 if wide else np.uint8), dpi=(300.0, 150.0))
        write_levels(tmp_path / name, levels)
        with Image.open(tmp_path / name) as image:
            assert image.info["dpi"] == pytest.approx((300, 150), abs=0.1)
        assert read_levels(tmp_path / name).dpi == pytest.approx((300, 150), abs=0.1)

    @pytest.mark.parametrize(("orientation", "dpi"), [(1, (300, 150)), (6, (150, 300))])
    def test_they_are_turned_with_the_picture(self, tmp_path, orientation, dpi):
        exif = notes(orientation)
        Image.fromarray(values(3)).save(tmp_path / "in.jpg", exif=exif, dpi=(300, 150))
        assert read_levels(tmp_path / "in.jpg").dpi == pytest.approx(dpi)

    def test_of_wide_pictures_too(self, tmp_path):
        path = vips_file(tmp_path / "a.png", values(3, np.uint16))
        levels = read_levels(path)
        assert levels.bit_depth == 16
        assert levels.dpi == pytest.approx((25.4, 25.4))  # libvips writes 1 pixel per millimetre

    def test_a_format_without_them_is_written_all_the_same(self, tmp_path):
        write_levels(tmp_path / "a.webp", Levels(values(3), dpi=(300.0, 300.0)))
        assert read_levels(tmp_path / "a.webp").dpi is None

    @pytest.mark.parametrize("dpi", [(0, 300), (300, -1), (float("nan"), 1), "many", None, (1,)])
    def test_what_makes_no_sense_is_left_out(self, tmp_path, monkeypatch, dpi):
        Image.fromarray(values(3)).save(tmp_path / "a.png")
        opened = Image.open

        def with_dpi(*args, **options):
            image = opened(*args, **options)
            image.info["dpi"] = dpi
            return image

        monkeypatch.setattr(Image, "open", with_dpi)
        assert read_levels(tmp_path / "a.png").dpi is None


class TestNotes:
    @pytest.mark.parametrize("wide", [False, True])
    @pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
    def test_exif_and_profile_are_kept_and_say_upright(self, tmp_path, name, wide):
        Image.fromarray(values(3)).save(tmp_path / "in.jpg", exif=notes(6), icc_profile=PROFILE)
        levels = read_levels(tmp_path / "in.jpg")
        if wide:
            levels = Levels(levels.values.astype(np.uint16) * 257, None, PROFILE, levels.exif)
        write_levels(tmp_path / name, levels)
        again = read_levels(tmp_path / name)
        assert again.profile == PROFILE
        assert again.values.shape == (WIDTH, HEIGHT, 3)  # upright, and not turned a second time
        for found in (again.exif, None):
            exif = Image.Exif()
            if found is None:
                with Image.open(tmp_path / name) as image:
                    exif = image.getexif()
                    photo, place = exif.get_ifd(PHOTO), exif.get_ifd(PLACE)
            else:
                exif.load(found)
                photo, place = exif.get_ifd(PHOTO), exif.get_ifd(PLACE)
            assert (exif[MAKE], exif[DATE]) == ("Camera", "2020:01:01 10:00:00")
            assert exif.get(ORIENTATION, 1) == 1
            assert photo[36867] == "2020:01:01 10:00:00"
            assert photo[33434] == pytest.approx(0.005)
            assert (photo[40962], photo[40963]) == (HEIGHT, WIDTH)
            assert place[2] == (52.0, 31.0, 12.0)

    def test_the_tables_of_a_tiff_begin_at_even_places(self, tmp_path):
        for length in range(4):
            exif = notes()
            exif[PHOTO] = {37510: b"x" * (20 + length)}
            write_levels(tmp_path / "a.tif", Levels(values(3), None, None, exif.tobytes()))
            with Image.open(tmp_path / "a.tif") as image:
                found = image.getexif()
                assert found[PHOTO] % 2 == found[PLACE] % 2 == 0
                assert len(found.get_ifd(PHOTO)[37510]) == 20 + length

    def test_tiff_as_a_source_of_exif(self, tmp_path):
        write_levels(tmp_path / "a.tif", Levels(values(3), None, None, notes().tobytes()))
        write_levels(tmp_path / "b.jpg", read_levels(tmp_path / "a.tif"))
        with Image.open(tmp_path / "b.jpg") as image:
            exif = image.getexif()
            assert 256 not in exif  # the layout of the TIFF is none of the JPEG's
            assert exif.get_ifd(PLACE)[1] == "N"

    def test_a_preview_of_the_blurry_picture_goes(self, tmp_path):
        stream = io.BytesIO()
        Image.fromarray(values(3)).resize((4, 4)).save(stream, "JPEG")
        exif = notes()
        exif._ifds[1] = {513: 0, 514: len(stream.getvalue())}
        Image.fromarray(values(3)).save(tmp_path / "a.jpg", exif=exif)
        loaded = Image.Exif()
        loaded.load(read_levels(tmp_path / "a.jpg").exif)
        assert not loaded.get_ifd(1)

    def test_what_a_format_does_not_keep_is_said(self):
        rich = Levels(
            values(3, np.uint16), values(1, np.uint16)[..., 0], PROFILE, b"Exif\0\0" + b"x"
        )
        assert losses("a.png", rich) == losses("a.tif", rich) == []
        assert losses("a.jpg", rich) == ["16 bits", "the transparency"]
        assert losses("a.webp", rich) == ["16 bits"]
        assert losses("a.bmp", rich)[2:] == ["the colour profile", "the EXIF data"]
        assert losses("a.bmp", Levels(values(1))) == []
        long = Levels(values(3), None, None, b"x" * 70_000)
        assert losses("a.jpg", long) == ["the EXIF data"]
        assert losses("a.png", long) == []

    def test_exif_too_long_for_jpeg_is_left_out(self, tmp_path):
        exif = notes()
        exif[PHOTO] = {37500: b"x" * 70_000}
        write_levels(tmp_path / "a.jpg", Levels(values(3), None, None, exif.tobytes()))
        assert stored_size(tmp_path / "a.jpg") == (HEIGHT, WIDTH)


LARGE = """
import resource, sys
import numpy as np
from minigan.images import Levels, read_levels, write_levels
import PIL.Image, PIL.JpegImagePlugin
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
levels = read_levels(sys.argv[1])
write_levels(sys.argv[2], levels)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_reading_and_writing_take_little_more_than_two_copies(tmp_path):
    write_levels(tmp_path / "a.jpg", Levels(np.zeros((2500, 4000, 3), np.uint8)))
    command = [sys.executable, "-c", LARGE, tmp_path / "a.jpg", tmp_path / "b.jpg"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # 30 MB, and 40 of Pillow's; as floats it would be 120.
    assert float(done.stdout) < 100
