"""Writing pictures: in the format that a suffix names, whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.core.errors import (
    ArgumentError,
    NonFiniteError,
    OutputPathError,
    ShapeError,
    require,
)
from minigan.files import atomic_write, check_writable
from minigan.images import wide
from minigan.images.formats import Format, format_of
from minigan.images.levels import Levels, as_levels
from minigan.images.tiff import write_tiff

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_STRIP = 1 << 20  # pixels that are handed to Pillow at a time
_LONGEST_EXIF = 65_500  # bytes of a JPEG's segment, nearly


def write_image(
    path: str | os.PathLike[str],
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    bit_depth: int = 8,
    profile: bytes | None = None,
) -> None:
    """Write `pixels`, floats (C, H, W) with C = 1 or 3, in the format that the suffix names.

    Values are clipped to [0, 1] and rounded, never truncated. `alpha` (H, W), `bit_depth` 16 and
    `profile` mean what they mean in `Picture`, and are kept as `write_levels` keeps them.

    Raises `OutputPathError` for an unknown suffix or a path that cannot be written,
    `ShapeError`, `ArgumentError` or `NonFiniteError` for pixels that are no picture.
    """
    wanted = format_of(path)
    _check_pixels(path, pixels, alpha)
    if bit_depth not in (8, 16):
        raise ArgumentError(f"write_image: bit_depth is {bit_depth}, and must be 8 or 16")
    dtype = np.uint16 if bit_depth == 16 and wanted.wide else np.uint8
    write_levels(
        path,
        Levels(
            as_levels(np.moveaxis(pixels, 0, -1), dtype),
            None if alpha is None else as_levels(alpha, dtype),
            profile,
        ),
    )


def write_levels(path: str | os.PathLike[str], levels: Levels) -> None:
    """Write a picture in the format that the suffix names, with all that the format can keep.

    Alpha is kept in PNG, TIFF and WebP, 16 bits in PNG and TIFF (of colour in PNG: with pyvips), a
    profile and EXIF data in all but BMP; `losses` says what is not. Pixels per inch are kept in all
    but WebP, which has no place for them. JPEG and WebP lose a little (quality 95). The file appears
    whole or not at all.

    Raises `OutputPathError` for an unknown suffix or a path that cannot be written.
    """
    wanted = format_of(path)
    values, alpha = levels.values, levels.alpha
    if levels.bit_depth == 16 and not wanted.wide:
        values, alpha = _narrow(values), None if alpha is None else _narrow(alpha)
    if alpha is not None and wanted.alpha:
        values = np.concatenate([values, alpha[:, :, None]], axis=-1)
    profile = levels.profile if wanted.profile else None
    exif = levels.exif if _keeps_exif(wanted, levels) else None
    with atomic_write(path) as temporary:
        try:
            if wanted.name == "TIFF":
                write_tiff(temporary, values, profile, exif, levels.dpi)
            elif values.dtype == np.uint16 and values.shape[-1] > 1:
                wide.write_png(temporary, values, profile, exif, levels.dpi)
            else:
                options: dict[str, Any] = {**wanted.options}
                options |= {} if profile is None else {"icc_profile": profile}
                options |= {} if exif is None else {"exif": exif}
                options |= {} if levels.dpi is None else {"dpi": levels.dpi}
                _as_pillow(values).save(temporary, format=wanted.name, **options)
        except OutputPathError:
            raise
        except (OSError, ValueError) as error:  # a side too long for JPEG or WebP, a full disk
            reason = getattr(error, "strerror", None) or error
            raise OutputPathError(f"cannot write {path}: {reason}") from error


def losses(path: str | os.PathLike[str], levels: Levels) -> list[str]:
    """What the format of `path` does not keep of a picture: "16 bits", "the transparency" and so on."""
    wanted = format_of(path)
    lost = {
        "16 bits": levels.bit_depth == 16 and not wanted.wide,
        "the transparency": levels.alpha is not None and not wanted.alpha,
        "the colour profile": levels.profile is not None and not wanted.profile,
        "the EXIF data": levels.exif is not None and not _keeps_exif(wanted, levels),
    }
    return [what for what, is_lost in lost.items() if is_lost]


def check_image_path(path: str | os.PathLike[str]) -> None:
    """Raise the `OutputPathError` that `write_image(path, ...)` would raise; leave no trace."""
    format_of(path)
    check_writable(path)


def _keeps_exif(wanted: Format, levels: Levels) -> bool:
    too_long = wanted.name == "JPEG" and len(levels.exif or b"") > _LONGEST_EXIF
    return wanted.exif and not too_long


def _narrow(levels: np.ndarray) -> np.ndarray:
    """16 bits as 8, rounded: 65535 / 255 is 257. Row by row, so that no larger array is made."""
    narrow = np.empty(levels.shape, np.uint8)
    for row, target in zip(levels, narrow, strict=True):
        target[...] = (row.astype(np.uint32) + 128) // 257
    return narrow


def _as_pillow(levels: np.ndarray) -> PillowImage:
    """A picture of Pillow's, filled strip by strip: at once, there would be another copy of it."""
    pillow = require("PIL.Image", "deblur", "write pictures")
    height, width, channels = levels.shape
    mode = "I;16" if levels.dtype == np.uint16 else ("L", "LA", "RGB", "RGBA")[channels - 1]
    image = pillow.new(mode, (width, height))
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = np.ascontiguousarray(levels[top : top + rows])
        image.paste(pillow.fromarray(strip[:, :, 0] if channels == 1 else strip), (0, top))
    return image


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
