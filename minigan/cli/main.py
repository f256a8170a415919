"""The program `minigan`: a group of commands, each imported when it is called.

Whatever a user does wrong becomes one sentence on standard error and exit status 2; Ctrl-C ends with
130, as shells expect.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from minigan.core.errors import MiniganError

INTERRUPTED = 130  # 128 + SIGINT
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class OneSentence(click.ClickException):
    """How an error leaves the program."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose commands are imported by name when they are needed."""

    COMMANDS = ("deblur", "doctor", "gan", "selftest")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.COMMANDS:
            return None
        return getattr(importlib.import_module(f"minigan.cli.{cmd_name}"), cmd_name)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program and leave with its exit status."""
        try:
            status = super().main(*args, **{**options, "standalone_mode": False})
        except click.Abort:
            click.echo("Interrupted.", err=True)
            status = INTERRUPTED
        except NoArgsIsHelpError as error:
            error.show()
            status = error.exit_code
        except click.UsageError as error:
            status = _told(_as_sentence(error))
        except MiniganError as error:
            status = _told(str(error))
        except OSError as error:
            # Files are written through minigan.files, which says which one; what is left is the output.
            if error.errno not in _FULL:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where Python flushes what is left
            status = _told(f"cannot write to standard output: {error.strerror}")
        sys.exit(status)


def _told(sentence: str) -> int:
    OneSentence(sentence).show()
    return OneSentence.exit_code


def _as_sentence(error: click.UsageError) -> str:
    """What click says in four lines."""
    message = error.format_message().rstrip(".").replace(". (Did", " (did")
    if error.ctx is None:
        return message
    command = error.ctx.command_path
    return f"{command}: {message[:1].lower()}{message[1:]}; see {command} --help"


@click.command("minigan", cls=LazyGroup)
@click.version_option(package_name="minigan")
def main() -> None:
    """An autograd engine written from nothing, and the GANs that stand on it."""


if __name__ == "__main__":
    main()
