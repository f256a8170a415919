"""The program `minigan`: a group of commands, each imported when it is called.

An error that minigan raises on purpose becomes one sentence on standard error and exit status 2.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from minigan.core.errors import MiniganError


class OneSentence(click.ClickException):
    """How an error of minigan's leaves the program."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose commands are imported by name when they are needed."""

    COMMANDS = ("deblur", "gan")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.COMMANDS:
            return None
        return getattr(importlib.import_module(f"minigan.cli.{cmd_name}"), cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MiniganError as error:
            raise OneSentence(str(error)) from error


@click.command(cls=LazyGroup)
@click.version_option(package_name="minigan")
def main() -> None:
    """An autograd engine written from nothing, and the GANs that stand on it."""


if __name__ == "__main__":
    main()
