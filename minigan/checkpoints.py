"""Complete states of a training, saved from time to time, from which it goes on after anything.

    folder/minigan-00000400.safetensors
    folder/minigan-00000500.safetensors

Each file holds every array that the training needs, by name, and a record of all else as JSON, with a
checksum for each. It is written whole or not at all, so that whenever a process is killed, the newest
file is good.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan import serialize
from minigan.core.errors import ArgumentError, ModelFileError
from minigan.core.tensor import Array
from minigan.files import ensure_folder

KIND = "checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A training after a number of steps: its arrays by name, and what else JSON can hold."""

    step: int
    arrays: Mapping[str, Array]
    record: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one training: the last `keep` of them, and the best."""

    def __init__(self, folder: Path, name: str, keep: int = 2):
        if keep < 1 or not re.fullmatch(r"[a-z]+", name):
            raise ArgumentError(
                f"Checkpoints: name is {name!r} and keep is {keep}; it needs lower-case letters and a "
                "positive number"
            )
        self.folder, self.name, self.keep = folder, name, keep

    def save(self, checkpoint: Checkpoint, best: int | None = None) -> Path:
        """Write it, then remove older ones, but for the last `keep` and that of step `best`.

        Raises OutputPathError where it cannot be written; the older ones are all there then.
        """
        ensure_folder(self.folder)
        path = self._path(checkpoint.step)
        settings = {"kind": KIND, "step": checkpoint.step, "record": dict(checkpoint.record)}
        serialize.save(path, checkpoint.arrays, settings)
        for step in self.steps()[: -self.keep]:
            if step != best:
                self._path(step).unlink(missing_ok=True)
        return path

    def newest(self) -> Checkpoint | None:
        """The last one saved, or None where there is none.

        Raises ModelFileError if it was damaged since, which no crash does.
        """
        steps = self.steps()
        if not steps:
            return None
        path = self._path(steps[-1])
        try:
            arrays, settings = serialize.load(path)
        except ModelFileError as error:
            rest = f"step {steps[-2]}" if len(steps) > 1 else "the beginning"
            raise ModelFileError(
                f"{error}; without this file, training goes on from {rest}"
            ) from error
        record = settings.get("record")
        as_named = (settings.get("kind"), settings.get("step")) == (KIND, steps[-1])
        if not as_named or not isinstance(record, dict):
            raise ModelFileError(f"{path} is no checkpoint of step {steps[-1]}, as its name says")
        return Checkpoint(steps[-1], arrays, record)

    def steps(self) -> list[int]:
        """The steps that there are checkpoints of, in order."""
        if not self.folder.is_dir():
            return []
        pattern = re.compile(rf"{self.name}-(\d{{8,}})\.safetensors")
        found = (pattern.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def _path(self, step: int) -> Path:
        return self.folder / f"{self.name}-{step:08d}.safetensors"
