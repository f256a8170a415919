"""A backward pass of a script, traced while the script runs as it always does."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minigan.core.errors import MiniganError, ScriptError
from minigan.explain.record import is_users, recording
from minigan.explain.tracing import Trace, following


class _Enough(BaseException):
    """Ends the script when its pass is traced; no Exception, which a script might catch."""


def trace_script(path: Path, arguments: Sequence[str] = (), number: int = 1) -> Trace:
    """Run a Python script until its backward pass `number` has ended, and give its trace.

    Each call of `backward()` or `minigan.grad` on the script's own thread is a pass, counted from 1.
    What stands behind it in the script is not run.

    Raises `ScriptError` for a script that cannot be run, that raises, or that ends too early.
    """
    if not path.is_file():
        raise ScriptError(f"cannot run {path}: there is no such file")
    found: list[Trace] = []
    passes = 0

    def done(trace: Trace) -> None:
        nonlocal passes
        passes += 1
        if passes == number:
            found.append(trace)
            raise _Enough

    try:
        with _as_main(path, arguments), recording(), following(done):
            runpy.run_path(str(path), run_name="__main__")
    except _Enough:
        return found[0]
    except SystemExit as error:
        if error.code not in (None, 0):
            raise ScriptError(
                f"{path} ended with status {error.code} {_too_early(passes)}"
            ) from error
    except SyntaxError as error:
        raise ScriptError(f"cannot run {path}: {error.msg} in line {error.lineno}") from error
    except Exception as error:
        raise ScriptError(f"{path} raised {_told(error)}") from error
    raise ScriptError(f"{path} ended {_too_early(passes)}; pass {number} was asked for")


def _too_early(passes: int) -> str:
    if passes == 0:
        return "without a backward pass, a call of backward() or minigan.grad()"
    return f"after {passes} backward pass{'' if passes == 1 else 'es'}"


@contextmanager
def _as_main(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """The script's own arguments, and its folder as the first to import from."""
    before = sys.argv, sys.path[:]
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.argv = before[0]
        sys.path[:] = before[1]


def _told(error: Exception) -> str:
    """An error with the user's line where it arose: "ValueError in train.py, line 3: ..."."""
    kind = "an error" if isinstance(error, MiniganError) else type(error).__name__
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_users(f.filename)]
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    message = " ".join(str(error).split())
    return f"{kind}{where}: {message}" if message else f"{kind}{where}"
