"""Small grey images for a GAN to imitate: bundled digits, MNIST files, or a folder of pictures."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from minigan.core.errors import ArgumentError, ImageFileError, require
from minigan.images import find_images, read_image, to_grey

FOLDER_SIZE = 28  # what a folder's pictures are resized to unless told: the size of MNIST's digits

# IDX, the format of MNIST's files: two zero bytes, a type (8: unsigned bytes) and the number of
# dimensions, then each dimension as a big-endian 32-bit integer, then the bytes.
_IDX_IMAGES = 0x00000803
_GZIP_MAGIC = b"\x1f\x8b"


def load_digits(data: str | os.PathLike[str] | None = None, size: int | None = None) -> np.ndarray:
    """Training images for a small GAN: float32 (N, 1, H, W) in [0, 1], 0 is black.

    `data` says which:
    - None: the 1,797 digits of 8x8 that scikit-learn bundles (UCI's optical recognition of
      handwritten digits, test part);
    - a file: an MNIST image file (IDX), plain or gzipped;
    - a folder: its pictures made grey, the middle square of each resized to `FOLDER_SIZE`.

    `size` resizes to (size, size) with cubic interpolation instead.

    Raises `ImageFileError`, in one sentence, for a missing or damaged file and an empty folder,
    `ArgumentError` for a size below 1, `MissingExtraError` without scikit-learn or Pillow.
    """
    if size is not None and size < 1:
        raise ArgumentError(f"load_digits: size is {size}, and must be at least 1")
    if data is not None and os.path.isdir(data):
        return _read_folder(data, size or FOLDER_SIZE)
    images = _bundled_digits() if data is None else _read_idx(Path(data))
    return images if size is None else _resized(images, size)


def _bundled_digits() -> np.ndarray:
    datasets = require("sklearn.datasets", "deblur", "load the digits that it bundles")
    levels = datasets.load_digits().images  # 0 to 16
    return (levels[:, None] / 16).astype(np.float32)


def _read_folder(folder: str | os.PathLike[str], size: int) -> np.ndarray:
    squares = [_middle_square(to_grey(read_image(path))) for path in find_images(folder)]
    return np.concatenate([_resized(square[None], size) for square in squares])


def _middle_square(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of (C, H, W): stretching would distort the shapes."""
    _, height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    """(N, 1, H, W) in [0, 1] to (N, 1, size, size), smoothed first where that is smaller."""
    if images.shape[2:] == (size, size):
        return images
    pillow = require("PIL.Image", "deblur", "resize pictures")
    resized = np.empty((len(images), 1, size, size), np.float32)
    for image, target in zip(images[:, 0], resized[:, 0], strict=True):
        cubic = pillow.fromarray(image).resize((size, size), pillow.Resampling.BICUBIC)
        target[:] = np.clip(cubic, 0, 1)  # beside an edge, cubics go beyond both of its sides
    return resized


def _read_idx(path: Path) -> np.ndarray:
    raw = _read_bytes(path)
    magic, count, height, width = (int.from_bytes(raw[i : i + 4], "big") for i in (0, 4, 8, 12))
    if magic != _IDX_IMAGES:
        labels = ", which marks labels," if magic == 0x00000801 else ""
        raise ImageFileError(
            f"cannot read {path}: it begins with 0x{magic:08x}{labels} and an IDX file of images "
            f"begins with 0x{_IDX_IMAGES:08x}"
        )
    needed, found = 16 + math.prod((count, height, width)), len(raw)
    if found != needed:
        raise ImageFileError(
            f"cannot read {path}: its header announces {count} images of {height} x {width}, "
            f"{needed} bytes in all, and it has {found}"
        )
    if found == 16:
        raise ImageFileError(f"cannot read {path}: it holds no images")
    levels = np.frombuffer(raw, np.uint8, offset=16).reshape(count, 1, height, width)
    return levels.astype(np.float32) / np.float32(255)


def _read_bytes(path: Path) -> bytes:
    """The content of a file, unzipped if it is gzipped, whatever its name says."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ImageFileError(f"cannot read {path}: {error.strerror}") from error
    if not raw:
        raise ImageFileError(f"cannot read {path}: the file is empty")
    if not raw.startswith(_GZIP_MAGIC):
        if path.suffix == ".gz":
            raise ImageFileError(f"cannot read {path}: it ends in .gz and is not gzipped")
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageFileError(f"cannot read {path}: its gzip data is damaged ({error})") from error
