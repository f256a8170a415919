"""Restoring many files: what goes wrong with one of them is told, and the others are restored."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minigan.core.errors import MiniganError, OutputPathError
from minigan.core.tensor import Array
from minigan.deblur.compare import comparison
from minigan.deblur.model import Model
from minigan.deblur.naming import Found, Job
from minigan.deblur.restore import Progress, Restorer
from minigan.deblur.tasks import as_input
from minigan.images import Header, Levels, losses, read_header, read_levels, write_levels
from minigan.images.levels import name_of

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wishes:
    """How pictures are written: over files that are there, and with comparisons."""

    force: bool = False
    compare: bool = False


def readable(pictures: Iterable[Found], fail: Tell) -> Iterator[tuple[Found, Header]]:
    """The pictures whose headers can be read; for others, `fail` gets a sentence."""
    for picture in pictures:
        try:
            yield picture, read_header(picture.source)
        except MiniganError as error:
            fail(str(error))


def restore_files(
    restored: Restorer,
    jobs: Sequence[Job],
    wishes: Wishes,
    say: Tell,
    fail: Tell,
    progress: Progress | None = None,
) -> list[Job]:
    """Restore and write the pictures; those that could be are returned.

    say   gets a line for each that was written, and one where its format does not keep all
    fail  gets a sentence for each that was not
    """
    done: list[Job] = []
    for (job, before), values in restored.each(_read(jobs, restored.model, fail), progress):
        after = replace(before, values=values.transpose(1, 2, 0))
        try:
            lost = _write(job, before, after, wishes)
        except MiniganError as error:
            fail(str(error))
        else:
            done.append(job)
            say(f"{name_of(job.source)} -> {job.shown_target}")
            if lost:
                say(f"{job.shown_target}: the format does not keep {' and '.join(lost)}")
        del before, after, values  # a large picture goes before the next is read
    return done


def _read(
    jobs: Iterable[Job], model: Model, fail: Tell
) -> Iterator[tuple[tuple[Job, Levels], Array]]:
    for job in jobs:
        try:
            levels = as_input(read_levels(job.source), model.task, model.enlargement)
        except MiniganError as error:
            fail(str(error))
            continue
        yield (job, levels), levels.values.transpose(2, 0, 1)
        del levels


def _write(job: Job, before: Levels, after: Levels, wishes: Wishes) -> list[str]:
    """What the format does not keep."""
    if job.target is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"picture{job.suffix}")
            write_levels(file, after)
            _send(file)
        return losses(file, after)
    _write_file(job.target, after, wishes.force)
    if wishes.compare and job.comparison is not None:
        _write_file(job.comparison, comparison(before, after), wishes.force)
    return losses(job.target, after)


def _write_file(target: Path, levels: Levels, force: bool) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputPathError(
            f"cannot create the folder {target.parent}: {error.strerror}"
        ) from error
    if not force and target.exists():  # since it was looked for
        raise OutputPathError(f"{target} is there already; replace it with --force")
    write_levels(target, levels)


def _send(file: Path) -> None:
    """A file's content to standard output."""
    try:
        with file.open("rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where Python flushes what is left
        raise OutputPathError(f"cannot write to standard output: {error.strerror}") from error
