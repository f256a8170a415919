"""Writing files so that a crash, a full disk or Ctrl-C leaves the old file or the new one.

Whoever reads a path that `atomic_write` wrote finds a whole file: what was there before, or what
was to be there after, and nothing in between. The two checks let a long run find out in its
first second, rather than in its last, that it has nowhere to put its results.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from minigan.core.errors import OutputPathError

_PREFIX = ".minigan-"
_TEMPORARY = re.compile(re.escape(_PREFIX) + "[0-9a-f]{16}")

# What the disk may answer while the body of `atomic_write` writes. Other OSErrors raised there
# may come from another file that the body reads, and so are passed on as they are.
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path to write to, whose file takes the place of `path` when the block succeeds.

        with atomic_write("model.bin") as temporary:
            temporary.write_bytes(data)

    The temporary file lies in the same folder, because renaming is atomic only within one file
    system, and has the same suffix, because some libraries choose the format by it. It is new and
    empty when the block starts, and must be closed when the block ends. When the block raises, it
    is removed and `path` stays as it was. A replaced file hands its permissions on; a symbolic
    link stays one, and the file that it points to is replaced.

    Raises `OutputPathError` when the folder is missing or cannot be written to, when `path` is a
    folder or a device, is marked read-only, or when the disk is full.
    """
    target = _checked_target(path)
    temporary = _new_file_beside(target)
    try:
        yield temporary
        _put_in_place(temporary, target)
    except BaseException as error:  # Ctrl-C, too, must not leave half a file lying about
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise _cannot_write(path, error) from error
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the `OutputPathError` that `atomic_write(path)` would raise; leave no trace."""
    _new_file_beside(_checked_target(path)).unlink()


def ensure_folder(path: str | os.PathLike[str]) -> Path:
    """Create the folder `path`, its parents included, where it is missing, and return it.

    Raises `OutputPathError` when it cannot be created, when a file of that name stands in the
    way, or when no file can be written in it.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputPathError(
            f"cannot create the folder {folder}: a file stands where a folder is needed"
        ) from error
    except OSError as error:
        raise OutputPathError(f"cannot create the folder {folder}: {error.strerror}") from error
    check_writable(folder / "probe")
    return folder


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files that a process left which was killed while it wrote to `folder`.

    Nobody else may be writing there: their unfinished files would be removed as well.
    """
    with contextlib.suppress(OSError):  # what cannot be removed does no harm
        for path in Path(folder).iterdir():
            if _TEMPORARY.fullmatch(path.stem):
                path.unlink(missing_ok=True)


def _checked_target(path: str | os.PathLike[str]) -> Path:
    """The file that `path` means, links followed, once nothing but writing can go wrong."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if not os.path.isdir(target.parent):
            raise OutputPathError(
                f"cannot write {path}: the folder {target.parent} does not exist"
            ) from None
        return target
    except OSError as error:  # a name too long, a file where a folder is needed, no permission
        raise _cannot_write(path, error) from error
    if stat.S_ISDIR(mode):
        raise OutputPathError(f"cannot write {path}: it is a folder, and a file name is needed")
    if not stat.S_ISREG(mode):  # renaming a file over /dev/null would replace the device
        raise OutputPathError(f"cannot write {path}: it is a device or a pipe, not a file")
    if not os.access(target, os.W_OK):  # renaming would succeed, against the owner's wish
        raise OutputPathError(f"cannot write {path}: the file is there and is read-only")
    return target


def _new_file_beside(target: Path) -> Path:
    """Create an empty file with a hidden, unique name in the folder of `target`.

    `tempfile.mkstemp` would make it readable by its owner alone, also after the renaming; this
    way it has the permissions that any new file of the user's gets.
    """
    temporary = target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{target.suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise OutputPathError(
            f"cannot write in the folder {target.parent}: {error.strerror}"
        ) from error
    return temporary


def _put_in_place(temporary: Path, target: Path) -> None:
    """Rename `temporary` to `target`, in an order that survives a power cut at any point."""
    try:
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())  # first: a renamed file whose bytes are not there is empty
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Bring the folder's list of names to the disk, where the file system can."""
    with contextlib.suppress(OSError):  # not on Windows, nor on some network file systems
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> OutputPathError:
    return OutputPathError(f"cannot write {path}: {error.strerror}")
