"""Options that several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


class Whole(click.IntRange):
    """A whole number in a range."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            bound = f">= {self.min}" if self.max is None else f"from {self.min} to {self.max}"
            self.fail(f"{value!r} is no whole number {bound}", param, ctx)


class Minutes(click.FloatRange):
    """A positive, finite number of minutes."""

    name = "minutes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            minutes = super().convert(value, param, ctx)
        except click.BadParameter:
            minutes = math.nan
        if not math.isfinite(minutes):
            self.fail(f"{value!r} is no number of minutes >= {self.min}", param, ctx)
        return minutes


class Threads(Whole):
    """How many threads or processes: with many more than processors, memory ends before time is saved."""

    name = "integer"

    def __init__(self) -> None:
        super().__init__(min=1, max=max(16, 8 * (os.cpu_count() or 1)))


PATH = click.Path(path_type=Path)
THREADS = Threads()
MINUTES = Minutes(min=0.01)
COUNT = Whole(min=1)
SEED = Whole(min=0)
FORCE = click.option("--force", is_flag=True, help="Replace files that are there already.")


def refuse_replacing(targets: Sequence[Path], force: bool) -> None:
    """OutputPathError for the first file that would be replaced without --force."""
    from minigan.core.errors import OutputPathError

    for target in targets:
        if target.exists() and not force:
            raise OutputPathError(
                f"{target} is there already; name another file, or replace it with --force"
            )


def counted(count: int, noun: str) -> str:
    """A number with its noun: 1 crop, 2 crops."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """A line that any terminal can show, whatever the names of files in it: bytes that are no text, line
    breaks and the like are written as Python would.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)
