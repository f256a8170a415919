"""Options that several commands share."""

from __future__ import annotations

import math
from typing import Any

import click


class Minutes(click.FloatRange):
    """A positive, finite number of minutes."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        minutes = super().convert(value, param, ctx)
        if not math.isfinite(minutes):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return minutes


MINUTES = Minutes(min=0.01)
