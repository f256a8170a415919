"""Pictures as arrays: reading them, writing them, finding them, and laying them out in a sheet.

An image is a float32 array (C, H, W) with values in [0, 1]; C is 1 for grey and 3 for red, green,
blue. Cameras and editors store much besides that (a rotation to apply, transparency, 16 bits per
value, a colour profile), and programs that ignore it turn a user's photographs on their side or
into other colours: `read_picture` keeps what `write_image` needs to put it back.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigan.core.errors import (
    ArgumentError,
    FileError,
    ImageFileError,
    NonFiniteError,
    OutputPathError,
    ShapeError,
    require,
)
from minigan.files import atomic_write, check_writable

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# How Pillow names and saves the format of each suffix. 95 is the highest quality that Pillow
# advises for JPEG: above it files grow and pictures do not get better.
_FORMATS = {
    ".bmp": ("BMP", {}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".png": ("PNG", {}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".webp": ("WEBP", {"quality": 95}),
}
WRITTEN_SUFFIXES = tuple(_FORMATS)
READ_SUFFIXES = (*WRITTEN_SUFFIXES, ".gif", ".pgm", ".ppm")

_KEEPS_ALPHA = {"PNG", "TIFF", "WEBP"}
_KEEPS_16_BITS = {"PNG", "TIFF"}
_KEEPS_PROFILE = {"PNG", "JPEG", "TIFF", "WEBP"}

# The modes whose colour profile still holds for the pixels after they are converted.
_MODES_OF_PROFILES = {"1", "L", "LA", "P", "RGB", "RGBA"}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a file held it, upright.

    `pixels` is float32 (C, H, W) in [0, 1], C = 1 or 3; `alpha`, float32 (H, W) in [0, 1], is the
    opacity, or None where the file had none; `bit_depth` says how many bits each value was read
    with, 8 or 16; `profile` is the ICC colour profile that says what the colours mean, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bit_depth: int = 8
    profile: bytes | None = None


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """The pixels of a picture: float32 (C, H, W) in [0, 1], as `read_picture` reads them."""
    return read_picture(path).pixels


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read a picture in any format that Pillow knows, whole and upright.

    Grey files (1, 8 or 16 bits) give one channel, all others three: palettes and CMYK are
    converted to RGB. Of an animation, the first frame counts. Pillow reads 16-bit colour with 8
    bits; 16-bit grey keeps all of its 65536 levels.

    Raises `ImageFileError` when the file is missing, no picture, damaged, cut short, or so large
    that it is more likely an attack than a photograph (twice `PIL.Image.MAX_IMAGE_PIXELS`, that
    is some 179 million pixels).
    """
    with _opened(path) as image:
        image.load()  # opening reads only the header; what follows needs the whole picture
        bit_depth = _bit_depth(path, image)
        profile = image.info.get("icc_profile") if image.mode in _MODES_OF_PROFILES else None
        upright = _upright(image)
        pixels, alpha = _unpack_16_bits(upright) if bit_depth == 16 else _unpack_8_bits(upright)
    return Picture(pixels, alpha, bit_depth, profile)


