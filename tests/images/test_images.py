"""Pictures of every kind are read as they look; bad ones are refused in one sentence."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from minigan.core.errors import (
    ArgumentError,
    ImageFileError,
    NonFiniteError,
    OutputPathError,
    ShapeError,
)
from minigan.images import (
    check_image_path,
    find_images,
    image_grid,
    read_image,
    read_picture,
    stored_size,
    to_grey,
    write_image,
)

# Odd, unequal sides, so that a swap of axes or a transposition shows.
HEIGHT, WIDTH = 13, 22


def levels(channels, dtype=np.uint8, seed=0):
    """Random levels (H, W) or (H, W, C), with the first and the last level among them."""
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, True)
    values[0, 0], values[0, 1] = 0, np.iinfo(dtype).max
    return values


def smooth(channels):
    """A picture that lossy formats keep nearly as it is, float32 (C, H, W)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [0.5 + 0.4 * np.sin(x / (4 + c)) * np.cos(y / (5 - c)) for c in range(channels)]
    return np.stack(planes).astype(np.float32)


def as_pixels(values, white=255):
    return np.atleast_3d(values).transpose(2, 0, 1).astype(np.float32) / np.float32(white)


def save(path, values, **options):
    Image.fromarray(values).save(path, **options)
    return path


def assert_image(image, expected):
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)


