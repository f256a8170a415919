"""Choosing among variants by measurement: only where it is asked for, and remembered.

A measured choice can differ from run to run, and with it the last bits of results. So what was chosen is
kept in a file: with the same file, the same kernels run again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigan.core.errors import ArgumentError, FileError

ROUNDS = 3  # times that each variant is measured, in turn with the others; the shortest time counts


class Tuning:
    """Measured choices, by device, operation, problem and dtype; kept in a file if there is one."""

    def __init__(self, path: Path | None):
        self.path = path
        self.chosen: dict[str, str] = _read(path) if path is not None and path.exists() else {}

    def best(self, key: str, attempts: Mapping[str, Callable[[], float]]) -> str:
        """The name of the fastest of `attempts`, which give seconds; measured when first asked for."""
        name = self.chosen.get(key, "")
        if name not in attempts:
            times = {
                name: min(attempt() for _ in range(ROUNDS)) for name, attempt in attempts.items()
            }
            name = self.chosen[key] = min(times, key=times.__getitem__)
            self._write()
        return name

    def _write(self) -> None:
        if self.path is None:
            return
        text = json.dumps(self.chosen, indent=1, sort_keys=True) + "\n"
        scratch = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            scratch.write_text(text)
            os.replace(scratch, self.path)
        except OSError as error:
            raise FileError(f"tune_kernels: cannot write {self.path}: {error.strerror}") from error


class _Active(threading.local):
    """What this thread tunes with."""

    tuning: Tuning | None = None


_active = _Active()


def active() -> Tuning | None:
    """The tuning of this thread, inside `tune_kernels`."""
    return _active.tuning


@contextmanager
def tune_kernels(path: str | Path | None = None) -> Iterator[Mapping[str, str]]:
    """Inside the block, take the fastest variant for each shape, as measured when it is first met.

    path  a JSON file that keeps the choices; those that stand in it are not measured again

    The block gets the choices made so far. Tensor cores stay a matter of `use_kernels`: they round.
    Raises FileError for a file that is no such thing.
    """
    before, tuning = _active.tuning, Tuning(None if path is None else Path(path))
    _active.tuning = tuning
    try:
        yield tuning.chosen
    finally:
        _active.tuning = before


def _read(path: Path) -> dict[str, str]:
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FileError(f"tune_kernels: {path} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise ArgumentError(f"tune_kernels: {path} holds no choices of kernels")
    return found
