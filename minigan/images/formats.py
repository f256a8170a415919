"""The formats of picture files: their suffixes, and what each can keep."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigan.core.errors import OutputPathError


@dataclass(frozen=True)
class Format:
    """A format that is written: Pillow's name for it, what it keeps, and how it is saved."""

    name: str
    suffix: str
    alpha: bool = False
    wide: bool = False  # 16 bits per value
    profile: bool = True
    exif: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


# 95 is the highest quality that Pillow advises for JPEG: above it files grow and pictures do not get
# better.
_WRITTEN = (
    Format("BMP", ".bmp", profile=False, exif=False),
    Format("JPEG", ".jpg", options={"quality": 95}),
    Format("PNG", ".png", alpha=True, wide=True),
    Format("TIFF", ".tif", alpha=True, wide=True),
    Format("WEBP", ".webp", alpha=True, options={"quality": 95}),
)
BY_NAME = {each.name: each for each in _WRITTEN}
BY_SUFFIX = {each.suffix: each for each in _WRITTEN} | {
    ".jpeg": BY_NAME["JPEG"],
    ".tiff": BY_NAME["TIFF"],
}
WRITTEN_SUFFIXES = tuple(sorted(BY_SUFFIX))
READ_SUFFIXES = (*WRITTEN_SUFFIXES, ".gif", ".pgm", ".ppm")

# Pillow's names of what is read. It knows many more, most of them rarely tried; one starts a program.
READ_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format that the suffix of `path` names, or an `OutputPathError`."""
    suffix = Path(path).suffix
    try:
        return BY_SUFFIX[suffix.lower()]
    except KeyError:
        found = f"ends in {suffix}" if suffix else "has no suffix"
        raise OutputPathError(
            f"cannot write {path}: it {found}, and a picture needs {', '.join(WRITTEN_SUFFIXES)}"
        ) from None