class TestModes:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
    def test_grey_and_colour(self, tmp_path, channels, suffix):
        values = levels(channels)
        picture = read_picture(save(tmp_path / f"a.{suffix}", values))
        assert_image(picture.pixels, as_pixels(values))
        assert (picture.alpha, picture.bit_depth, picture.profile) == (None, 8, None)

    def test_one_bit(self, tmp_path):
        values = levels(1) > 127
        picture = read_picture(save(tmp_path / "a.png", values))
        assert_image(picture.pixels, as_pixels(values, white=1))

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_sixteen_bits_keep_every_level(self, tmp_path, suffix):
        values = levels(1, np.uint16)
        picture = read_picture(save(tmp_path / f"a.{suffix}", values))
        assert_image(picture.pixels, as_pixels(values, 65535))
        assert picture.bit_depth == 16

    def test_sixteen_bits_with_the_large_byte_first(self, tmp_path):
        values = levels(1, np.uint16)
        header = f"P5 {WIDTH} {HEIGHT} 65535\n".encode()
        (tmp_path / "a.pgm").write_bytes(header + values.astype(">u2").tobytes())
        assert_image(read_image(tmp_path / "a.pgm"), as_pixels(values, 65535))
        save(tmp_path / "a.tif", values.astype(">u2"))
        assert_image(read_image(tmp_path / "a.tif"), as_pixels(values, 65535))

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_values_without_a_known_white_are_refused(self, tmp_path, dtype):
        path = save(tmp_path / "a.tif", levels(1).astype(dtype))
        assert refusal(path).startswith(f"cannot read {path}: its values are 32-bit numbers")

    def test_palette(self, tmp_path):
        indices = levels(1) % 4
        colours = np.array([[0, 0, 0], [255, 10, 20], [30, 255, 40], [50, 60, 255]], np.uint8)
        image = Image.fromarray(indices)
        image.putpalette(colours.tobytes())
        assert image.mode == "P"
        image.save(tmp_path / "a.png")
        assert_image(read_image(tmp_path / "a.png"), as_pixels(colours[indices]))

    def test_palette_with_a_transparent_colour(self, tmp_path):
        indices = levels(1) % 4
        image = Image.fromarray(indices)
        image.putpalette(bytes(range(12)))
        image.save(tmp_path / "a.png", transparency=2)
        picture = read_picture(tmp_path / "a.png")
        assert picture.pixels.shape == (3, HEIGHT, WIDTH)
        np.testing.assert_array_equal(picture.alpha, indices != 2)

    def test_cmyk_becomes_rgb(self, tmp_path):
        cyan = Image.new("CMYK", (WIDTH, HEIGHT), (255, 0, 0, 0))  # no red, all green and blue
        cyan.save(tmp_path / "a.tif")
        cyan.save(tmp_path / "a.jpg", quality=100)
        for name in ("a.tif", "a.jpg"):
            pixels = read_image(tmp_path / name)
            assert pixels.shape == (3, HEIGHT, WIDTH)
            np.testing.assert_allclose(pixels.mean(axis=(1, 2)), [0, 1, 1], atol=0.01)

    @pytest.mark.parametrize("channels", [2, 4])
    def test_alpha_is_kept_apart(self, tmp_path, channels):
        values = levels(channels)
        picture = read_picture(save(tmp_path / "a.png", values))
        assert_image(picture.pixels, as_pixels(values[:, :, :-1]))
        np.testing.assert_array_equal(picture.alpha, as_pixels(values)[-1])
        assert_image(read_image(tmp_path / "a.png"), picture.pixels)

    def test_the_first_frame_of_an_animation(self, tmp_path):
        frames = [Image.fromarray(np.full((HEIGHT, WIDTH), v, np.uint8)) for v in (51, 204)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(read_image(tmp_path / "a.gif"), 51 / 255, atol=1e-6)

    def test_oddities_raise_no_warnings(self, tmp_path, monkeypatch):
        values = levels(3)
        save(tmp_path / "a.png", values)
        # Above this limit Pillow warns, above its double it refuses.
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH - 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_image(read_image(tmp_path / "a.png"), as_pixels(values))


# What a viewer does to the stored picture for each value of the EXIF orientation.
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


class TestOrientation:
    @pytest.mark.parametrize("suffix", ["png", "tif"])
    @pytest.mark.parametrize("orientation", SHOWN)
    def test_pictures_are_read_as_they_are_shown(self, tmp_path, orientation, suffix):
        exif = Image.Exif()
        exif[0x0112] = orientation
        values = levels(3)
        path = save(tmp_path / f"a.{suffix}", values, exif=exif)
        assert_image(read_image(path), as_pixels(SHOWN[orientation](values)))

    def test_alpha_and_sixteen_bits_turn_with_the_picture(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        values = levels(4)
        picture = read_picture(save(tmp_path / "a.png", values, exif=exif))
        np.testing.assert_array_equal(picture.alpha, as_pixels(np.rot90(values, -1))[-1])
        wide = levels(1, np.uint16)
        path = save(tmp_path / "b.png", wide, exif=exif)
        assert_image(read_image(path), as_pixels(np.rot90(wide, -1), 65535))

    def test_damaged_exif_data_do_not_hide_the_picture(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        good = save(tmp_path / "a.webp", levels(3), exif=exif, lossless=True).read_bytes()
        start = good.index(b"II*\0") if b"II*\0" in good else good.index(b"MM\0*")
        (tmp_path / "a.webp").write_bytes(good[:start] + b"?" + good[start + 1 :])
        assert_image(read_image(tmp_path / "a.webp"), as_pixels(levels(3)))

    def test_stored_size_reads_the_header_only(self, tmp_path):
        path = save(tmp_path / "a.bmp", levels(3))
        path.write_bytes(path.read_bytes()[:60])
        assert stored_size(path) == (HEIGHT, WIDTH)


def refusal(path):
    """The message with which reading `path` fails, checked to be one line that names the path."""
    with pytest.raises(ImageFileError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


class TestBadFiles:
    def test_missing(self, tmp_path):
        path = tmp_path / "a.png"
        assert refusal(path) == f"cannot read {path}: there is no such file"
        with pytest.raises(ImageFileError, match="no such file"):
            stored_size(path)

    def test_folder(self, tmp_path):
        assert refusal(tmp_path).endswith("it is a folder, and a picture is needed")

    def test_empty(self, tmp_path):
        (tmp_path / "a.png").touch()
        assert refusal(tmp_path / "a.png").endswith("the file is empty")

    def test_text(self, tmp_path):
        (tmp_path / "a.png").write_text("not a picture")
        assert refusal(tmp_path / "a.png").endswith("no picture, or its header is damaged")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "a.png")
        assert refusal(tmp_path / "a.png").endswith("it is a device or a pipe, not a file")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp"])
    def test_cut_short_anywhere(self, tmp_path, suffix):
        path = save(tmp_path / f"a.{suffix}", levels(3))
        whole = path.read_bytes()
        expected = read_image(path)
        for length in np.linspace(1, len(whole) - 1, 40, dtype=int):
            path.write_bytes(whole[:length])
            try:
                pixels = read_image(path)
            except ImageFileError:
                continue
            # Some formats end in bytes that no pixel needs; none may be made up.
            assert length > len(whole) - 16
            assert_image(pixels, expected)

    @pytest.mark.parametrize("suffix", ["png", "jpg"])
    def test_cut_in_half(self, tmp_path, suffix):
        path = save(tmp_path / f"a.{suffix}", levels(3))
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        assert "the picture is damaged (" in refusal(path)

    def test_a_bomb_is_refused_before_it_is_decoded(self, tmp_path):
        path = tmp_path / "a.pgm"
        path.write_bytes(b"P5 40000 30000 255\n")  # no pixels: decoding would fail otherwise
        message = refusal(path)
        assert message.startswith(f"refused to decode {path}")
        assert "1200000000 pixels" in message
        assert str(2 * Image.MAX_IMAGE_PIXELS) in message

    def test_a_bug_in_a_decoder_is_told_as_damage(self, tmp_path, monkeypatch):
        def fail(self):
            raise IndexError

        path = save(tmp_path / "a.bmp", levels(3))
        monkeypatch.setattr("PIL.BmpImagePlugin.BmpImageFile.load", fail)
        assert refusal(path).endswith("the picture is damaged (IndexError)")


class TestWriting:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "PNG"])
    def test_lossless_formats_give_back_each_level(self, tmp_path, channels, suffix):
        pixels = as_pixels(levels(channels))
        write_image(tmp_path / f"a.{suffix}", pixels)
        assert_image(read_image(tmp_path / f"a.{suffix}"), pixels)

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
    def test_lossy_formats_come_near(self, tmp_path, channels, suffix):
        path, pixels = tmp_path / f"a.{suffix}", smooth(channels)
        write_image(path, pixels)
        back = read_image(path)
        assert back.shape[0] == (3 if suffix == "webp" else channels)  # WebP knows no grey
        assert np.abs(back - pixels).mean() < 0.015
        with Image.open(path) as image:
            assert image.format == ("WEBP" if suffix == "webp" else "JPEG")

    def test_the_quality_of_jpeg(self, tmp_path):
        write_image(tmp_path / "a.jpg", smooth(3))
        save(
            tmp_path / "b.jpg",
            np.rint(smooth(3) * 255).astype(np.uint8).transpose(1, 2, 0),
            quality=95,
        )
        with Image.open(tmp_path / "a.jpg") as ours, Image.open(tmp_path / "b.jpg") as pillow:
            assert ours.quantization == pillow.quantization

    def test_values_are_rounded_and_clipped(self, tmp_path):
        values = np.array([[[0.6, 0.4, 100.4, 100.6, 254.6, 300, -3]]], np.float32) / 255
        write_image(tmp_path / "a.png", values)
        expected = [[1, 0, 100, 101, 255, 255, 0]]
        assert_image(read_image(tmp_path / "a.png"), as_pixels(np.array(expected)))

    @pytest.mark.parametrize("dtype", [np.float16, np.float64])
    def test_other_floats_are_taken(self, tmp_path, dtype):
        pixels = as_pixels(levels(3))
        write_image(tmp_path / "a.png", pixels.astype(dtype))
        assert_image(read_image(tmp_path / "a.png"), pixels)

    @pytest.mark.parametrize("channels", [2, 4])
    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_alpha_is_put_back(self, tmp_path, channels, suffix):
        values = as_pixels(levels(channels))
        write_image(tmp_path / f"a.{suffix}", values[:-1], alpha=values[-1])
        picture = read_picture(tmp_path / f"a.{suffix}")
        assert_image(picture.pixels, values[:-1])
        np.testing.assert_array_equal(picture.alpha, values[-1])

    @pytest.mark.parametrize("channels", [1, 3])
    def test_webp_keeps_alpha(self, tmp_path, channels):
        write_image(tmp_path / "a.webp", smooth(channels), alpha=smooth(1)[0])
        alpha = read_picture(tmp_path / "a.webp").alpha
        assert np.abs(alpha - smooth(1)[0]).max() < 0.01

    @pytest.mark.parametrize("suffix", ["jpg", "bmp"])
    def test_alpha_is_dropped_where_there_is_no_room(self, tmp_path, suffix):
        write_image(tmp_path / f"a.{suffix}", smooth(3), alpha=smooth(1)[0])
        assert read_picture(tmp_path / f"a.{suffix}").alpha is None

    @pytest.mark.parametrize(("suffix", "kept"), [("png", 16), ("tif", 16), ("jpg", 8), ("bmp", 8)])
    def test_sixteen_bits_are_put_back(self, tmp_path, suffix, kept):
        pixels = as_pixels(levels(1, np.uint16), 65535)
        write_image(tmp_path / f"a.{suffix}", pixels, bit_depth=16)
        picture = read_picture(tmp_path / f"a.{suffix}")
        assert picture.bit_depth == kept
        if kept == 16:
            assert_image(picture.pixels, pixels)

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
    def test_the_colour_profile_is_put_back(self, tmp_path, suffix):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        write_image(tmp_path / f"a.{suffix}", smooth(3), profile=profile)
        assert read_picture(tmp_path / f"a.{suffix}").profile == profile

    def test_the_profile_of_inks_is_not_kept_for_rgb(self, tmp_path):
        image = Image.new("CMYK", (WIDTH, HEIGHT))
        image.save(tmp_path / "a.tif", icc_profile=b"of inks")
        assert read_picture(tmp_path / "a.tif").profile is None

    def test_a_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch):
        def fail(self, path, **options):
            path.write_bytes(b"half")
            raise OSError("encoder error")

        path = tmp_path / "a.png"
        path.write_bytes(b"old")
        monkeypatch.setattr(Image.Image, "save", fail)
        with pytest.raises(OutputPathError, match=r"cannot write .*a\.png: encoder error"):
            write_image(path, smooth(3))
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["a.png"]

    def test_a_side_too_long_for_the_format(self, tmp_path):
        with pytest.raises(OutputPathError, match=r"cannot write .*a\.webp"):
            write_image(tmp_path / "a.webp", np.zeros((3, 1, 20_000), np.float32))

    @pytest.mark.parametrize(
        ("name", "found"), [("a.xyz", "ends in .xyz"), ("a", "has no suffix"), ("a.gif", ".gif")]
    )
    def test_unknown_suffixes(self, tmp_path, name, found):
        for act in (check_image_path, lambda path: write_image(path, smooth(3))):
            with pytest.raises(OutputPathError, match=f"{found}, and a picture needs .bmp, .jpeg"):
                act(tmp_path / name)

    def test_check_image_path_checks_the_folder(self, tmp_path):
        check_image_path(tmp_path / "a.png")
        assert not list(tmp_path.iterdir())
        with pytest.raises(OutputPathError, match="does not exist"):
            check_image_path(tmp_path / "none" / "a.png")

    @pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5), (4, 4, 5), (1, 3, 4, 5), (3, 0, 5)])
    def test_shapes_that_are_no_picture(self, tmp_path, shape):
        with pytest.raises(ShapeError, match="pixels have shape"):
            write_image(tmp_path / "a.png", np.zeros(shape, np.float32))

    def test_alpha_of_another_shape(self, tmp_path):
        with pytest.raises(ShapeError, match=r"alpha has shape \(5, 4\), and needs \(4, 5\)"):
            write_image(tmp_path / "a.png", np.zeros((3, 4, 5)), alpha=np.zeros((5, 4)))

    def test_integers_and_nan_are_refused(self, tmp_path):
        with pytest.raises(ArgumentError, match="dtype uint8"):
            write_image(tmp_path / "a.png", levels(3).transpose(2, 0, 1))
        with pytest.raises(NonFiniteError, match="pixels hold NaN"):
            write_image(tmp_path / "a.png", np.full((3, 4, 5), np.nan))
        with pytest.raises(ArgumentError, match="bit_depth is 12"):
            write_image(tmp_path / "a.png", smooth(1), bit_depth=12)
        assert not list(tmp_path.iterdir())


