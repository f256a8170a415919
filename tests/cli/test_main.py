"""The program as a whole: quick to answer, one sentence for an error, exit status 2."""

import subprocess
import sys

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
        ["gan"],
        ["gan", "train"],
        ["gan", "sample"],
    ],
)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_an_unknown_command_is_refused():
    result = CliRunner().invoke(main, ["sharpen"])
    assert result.exit_code == 2
    assert "sharpen" in result.output


def test_an_error_of_minigans_is_one_line_and_status_2(monkeypatch):
    def fail(ctx):
        raise MiniganError("something: it got this; it needs that")

    monkeypatch.setattr(main.get_command(None, "deblur"), "invoke", fail)
    result = CliRunner().invoke(main, ["deblur", "train"])
    assert result.exit_code == 2
    assert result.stderr == "Error: something: it got this; it needs that\n"
