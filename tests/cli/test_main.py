"""The program as a whole: quick to answer, one sentence for an error, exit status 2."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import minigan
from minigan.cli.main import main
from minigan.core.errors import MiniganError


def test_the_version_is_printed():
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert minigan.__version__ in result.output


def test_the_version_needs_no_heavy_import():
    code = (
        "import sys; from minigan.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'rich', 'PIL', 'skimage', 'scipy', 'safetensors'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["deblur"],
        ["deblur", "train"],
        ["deblur", "restore"],
        ["deblur", "evaluate"],
        ["doctor"],
        ["export"],
        ["gan"],
        ["gan", "train"],
        ["gan", "sample"],
        ["import"],
    ],
)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_an_unknown_command_is_refused_in_one_sentence():
    result = CliRunner().invoke(main, ["sharpen"])
    assert result.exit_code == 2
    assert result.stderr == "Error: minigan: no such command 'sharpen'; see minigan --help\n"


def test_without_a_command_the_help_is_shown():
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minigan.cli.main", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "Error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("command", ["train --data", "train --resume", "evaluate --model"])
def test_a_name_that_is_too_long_is_one_sentence(command):
    result = CliRunner().invoke(main, ["deblur", *command.split(), "n" * 5000])
    assert result.exit_code == 2
    assert result.stderr == f"Error: the name {'n' * 40}... is longer than the system takes\n"


def test_what_does_not_fit_into_memory_is_one_sentence(monkeypatch):
    def fail(ctx):
        np.empty(2**60, np.float32)

    monkeypatch.setattr(main.get_command(None, "deblur"), "invoke", fail)
    result = CliRunner().invoke(main, ["deblur", "train"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: what was asked for needs more memory than there is: ")
    assert len(result.stderr.splitlines()) == 1


def test_an_error_of_minigans_is_one_line_and_status_2(monkeypatch):
    def fail(ctx):
        raise MiniganError("something: it got this; it needs that")

    monkeypatch.setattr(main.get_command(None, "deblur"), "invoke", fail)
    result = CliRunner().invoke(main, ["deblur", "train"])
    assert result.exit_code == 2
    assert result.stderr == "Error: something: it got this; it needs that\n"
