"""Commands of others in the table: what they get, and what is said when anything goes wrong."""

import os
import shlex
import sys
import time

import numpy as np
import pytest

from minigan.core.errors import ArgumentError, CommandError
from minigan.deblur.external import external_method

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the commands here are POSIX's")

PICTURE = np.round(np.random.default_rng(0).random((3, 12, 15)) * 255).astype(np.float32) / 255


def python(code):
    """A command that runs Python code, which finds the two paths in sys.argv."""
    return f"{shlex.quote(sys.executable)} -c {shlex.quote('import sys, pathlib; ' + code)}"


def restored(command, seconds=60.0):
    return external_method(f"mine={command}", seconds).restore(PICTURE, None)


def test_what_it_writes_is_what_comes_back():
    method = external_method("my tool = cp {input} {output}", 60)
    assert (method.name, method.knows_kernel) == ("my tool", False)
    np.testing.assert_array_equal(method.restore(PICTURE, None), PICTURE)


def test_no_shell_sees_the_command():
    code = "assert sys.argv[3] == '$HOME; *'; import shutil; shutil.copy(*sys.argv[1:3])"
    np.testing.assert_array_equal(restored(python(code) + " {input} {output} '$HOME; *'"), PICTURE)


def test_grey_counts_for_all_channels():
    code = "from PIL import Image; Image.open(sys.argv[1]).convert('L').save(sys.argv[2])"
    grey = restored(python(code) + " {input} {output}")
    assert grey.shape == PICTURE.shape
    np.testing.assert_array_equal(grey[0], grey[2])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "false {input} {output}",
            r"--also mine: the command false ended with exit status 1: it says no",
        ),
        (
            "sh -c 'echo; echo first >&2; echo more >&2; exit 7' {input} {output}",
            "status 7: first$",
        ),
        ("sh -c 'kill -9 $$' {input} {output}", "exit status -9"),
        ("no-such-command {input} {output}", "no-such-command cannot be started: No such file"),
        ("true {input} {output}", r"ended well, but wrote nothing to \{output\}"),
        ("touch {input} {output}", r"cannot be used: cannot read .*output\.png: the file is empty"),
    ],
)
def test_what_fails_is_named(command, message):
    with pytest.raises(CommandError, match=message) as caught:
        restored(command)
    assert "\n" not in str(caught.value)


def test_a_picture_of_another_size_is_refused():
    code = "from PIL import Image; Image.open(sys.argv[1]).resize((9, 8)).save(sys.argv[2])"
    with pytest.raises(CommandError, match="wrote 9 x 8 pixels, and was given 15 x 12"):
        restored(python(code) + " {input} {output}")


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    note = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {note}; sleep 600"
    with pytest.raises(CommandError, match=r"sh took more than 0\.3 seconds for one picture"):
        restored(f"sh -c '{script}' {{input}} {{output}}", 0.3)
    child, deadline = int(note.read_text()), time.monotonic() + 30
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid):
    """Whether a process is there that computes or waits: one that has ended may not be collected yet."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(
    "given",
    [
        "",
        "name",
        "=cp {input} {output}",
        "x=cp {input}",
        "x=cp {output}",
        "x=",
        "x='{input} {output}",
    ],
)
def test_what_describes_no_command_is_refused(given):
    with pytest.raises(ArgumentError, match="--also"):
        external_method(given, 1)
