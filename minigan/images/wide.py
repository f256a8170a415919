"""Colour at 16 bits, by pyvips: Pillow reads it as 8 without a word, and writes no more than 8.

pyvips, with libvips in it, is an extra of its own, because few photographs need it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.errors import ImageFileError, MissingExtraError, require
from minigan.images.levels import Source, name_of

EXTRA = "photos"


def _pyvips(purpose: str) -> Any:
    try:
        return require("pyvips", EXTRA, purpose)
    except OSError as error:  # pyvips is there, and libvips is not
        raise MissingExtraError(
            f"libvips is needed to {purpose} and cannot be loaded; "
            f"install it with: pip install 'minigan[{EXTRA}]'"
        ) from error


def check(source: Source) -> None:
    """Raise the `MissingExtraError` that `read` would raise."""
    _pyvips(f"read the 16-bit colour of {name_of(source)}")


def read(source: Source) -> np.ndarray:
    """The levels of a PNG or TIFF as stored: uint16 (H, W, C), C = 2 or 4 with alpha, else 3.

    Where colours were multiplied by the alpha, libvips undoes it.
    """
    name = name_of(source)
    vips = _pyvips(f"read the 16-bit colour of {name}")
    with ExitStack() as scope:
        if isinstance(source, bytes):
            stream = vips.Source.new_from_memory(source)
        else:  # not by its name, which pyvips wants to be UTF-8
            file = scope.enter_context(open(source, "rb"))
            stream = vips.Source.new_from_descriptor(file.fileno())
        try:
            image = vips.Image.new_from_source(
                stream, "", access="sequential", fail_on="error", revalidate=True
            )
            if image.format != "ushort" or image.bands not in (2, 3, 4):
                raise ImageFileError(
                    f"cannot read {name}: it has {image.bands} channels of the type {image.format}, "
                    "and 16-bit colour has 3, or 4 with alpha"
                )
            return image.numpy()
        except vips.Error as error:
            raise ImageFileError(
                f"cannot read {name}: the picture is damaged ({_reason(error)})"
            ) from error


def write_png(
    path: str | os.PathLike[str],
    levels: np.ndarray,
    profile: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write uint16 (H, W, C) as PNG; OSError where that fails."""
    vips = _pyvips("write 16-bit colour")
    height, width, channels = levels.shape
    contiguous = np.ascontiguousarray(levels)
    image = vips.Image.new_from_memory(contiguous.data, width, height, channels, "ushort")
    image = image.copy(interpretation="grey16" if channels < 3 else "rgb16")
    if dpi is not None:  # libvips counts by the millimetre
        image = image.copy(xres=dpi[0] / 25.4, yres=dpi[1] / 25.4)
    for name, blob in (("icc-profile-data", profile), ("exif-data", exif)):
        if blob is not None:
            image.set_type(vips.GValue.blob_type, name, blob)
    with Path(path).open("wb") as file:
        try:
            image.write_to_target(vips.Target.new_to_descriptor(file.fileno()), ".png")
        except vips.Error as error:
            raise OSError(_reason(error)) from error


def _reason(error: Any) -> str:
    """Of the lines that libvips says, the system's first word, or else its own last."""
    lines = str(error.detail).strip().splitlines() or ["libvips gave no reason"]
    said = [line.partition("system error: ")[2] for line in lines]
    return next(filter(None, said), lines[-1])