class TestFinding:
    def test_pictures_are_found_in_one_order_and_hidden_ones_passed_over(self, tmp_path):
        names = ["b.PNG", "a.jpg", "below/c.tiff", "below/deep/d.webp", "notes.txt", "png"]
        hidden = [".e.png", ".trash/f.png", "below/.g.png"]
        for name in names + hidden:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        wanted = ["a.jpg", "b.PNG", "below/c.tiff", "below/deep/d.webp"]
        assert find_images(tmp_path) == [tmp_path / name for name in wanted]
        assert find_images(str(tmp_path), recursive=False) == [tmp_path / n for n in wanted[:2]]

    def test_a_hidden_folder_may_be_asked_for(self, tmp_path):
        (tmp_path / ".here").mkdir()
        (tmp_path / ".here" / "a.png").touch()
        assert len(find_images(tmp_path / ".here")) == 1

    def test_missing_empty_and_file(self, tmp_path):
        with pytest.raises(ImageFileError, match="none does not exist"):
            find_images(tmp_path / "none")
        with pytest.raises(ImageFileError, match=r"holds no pictures, which end in \.bmp"):
            find_images(tmp_path)
        (tmp_path / "a.png").touch()
        with pytest.raises(ImageFileError, match="is a file, and a folder of pictures is needed"):
            find_images(tmp_path / "a.png")

    def test_a_folder_that_cannot_be_listed(self, tmp_path, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("os.scandir", refuse)  # chmod would not stop root
        with pytest.raises(ImageFileError, match=r"cannot list the folder .*Permission denied"):
            find_images(tmp_path)


class TestGrid:
    def test_every_image_lies_in_its_place(self):
        images = np.arange(5 * 3 * 2 * 4, dtype=np.float32).reshape(5, 3, 2, 4)
        sheet = image_grid(images, columns=3, margin=1, background=-1)
        assert sheet.shape == (3, 1 + 2 * 3, 1 + 3 * 5)
        assert sheet.dtype == np.float32
        for index, image in enumerate(images):
            top, left = 1 + index // 3 * 3, 1 + index % 3 * 5
            np.testing.assert_array_equal(sheet[:, top : top + 2, left : left + 4], image)
        assert (sheet == -1).sum() == sheet.size - images.size

    def test_fewer_images_than_columns_and_no_margin(self):
        images = np.zeros((2, 1, 3, 4))
        assert image_grid(images, columns=8, margin=0).shape == (1, 3, 8)

    def test_bad_calls(self):
        with pytest.raises(ShapeError, match=r"shape \(3, 4, 4\)"):
            image_grid(np.zeros((3, 4, 4)), 2)
        with pytest.raises(ShapeError, match=r"shape \(0, 3, 4, 4\)"):
            image_grid(np.zeros((0, 3, 4, 4)), 2)
        with pytest.raises(ArgumentError, match="columns is 0"):
            image_grid(np.zeros((1, 3, 4, 4)), 0)
        with pytest.raises(ArgumentError, match="margin is -1"):
            image_grid(np.zeros((1, 3, 4, 4)), 1, margin=-1)


def test_grey_is_luma():
    image = np.stack([np.full((2, 3), v, np.float32) for v in (0.2, 0.5, 0.9)])
    luma = to_grey(image)
    assert luma.shape == (1, 2, 3)
    assert luma.dtype == np.float32
    np.testing.assert_allclose(luma, 0.299 * 0.2 + 0.587 * 0.5 + 0.114 * 0.9, rtol=1e-6)
    assert to_grey(luma) is luma
    assert to_grey(np.ones((3, 1, 1), np.float32)).max() <= 1


def test_importing_the_module_does_not_import_pillow():
    code = "import sys, minigan.images; assert 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
