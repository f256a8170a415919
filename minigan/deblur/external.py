"""Other people's restorers in the table: any command that reads a picture file and writes one."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from minigan.core.errors import ArgumentError, CommandError, ImageFileError
from minigan.core.tensor import Array
from minigan.deblur.evaluate import Method
from minigan.images import read_image, write_image

PLACES = ("{input}", "{output}")
_STDERR = 4096  # bytes of what a command says that are looked at


def external_method(given: str, seconds: float) -> Method:
    """The method that "NAME=command {input} {output}" describes.

    For each picture the command gets the path of a PNG of 8 bits to read in place of {input}, and that
    of one to write in place of {output}, of the same size. It is run without a shell, without standard
    input, and for `seconds` at most. Restoring raises CommandError, which names the command and says what
    went wrong.

    Raises ArgumentError for what is no such description.
    """
    name, _, command = (part.strip() for part in given.partition("="))
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ArgumentError(f"--also {given!r}: the command cannot be read ({error})") from error
    if not name or not all(any(place in word for word in words) for place in PLACES):
        raise ArgumentError(
            f"--also {given!r} needs a name, =, and a command with {' and '.join(PLACES)} in it"
        )
    return Method(name, lambda blurry, kernel: _restored(name, words, blurry, seconds))


def _restored(name: str, words: Sequence[str], blurry: Array, seconds: float) -> Array:
    """One picture through the command: (C, H, W) -> the same."""
    with tempfile.TemporaryDirectory(prefix="minigan-also-") as folder:
        source, target = Path(folder, "input.png"), Path(folder, "output.png")
        write_image(source, blurry)
        filled = [w.replace("{input}", str(source)).replace("{output}", str(target)) for w in words]
        _run(name, filled, Path(folder, "stderr"), seconds)
        return _result(name, target, blurry.shape)


def _run(name: str, words: Sequence[str], said: Path, seconds: float) -> None:
    """Run it to its end; whatever it has started is ended with it."""
    where = f"--also {name}: the command {words[0]}"
    with said.open("wb") as stderr:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,  # a group of its own, which can be ended as a whole
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise CommandError(f"{where} cannot be started: {reason}") from error
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise CommandError(
                f"{where} took more than {seconds:g} seconds for one picture; --also-seconds allows more"
            ) from error
        finally:
            _end(process)
    if status:
        lines = said.read_bytes()[:_STDERR].decode("utf-8", "replace").split("\n")
        first = next((line.strip() for line in lines if line.strip()), "it says nothing")
        raise CommandError(f"{where} ended with exit status {status}: {first}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # where all have ended
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _result(name: str, target: Path, shape: tuple[int, ...]) -> Array:
    """What it wrote, as a picture of `shape`; grey counts for all channels."""
    where = f"--also {name}"
    if not target.exists():
        raise CommandError(f"{where}: the command ended well, but wrote nothing to {{output}}")
    try:
        result = read_image(target)
    except ImageFileError as error:
        raise CommandError(f"{where}: what the command wrote cannot be used: {error}") from error
    if result.shape[1:] != shape[1:]:
        raise CommandError(
            f"{where}: the command wrote {result.shape[2]} x {result.shape[1]} pixels, and was given "
            f"{shape[2]} x {shape[1]}"
        )
    return np.broadcast_to(result, shape)
