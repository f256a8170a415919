"""Which pictures the names on a command line mean, and under which names their restored twins go.

Every problem that can be found without decoding a picture is found here, before any work is done.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from minigan.core.errors import ImageFileError, OutputPathError
from minigan.images import WRITTEN_SUFFIXES, find_images
from minigan.images.levels import Source, name_of

PIPE = "-"  # standard input or output
RESTORED, COMPARED = "-restored", "-compare"


@dataclass(frozen=True)
class Found:
    """A picture: where it is, and its path below the folder or the glob that it was found by.

    searched  whether it was found in a folder or by a pattern, rather than named
    """

    source: Source
    relative: Path
    searched: bool = False


@dataclass(frozen=True)
class Job:
    """A picture, and where its twin goes: to a file, or to standard output in the format of a suffix."""

    source: Source
    target: Path | None
    suffix: str

    @property
    def shown_target(self) -> str:
        """How messages call the target."""
        return "standard output" if self.target is None else str(self.target)

    @property
    def comparison(self) -> Path | None:
        """Where the picture of both goes."""
        return self.target and self.target.with_name(f"{self.target.stem}{COMPARED}.png")


def found(names: Sequence[str], content: bytes | None, out: str | None) -> list[Found]:
    """The pictures that files, folders (with the folders in them), globs and `-` mean, in their order.

    A file that is named twice counts once. Pictures in folders that are called as a restored one would
    be are passed over.

    content  what came by standard input
    out      the output: where it is a folder, the pictures in it are passed over as well
    """
    pictures: list[Found] = []
    for name in names:
        if name == PIPE:
            pictures.append(Found(content or b"", Path("standard input")))
        elif os.path.lexists(name) or not glob.has_magic(name):
            pictures += _named(Path(name), out)
        else:
            pictures += _matching(name, out)
    first: dict[object, Found] = {}
    for i, picture in enumerate(pictures):
        source = picture.source
        first.setdefault(i if isinstance(source, bytes) else os.path.realpath(source), picture)
    return list(first.values())


def _named(path: Path, out: str | None) -> list[Found]:
    if not path.is_dir():
        if not path.exists():
            reason = "its link leads nowhere" if path.is_symlink() else "there is no such file"
            raise ImageFileError(f"cannot read {path}: {reason}")
        return [Found(path, Path(path.name))]
    inside = [p for p in find_images(path) if not _is_result(p, path, out)]
    if not inside:
        raise ImageFileError(f"the folder {path} holds no pictures but restored ones")
    return [Found(p, p.relative_to(path), searched=True) for p in inside]


def _matching(pattern: str, out: str | None) -> list[Found]:
    """What a glob means that the shell did not expand; `**` stands for any folders."""
    paths = sorted(map(Path, glob.glob(pattern, recursive=True)))
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed])
    files = [p for p in paths if not p.is_dir() and not _is_result(p, base, out)]
    if not files:
        raise ImageFileError(f"no file has a name like {pattern}")
    return [Found(p, p.relative_to(base), searched=True) for p in files]


def _is_result(path: Path, base: Path, out: str | None) -> bool:
    """Whether a file in the folder `base` is what an earlier command made."""
    if path.stem.endswith((RESTORED, RESTORED + COMPARED)):
        return True
    if out is None:
        return False
    folder, inside = Path(os.path.realpath(out)), os.path.realpath(base)
    if not folder.is_relative_to(inside) or str(folder) == inside:
        return False
    return Path(os.path.realpath(path)).is_relative_to(folder)


def jobs(
    pictures: Sequence[Found], formats: Sequence[str], out: str | None, suffix: str | None
) -> list[Job]:
    """Where each picture goes.

    Without `out`, photo.jpg becomes photo-restored.jpg beside it, and what came by standard input goes
    to standard output. A folder gets the pictures under their own names, those from a folder in its
    order of folders. A name with a suffix is that of one picture.

    formats  of the pictures, Pillow's names
    suffix   asked for, or None: that of the picture, and .png where its format is not written
    """
    if out == PIPE or (out is not None and is_file(out)):
        if len(pictures) > 1:
            shown = "standard output" if out == PIPE else out
            raise OutputPathError(
                f"cannot write {len(pictures)} pictures to {shown}; several need a folder, that is "
                "a name without suffix"
            )
        if out != PIPE and suffix is not None and _kind(Path(out)) != _kind(Path(suffix)):
            raise OutputPathError(
                f"cannot write {out}: it was asked for in another format, {suffix}"
            )
    return [
        _job(picture, format_, out, suffix)
        for picture, format_ in zip(pictures, formats, strict=True)
    ]


def _job(picture: Found, format_: str, out: str | None, wanted: str | None) -> Job:
    suffix = wanted or _suffix(picture, format_)
    piped = isinstance(picture.source, bytes)
    if out == PIPE or (piped and out is None):
        return Job(picture.source, None, suffix)
    if out is None:
        source = Path(name_of(picture.source))
        return Job(source, source.with_name(source.stem + RESTORED + suffix), suffix)
    if is_file(out):
        return Job(picture.source, Path(out), Path(out).suffix)
    if piped:
        raise OutputPathError(
            f"cannot write to the folder {out}: what comes by standard input has no name; name a "
            "file"
        )
    return Job(picture.source, Path(out) / picture.relative.with_suffix(suffix), suffix)


def is_file(out: str) -> bool:
    """Whether a name is that of a picture; of a folder it is where it has no suffix, or is one."""
    return bool(Path(out).suffix) and not out.endswith(("/", os.sep)) and not os.path.isdir(out)


def _suffix(picture: Found, format_: str) -> str:
    suffix = picture.relative.suffix
    if suffix.lower() in WRITTEN_SUFFIXES:
        return suffix
    by_format = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}
    return by_format.get(format_, ".png")


def _kind(path: Path) -> str:
    same = {".jpeg": ".jpg", ".tiff": ".tif"}
    suffix = (path.suffix or path.name).lower()
    return same.get(suffix, suffix)


def check_apart(these: Sequence[Job], compare: bool) -> list[Path]:
    """All files that will be written; `OutputPathError` where two are one, or one is a picture read."""
    sources = {
        os.path.realpath(j.source): name_of(j.source)
        for j in these
        if not isinstance(j.source, bytes)
    }
    taken: dict[str, str] = {}
    written: list[Path] = []
    for job in these:
        for target in _files_of(job, compare):
            real = os.path.realpath(target)
            if real in sources or _same_file(target, sources):
                raise OutputPathError(
                    f"cannot write {target}: it is the picture to restore itself"
                    if os.path.realpath(name_of(job.source)) == real
                    else f"cannot write {target}: it is a picture to restore"
                )
            if real in taken:
                raise OutputPathError(
                    f"cannot write {target} twice: {taken[real]} and {name_of(job.source)} "
                    "would both go there"
                )
            taken[real] = name_of(job.source)
            written.append(target)
    return written


def _files_of(job: Job, compare: bool) -> Iterable[Path]:
    return [p for p in (job.target, job.comparison if compare else None) if p is not None]


def _same_file(target: Path, sources: Iterable[str]) -> bool:
    """Whether a file is one of the sources by another name, as hard links and cases of letters make."""
    try:
        return any(os.path.samefile(target, source) for source in sources)
    except OSError:  # it is not there
        return False
