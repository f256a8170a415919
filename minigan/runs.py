"""Run folders: a new one for every run, settings as JSON, logs of JSON lines; who works there, and
whether it shall stop.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigan.core.errors import ModelFileError, OutputPathError
from minigan.files import atomic_write, ensure_folder

LOCK = "lock"  # in a run's folder while a process works in it
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
    if path.is_dir() and any(file.name != LOCK for file in path.iterdir()):
        raise OutputPathError(f"{path} holds other files; a run needs a new or an empty folder")
    return ensure_folder(path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """What `write_json` wrote; ModelFileError if it is not there, or is something else."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise ModelFileError(f"cannot read {path}: {reason}") from error


@contextmanager
def json_lines(path: Path, keep: int | None = None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that appends one JSON line to `path` and hands it to the system at once.

    keep  bytes of the file that stay, where what a run wrote after its checkpoint is written anew
          (default: all)

    A disk that takes no more raises OutputPathError; other errors of the block pass through.
    """
    try:
        if keep is not None and path.exists():
            os.truncate(path, min(keep, path.stat().st_size))
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


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Work in a run's folder alone; OutputPathError names the process that already does.

    The system lets go of the lock when the process ends, however it ends. Where it has no such locks
    (elsewhere than on Linux and macOS), nothing is checked.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = folder / LOCK
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise OutputPathError(f"cannot write {path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise OSError  # its owner has just removed it, and another may have made a new one
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise OutputPathError(
                f"{folder} is in use by {owner}; wait until that has ended, or name another folder"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed, or SIGTERM has come, inside the block.

    So what is being done can be ended and saved. A second Ctrl-C interrupts at once.
    """
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():  # others get no signals
        yield lambda: False
        return
    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