def stored_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) from a picture's header, without decoding it.

    Where the file asks to be shown turned by 90 degrees, `read_image` may give them the other way
    round. Raises `ImageFileError` as `read_picture` does.
    """
    with _opened(path) as image:
        return image.height, image.width


def write_image(
    path: str | os.PathLike[str],
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    bit_depth: int = 8,
    profile: bytes | None = None,
) -> None:
    """Write `pixels`, floats (C, H, W) with C = 1 or 3, in the format that the suffix names.

    Values are clipped to [0, 1] and rounded, never truncated. `alpha` (H, W), `bit_depth` 16 and
    `profile` mean what they mean in `Picture`, and are kept where the format can: alpha in PNG,
    TIFF and WebP, 16 bits in PNG and TIFF of grey pictures without alpha, a profile in all but
    BMP. JPEG and WebP lose a little (quality 95). The file appears whole or not at all.

    Raises `OutputPathError` for an unknown suffix or a path that cannot be written,
    `ShapeError`, `ArgumentError` or `NonFiniteError` for pixels that are no picture.
    """
    picture_format, options = _format_of(path)
    _check_pixels(path, pixels, alpha)
    if bit_depth not in (8, 16):
        raise ArgumentError(f"write_image: bit_depth is {bit_depth}, and must be 8 or 16")
    channels = np.moveaxis(pixels, 0, -1)
    if alpha is not None and picture_format in _KEEPS_ALPHA:
        channels = np.concatenate([channels, alpha[:, :, None]], axis=-1)
    if profile is not None and picture_format in _KEEPS_PROFILE:
        options = {**options, "icc_profile": profile}

    wide = bit_depth == 16 and channels.shape[-1] == 1 and picture_format in _KEEPS_16_BITS
    levels = _quantised(channels, np.uint16 if wide else np.uint8)
    pillow = require("PIL.Image", "deblur", "write pictures")
    image = pillow.fromarray(levels[:, :, 0] if levels.shape[-1] == 1 else levels)
    with atomic_write(path) as temporary:
        try:
            image.save(temporary, format=picture_format, **options)
        except (OSError, ValueError) as error:  # a side too long for JPEG or WebP, a full disk
            raise OutputPathError(f"cannot write {path}: {error}") from error


def check_image_path(path: str | os.PathLike[str]) -> None:
    """Raise the `OutputPathError` that `write_image(path, ...)` would raise; leave no trace."""
    _format_of(path)
    check_writable(path)


def find_images(folder: str | os.PathLike[str], recursive: bool = True) -> list[Path]:
    """The pictures in a folder, by their suffix, sorted by path so that every run sees one order.

    Hidden files and folders (their names begin with a dot) are passed over. Raises
    `ImageFileError` when the folder is missing, is none, cannot be listed or holds no pictures.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ImageFileError(
            f"the folder {folder} does not exist, and pictures were expected there"
        )
    if not folder.is_dir():
        raise ImageFileError(f"{folder} is a file, and a folder of pictures is needed")
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in READ_SUFFIXES
        ]
    if not found:
        raise ImageFileError(
            f"the folder {folder} holds no pictures, which end in {', '.join(READ_SUFFIXES)}"
        )
    return sorted(found)


def image_grid(
    images: np.ndarray, columns: int, margin: int = 2, background: float = 1.0
) -> np.ndarray:
    """Lay images (N, C, H, W) out row by row on one sheet, (C, H', W') of the same dtype.

    A row has `columns` images, or N where there are fewer, with `margin` pixels of `background`
    between and around them.
    """
    if images.ndim != 4 or len(images) == 0:
        raise ShapeError(f"image_grid: images have shape {images.shape}, and need (N, C, H, W)")
    if columns < 1 or margin < 0:
        raise ArgumentError(
            f"image_grid: columns is {columns} and margin is {margin}, "
            "and they must be at least 1 and 0"
        )
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    row_step, column_step = height + margin, width + margin
    shape = (channels, margin + rows * row_step, margin + columns * column_step)
    sheet = np.full(shape, background, images.dtype)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = margin + row * row_step, margin + column * column_step
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """The luma of (C, H, W), C = 1 or 3, as (1, H, W): weights of ITU-R BT.601, section 2.5.1."""
    if pixels.shape[0] == 1:
        return pixels
    weights = np.array([0.299, 0.587, 0.114], pixels.dtype)
    return np.tensordot(weights, pixels, axes=1)[None]


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[PillowImage]:
    """Open a picture with Pillow; whatever goes wrong in the block becomes an `ImageFileError`."""
    pillow = require("PIL.Image", "deblur", "read pictures")
    _check_file(path)
    try:
        # Pillow warns of odd metadata, which is no matter, and of large pictures, of which it
        # refuses the very large with an error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(path) as image:
                yield image
    except (FileError, MemoryError):
        raise
    except pillow.DecompressionBombError as error:  # its message has the pixels and the limit
        raise ImageFileError(f"refused to decode {path}: {str(error).rstrip('.')}") from error
    except pillow.UnidentifiedImageError as error:
        raise ImageFileError(
            f"cannot read {path}: it is no picture, or its header is damaged"
        ) from error
    except Exception as error:  # on a damaged file a decoder raises nearly anything
        reason = str(error).rstrip(".") or type(error).__name__
        raise ImageFileError(f"cannot read {path}: the picture is damaged ({reason})") from error


