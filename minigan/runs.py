"""Run folders: a new one for every run, settings as JSON, and logs of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigan.core.errors import OutputPathError
from minigan.files import atomic_write, ensure_folder

SETTINGS = "settings.json"  # a folder with this file holds a run


def new_folder(path: Path | None, kind: str, parent: Path = Path("runs")) -> Path:
    """The folder for a new run: `path`, or the next free `parent`/KIND-NNN.

    A run is never overwritten: a folder that holds one raises OutputPathError, as does one that
    cannot be made.
    """
    if path is None:
        numbered = (parent / f"{kind}-{n:03d}" for n in range(1, 1000))
        path = next((folder for folder in numbered if not folder.exists()), None)
        if path is None:
            raise OutputPathError(f"{parent} holds 999 runs already; name a folder with --out")
    if (path / SETTINGS).exists():
        raise OutputPathError(f"{path} holds a run already; name another folder with --out")
    if path.is_dir() and any(path.iterdir()):
        raise OutputPathError(f"{path} holds other files; a run needs a new or an empty folder")
    return ensure_folder(path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextmanager
def json_lines(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that appends one JSON line to `path` and hands it to the system at once.

    A disk that takes no more raises OutputPathError; other errors of the block pass through.
    """
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputPathError(f"cannot write {path}: {error.strerror}") from error

    def append(record: dict[str, Any]) -> None:
        try:
            file.write(json.dumps(record) + "\n")
            file.flush()
        except OSError as error:
            raise OutputPathError(f"cannot write {path}: {error.strerror}") from error

    with file:
        yield append
