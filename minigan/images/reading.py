"""Reading pictures as they look: upright, with all of their bits, whatever their file is like inside.

Cameras and editors store much besides an array of colours (a rotation to apply, transparency, 16 bits
per value, a colour profile), and programs that ignore it turn a user's photographs on their side or
into other colours.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.core.errors import ImageFileError, MiniganError, require
from minigan.images import wide
from minigan.images.exif import kept_exif, orientation_of
from minigan.images.formats import READ_FORMATS
from minigan.images.levels import Header, Levels, Picture, Source, as_floats, name_of

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# The modes whose colour profile still holds for the pixels after they are converted, and which a file
# that is written can have, too (bilevel pictures become grey, and palettes colour).
_MODES_KEPT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "I;16N"}
_STRIP = 1 << 20  # pixels that are converted at a time


def read_image(path: Source) -> np.ndarray:
    """The pixels of a picture: float32 (C, H, W) in [0, 1], as `read_picture` reads them."""
    return read_picture(path).pixels


def read_picture(path: Source) -> Picture:
    """Read a picture, whole and upright, in BMP, GIF, JPEG, PNG, PPM, TIFF or WebP.

    Grey files (1, 8 or 16 bits) give one channel, all others three: palettes and CMYK are
    converted to RGB. Of an animation, the first frame counts. 16 bits keep all of their 65536 levels;
    for those of colour, pyvips has to be installed.

    Raises `ImageFileError` when the file is missing, no picture, damaged, cut short, or so large
    that it is more likely an attack than a photograph (twice `PIL.Image.MAX_IMAGE_PIXELS`, that
    is some 179 million pixels), and `MissingExtraError` without pyvips where that is needed.
    """
    with _opened(path) as image:
        levels = _decoded(path, image)
    alpha = None if levels.alpha is None else as_floats(levels.alpha)
    return Picture(as_floats(levels.values), alpha, levels.bit_depth, levels.profile)


def read_levels(source: Source) -> Levels:
    """Read a picture that shall be written again like it was, in the whole numbers of its file.

    As `read_picture` does, with a fourth of the memory; but what could not be written again is refused
    with an `ImageFileError`: animations, several pages, CMYK and other kinds of colour.
    """
    with _opened(source) as image:
        _refuse_what_cannot_be_kept(source, image)
        return _decoded(source, image)


def read_header(source: Source) -> Header:
    """What a file says of its picture, without decoding it; refused is what `read_levels` refuses."""
    with _opened(source) as image:
        _refuse_what_cannot_be_kept(source, image)
        bits = _bit_depth(source, image)
        if _is_wide(image):
            wide.check(source)
        height, width = image.height, image.width
        if image.format == "TIFF":  # whose sides Pillow may have swapped already: TIFF's own tags
            tags = getattr(image, "tag_v2", {})
            height, width = int(tags.get(257, height)), int(tags.get(256, width))
        if orientation_of(image) >= 5:
            height, width = width, height
        channels = len(_mode_of(image)) if bits == 8 else len(image.getbands())
        return Header(str(image.format), height, width, channels, bits)


def stored_size(path: Source) -> tuple[int, int]:
    """(height, width) from a picture's header, without decoding it.

    Where the file asks to be shown turned by 90 degrees, `read_image` may give them the other way
    round. Raises `ImageFileError` as `read_picture` does.
    """
    with _opened(path) as image:
        return image.height, image.width


# ---------------------------------------------------------------------- opening, and what is refused


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[PillowImage]:
    """Open a picture with Pillow; whatever goes wrong in the block becomes an `ImageFileError`."""
    pillow = require("PIL.Image", "deblur", "read pictures")
    name = name_of(source)
    _check_source(source)
    try:
        # Pillow warns of odd metadata, which is no matter, and of large pictures, of which it
        # refuses the very large with an error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = io.BytesIO(source) if isinstance(source, bytes) else source
            with pillow.open(file, formats=READ_FORMATS) as image:
                yield image
    except MiniganError:
        raise
    except pillow.DecompressionBombError as error:  # its message has the pixels and the limit
        raise ImageFileError(f"refused to decode {name}: {str(error).rstrip('.')}") from error
    except pillow.UnidentifiedImageError as error:
        raise ImageFileError(
            f"cannot read {name}: it is no picture, or its header is damaged"
        ) from error
    except MemoryError as error:
        raise ImageFileError(f"cannot read {name}: the memory does not suffice for it") from error
    except Exception as error:  # on a damaged file a decoder raises nearly anything
        if isinstance(error, OSError) and error.strerror:  # the system's, not a decoder's
            raise ImageFileError(f"cannot read {name}: {error.strerror}") from error
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageFileError(f"cannot read {name}: the picture is damaged ({reason})") from error


def _check_source(source: Source) -> None:
    name = name_of(source)
    if isinstance(source, bytes):
        if not source:
            raise ImageFileError(f"cannot read {name}: it is empty")
        return
    if not os.path.exists(source):
        raise ImageFileError(f"cannot read {name}: there is no such file")
    if os.path.isdir(source):
        raise ImageFileError(f"cannot read {name}: it is a folder, and a picture is needed")
    if not os.path.isfile(source):  # reading a pipe would wait for ever
        raise ImageFileError(f"cannot read {name}: it is a device or a pipe, not a file")
    if os.path.getsize(source) == 0:
        raise ImageFileError(f"cannot read {name}: the file is empty")


def _refuse_what_cannot_be_kept(source: Source, image: PillowImage) -> None:
    name = name_of(source)
    # In a JPEG, "MPO", further frames are previews or depths of the one photograph.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        many = "it has several pages" if image.format == "TIFF" else "it is animated"
        raise ImageFileError(f"cannot restore {name}: {many}, and only single pictures can be kept")
    if image.mode not in _MODES_KEPT and image.mode != "F":  # F: _bit_depth has a sentence for it
        raise ImageFileError(
            f"cannot restore {name}: its colours are {image.mode}, which could not be kept; "
            "convert it to RGB first"
        )


# ---------------------------------------------------------------------- bits


def _stored_bits(image: PillowImage) -> set[int]:
    """How many bits the values of a TIFF have."""
    bits = getattr(image, "tag_v2", {}).get(258, (1,))
    return set(bits) if isinstance(bits, tuple) else {bits}


def _is_wide(image: PillowImage) -> bool:
    """Whether Pillow would read 16 bits as 8, which it does where there is more than one channel."""
    if image.format == "TIFF":
        return len(image.getbands()) > 1 and 16 in _stored_bits(image)
    if image.format == "PNG":
        raw = str(_decoding(image))
        return ";16" in raw and (raw != "I;16B" or "transparency" in image.info)
    return False


def _decoding(image: PillowImage) -> Any:
    """What Pillow hands to its decoder: the mode of the file, and more."""
    tiles = getattr(image, "tile", [])
    return tiles[0].args if tiles else None


def _bit_depth(source: Source, image: PillowImage) -> int:
    """How many bits each value has, 8 or 16; other kinds are refused. Before decoding."""
    name = name_of(source)
    if image.format == "PPM" and image.mode == "RGB":
        arguments = _decoding(image)
        maximum = arguments[-1] if isinstance(arguments, tuple) else 0
        if isinstance(maximum, int) and maximum > 255:
            raise ImageFileError(
                f"cannot read {name}: 16-bit colour is read from PNG and TIFF, and this is PPM"
            )
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ImageFileError(
            f"cannot read {name}: its values are 32-bit numbers, of which nothing says what is "
            "white, and 8 or 16 bits are needed"
        )
    if image.mode.startswith("I;16") and image.format == "TIFF" and _stored_bits(image) != {16}:
        bits = " and ".join(map(str, sorted(_stored_bits(image))))
        raise ImageFileError(f"cannot read {name}: it has {bits} bits, and 8 or 16 are needed")
    return 16 if image.mode.startswith("I") or _is_wide(image) else 8


# ---------------------------------------------------------------------- decoding


def _decoded(source: Source, image: PillowImage) -> Levels:
    """The picture, turned upright, with what a file needs to be like it."""
    bits = _bit_depth(source, image)
    profile = image.info.get("icc_profile") if image.mode in _MODES_KEPT else None
    if _is_wide(image):
        orientation = orientation_of(image)
        stored = wide.read(source)
        has_alpha = stored.shape[-1] in (2, 4)
    else:
        with _quiet() if image.format == "TIFF" else contextlib.nullcontext():
            image.load()  # opening reads only the header; what follows needs the whole picture
        orientation = orientation_of(image)  # Pillow turns a TIFF when it loads it
        mode = None if bits == 16 else _mode_of(image)
        stored = _unpacked(image, mode)
        has_alpha = mode in ("LA", "RGBA")
        if bits == 16 and getattr(image, "tag_v2", {}).get(262) == 0:  # white is zero
            np.subtract(65535, stored, out=stored)
    values = _upright(stored, orientation)
    height, width = values.shape[:2]
    exif, dpi = kept_exif(image, height, width), _dpi(image, orientation)
    if has_alpha:
        return Levels(values[..., :-1], values[..., -1], profile, exif, dpi)
    return Levels(values, None, profile, exif, dpi)


def _dpi(image: PillowImage, orientation: int) -> tuple[float, float] | None:
    """Pixels per inch of the upright picture; None where the file says nothing that makes sense."""
    try:
        across, down = map(float, image.info["dpi"])
    except (KeyError, TypeError, ValueError):
        return None
    if not (0 < across < 1e6 and 0 < down < 1e6):  # NaN is not, either
        return None
    return (down, across) if orientation >= 5 else (across, down)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Standard error to nowhere: libtiff writes there what it finds wrong, and Pillow tells it again."""
    try:
        saved = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _mode_of(image: PillowImage) -> str:
    """What a picture of 8 bits is converted to: grey or colour, with alpha where it has any."""
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    return mode + "A" if image.has_transparency_data else mode


def _unpacked(image: PillowImage, mode: str | None) -> np.ndarray:
    """The levels (H, W, C) in a mode of 8 bits, or 16 of grey; a strip at a time, to save memory."""
    channels, dtype = (1, np.uint16) if mode is None else (len(mode), np.uint8)
    levels = np.empty((image.height, image.width, channels), dtype)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = image.crop((0, top, image.width, bottom))
        values = np.asarray(strip if mode is None or strip.mode == mode else strip.convert(mode))
        levels[top:bottom] = values if values.ndim == 3 else values[:, :, None]
    return levels


def _upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """A view of the picture as it is shown: EXIF 2.3, section 4.6.4 A, tag Orientation."""
    if orientation >= 5:
        stored = stored.swapaxes(0, 1)
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return stored[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
