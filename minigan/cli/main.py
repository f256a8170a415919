"""The program `minigan`: a group of commands, each imported when it is called.

Whatever a user does wrong becomes one sentence on standard error and exit status 2; Ctrl-C ends with
130, as shells expect.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from minigan.cli.lazy import LazyCommands
from minigan.cli.options import printable
from minigan.core.errors import MiniganError

INTERRUPTED = 130  # 128 + SIGINT
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class OneSentence(click.ClickException):
    """How an error leaves the program."""

    exit_code = 2


class Program(LazyCommands):
    """The whole program, which says in one sentence what went wrong."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program and leave with its exit status."""
        logging.lastResort = logging.NullHandler()  # what libraries log is no sentence for users
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
            status = _told_of_the_system(error)
        except MemoryError as error:
            reason = f": {error}" if str(error) else ""
            status = _told(f"what was asked for needs more memory than there is{reason}")
        sys.exit(status)


def _told(sentence: str) -> int:
    OneSentence(printable(sentence)).show()
    return OneSentence.exit_code


def _told_of_the_system(error: OSError) -> int:
    """Of what the system refused, that which no function below has a sentence for."""
    if error.errno == errno.ENAMETOOLONG:  # wherever one looks whether a file is there
        return _told(f"the name {str(error.filename)[:40]}... is longer than the system takes")
    # Files are written through minigan.files, which says which one; what is left is the output.
    if error.errno not in _FULL:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where Python flushes what is left
    return _told(f"cannot write to standard output: {error.strerror}")


def _as_sentence(error: click.UsageError) -> str:
    """What click says in four lines."""
    message = error.format_message().rstrip(".").replace(". (Did", " (did")
    if error.ctx is None:
        return message
    command = error.ctx.command_path
    return f"{command}: {message[:1].lower()}{message[1:]}; see {command} --help"


@click.group(
    "minigan",
    cls=Program,
    package="minigan.cli",
    names=("deblur", "doctor", "explain", "export", "gan", "import", "selftest"),
)
@click.version_option(package_name="minigan")
def main() -> None:
    """An autograd engine written from nothing, and the GANs that stand on it."""


if __name__ == "__main__":
    main()
