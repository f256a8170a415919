"""Finding pictures: in folders."""

from __future__ import annotations

import os
from pathlib import Path

from minigan.core.errors import ImageFileError
from minigan.images.formats import READ_SUFFIXES


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


def _cannot_list(error: OSError) -> None:
    raise ImageFileError(f"cannot list the folder {error.filename}: {error.strerror}") from error
