"""minigan deblur: one file per command, each imported when it is called."""

from __future__ import annotations

import click

from minigan.cli.lazy import LazyCommands


@click.group(
    cls=LazyCommands, package=__name__, names=("train", "restore", "evaluate", "synthesize")
)
def deblur() -> None:
    """Train a GAN that sharpens blurred photographs, and use it."""
