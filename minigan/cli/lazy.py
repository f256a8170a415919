"""Groups of commands that are imported when they are called, so that --help stays fast."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Sequence
from typing import Any

import click


class LazyCommands(click.Group):
    """A group whose command `name` is the object of that name in the module `package.name`.

    A name that is a keyword of Python's, such as import, has an underscore behind it there.
    """

    def __init__(self, *args: Any, package: str, names: Sequence[str], **options: Any):
        super().__init__(*args, **options)
        self._package, self._names = package, names

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._names:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        return getattr(importlib.import_module(f"{self._package}.{name}"), name)
