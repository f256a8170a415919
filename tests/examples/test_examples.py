"""The examples run from top to bottom, in a few steps; what they claim of many is theirs to assert."""

import runpy
from pathlib import Path

import pytest

from minigan.deblur import run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["superres", "sketch"])
def test_an_example_runs_and_says_what_came_of_it(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "TESTS_EACH", 1)
    monkeypatch.setattr(run, "TEST_SIZE", 64)
    main = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
    main(tmp_path / "run", steps=4)
    told = capsys.readouterr().out
    assert " dB" in told
    assert "report.html" in told
    assert (tmp_path / "run" / "report.html").exists()
