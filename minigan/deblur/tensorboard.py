"""A training's reports as event files, which TensorBoard draws: `tensorboard --logdir RUN/tensorboard`.

Each network has a folder there, and each stretch of its training a file, which opens with the step that
it begins at. What an earlier file holds from that step on, because a run was killed after its last
checkpoint, TensorBoard leaves out then: to it, the start of a session purges what it overtakes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minigan.core.errors import OutputPathError, require
from minigan.files import ensure_folder

FOLDER = "tensorboard"  # in a run's folder; where it is there, a resumed run goes on with it
_VERSION = "brain.Event:2"  # how a file of events begins, so that its start can be told

Figures = Mapping[str, float]


EXTRA, PURPOSE = "tensorboard", "write event files"


def check_installed() -> None:
    """Raise MissingExtraError where the package tensorboard is not there."""
    require("tensorboard.summary.writer.record_writer", EXTRA, PURPOSE)


@contextmanager
def events(
    folder: Path | None, history: Sequence[Figures], step: int
) -> Iterator[Callable[[Figures], None]]:
    """A function that writes a report, a step and its figures, to a new file in `folder`.

    folder   None: it writes nothing
    history  earlier reports; they are written first where the folder is new
    step     how many steps are done: files that were there are good up to it

    Raises OutputPathError where the folder cannot be written to.
    """
    if folder is None:
        yield lambda report: None
        return
    earlier = [] if folder.is_dir() else history
    path = ensure_folder(folder) / _file_name()
    try:
        file = path.open("xb", buffering=0)
    except OSError as error:
        raise OutputPathError(f"cannot write {path}: {error.strerror}") from error
    with file:
        append = _appender(path, file)
        append(file_version=_VERSION)
        append(step=step + 1, session_log={"status": "START"})
        for report in earlier:
            append(**_as_event(report))
        yield lambda report: append(**_as_event(report))


def _file_name() -> str:
    """TensorBoard reads what has tfevents in its name, in the order of the names."""
    seconds, fraction = divmod(time.time_ns(), 10**9)
    return f"events.out.tfevents.{seconds:010d}.{fraction:09d}.minigan"


def _appender(path: Path, file: BinaryIO) -> Callable[..., None]:
    """A function that appends one event, of these fields, and hands it to the system at once."""
    proto = require("tensorboard.compat.proto.event_pb2", EXTRA, PURPOSE)
    records = require("tensorboard.summary.writer.record_writer", EXTRA, PURPOSE).RecordWriter(file)

    def append(**fields: Any) -> None:
        event = proto.Event(wall_time=time.time(), **fields)
        try:
            records.write(event.SerializeToString())
        except OSError as error:
            raise OutputPathError(f"cannot write {path}: {error.strerror}") from error

    return append


def _as_event(report: Figures) -> dict[str, Any]:
    """A report's figures, in two groups: of training, and of validation."""
    values = []
    for name in report.keys() - {"step"}:
        group = "validation" if name.startswith("val_") else "training"
        values.append({"tag": f"{group}/{name.removeprefix('val_')}", "simple_value": report[name]})
    return {"step": int(report["step"]), "summary": {"value": values}}
