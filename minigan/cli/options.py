"""Options that several commands share."""

from __future__ import annotations

import math
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


MINUTES = Minutes(min=0.01)
COUNT = Whole(min=1)
SEED = Whole(min=0)
FORCE = click.option("--force", is_flag=True, help="Replace pictures that are there already.")


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