def _check_file(path: str | os.PathLike[str]) -> None:
    if not os.path.exists(path):
        raise ImageFileError(f"cannot read {path}: there is no such file")
    if os.path.isdir(path):
        raise ImageFileError(f"cannot read {path}: it is a folder, and a picture is needed")
    if not os.path.isfile(path):  # reading a pipe would wait for ever
        raise ImageFileError(f"cannot read {path}: it is a device or a pipe, not a file")
    if os.path.getsize(path) == 0:
        raise ImageFileError(f"cannot read {path}: the file is empty")


def _upright(image: PillowImage) -> PillowImage:
    """The picture turned as its EXIF data asks; as it is where they are missing or damaged."""
    operations = require("PIL.ImageOps", "deblur", "turn pictures upright")
    try:
        return operations.exif_transpose(image)
    except Exception:  # unreadable notes about a picture do not make the picture unreadable
        return image


def _bit_depth(path: str | os.PathLike[str], image: PillowImage) -> int:
    """How many bits each value of a loaded image has, 8 or 16; other kinds are refused."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return 16
    if image.mode in ("I", "F"):
        raise ImageFileError(
            f"cannot read {path}: its values are 32-bit numbers, of which nothing says what is "
            "white, and 8 or 16 bits are needed"
        )
    return 8


def _unpack_16_bits(image: PillowImage) -> tuple[np.ndarray, None]:
    return np.asarray(image).astype(np.float32)[None] / np.float32(65535), None


def _unpack_8_bits(image: PillowImage) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels (C, H, W) and the alpha (H, W), or None where nothing is transparent."""
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    has_alpha = image.has_transparency_data
    levels = np.atleast_3d(np.asarray(image.convert(mode + "A" if has_alpha else mode)))
    values = np.ascontiguousarray(levels.transpose(2, 0, 1), np.float32) / np.float32(255)
    return (values[:-1], values[-1]) if has_alpha else (values, None)


def _format_of(path: str | os.PathLike[str]) -> tuple[str, dict[str, object]]:
    """Pillow's name and options for the format that the suffix of `path` names."""
    suffix = Path(path).suffix
    try:
        return _FORMATS[suffix.lower()]
    except KeyError:
        found = f"ends in {suffix}" if suffix else "has no suffix"
        raise OutputPathError(
            f"cannot write {path}: it {found}, and a picture needs {', '.join(WRITTEN_SUFFIXES)}"
        ) from None


def _check_pixels(
    path: str | os.PathLike[str], pixels: np.ndarray, alpha: np.ndarray | None
) -> None:
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or pixels.size == 0:
        raise ShapeError(
            f"cannot write {path}: pixels have shape {pixels.shape}, "
            "and need (1, H, W) or (3, H, W)"
        )
    if alpha is not None and alpha.shape != pixels.shape[1:]:
        raise ShapeError(
            f"cannot write {path}: alpha has shape {alpha.shape}, and needs {pixels.shape[1:]}"
        )
    for name, values in [("pixels", pixels), ("alpha", alpha)]:
        if values is None:
            continue
        if not np.issubdtype(values.dtype, np.floating):  # is its white 1 or 255?
            raise ArgumentError(
                f"cannot write {path}: {name} have dtype {values.dtype}, and need floats in [0, 1]"
            )
        if not np.isfinite(values).all():
            raise NonFiniteError(f"cannot write {path}: {name} hold NaN or infinity")


def _quantised(values: np.ndarray, dtype: type[np.unsignedinteger]) -> np.ndarray:
    """Values in [0, 1] as the nearest of the levels of `dtype`; beyond, the first or last one."""
    white = np.iinfo(dtype).max
    return np.rint(np.clip(values, 0, 1) * np.float32(white)).astype(dtype)


def _cannot_list(error: OSError) -> None:
    raise ImageFileError(f"cannot list the folder {error.filename}: {error.strerror}") from error
