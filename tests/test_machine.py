"""What minigan doctor tells, on this machine and on one where something is missing."""

import json
import shutil
import sys

import pytest
from click.testing import CliRunner

from minigan import machine
from minigan.cli.main import main


def told():
    return {finding.name: finding for finding in machine.survey()}


def test_what_is_there_is_told_with_its_version():
    found = told()
    assert found["Python"].there
    assert found["NumPy"].there
    assert all(finding.detail for finding in found.values())
    assert all(finding.there or "\n" not in finding.detail for finding in found.values())


def test_a_missing_compiler_comes_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = told()
    assert not found["C++ compiler"].there
    assert found["C++ compiler"].remedy == "apt install g++"


def test_missing_libraries_come_with_the_extra_that_has_them(monkeypatch):
    monkeypatch.setattr(machine, "EXTRAS", {"deblur": ("pillow", "no-such-library")})
    found = told()["extra deblur"]
    assert not found.there
    assert found.detail == "without no-such-library"
    assert found.remedy == "pip install 'minigan[deblur]'"


def test_a_missing_cupy_and_a_missing_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes its import fail
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = told()
    assert "minigan[cuda13]" in found["CuPy"].remedy
    assert found["GPU"].detail == "no driver by NVIDIA is installed"
    assert found["binutils"].remedy == "apt install binutils"


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_the_command_prints_all_of_it(option):
    result = CliRunner().invoke(main, ["doctor", *option])
    assert result.exit_code == 0, result.output
    for name in ("Python", "C++ compiler", "device emulator", "GPU", "extra deblur"):
        assert name in result.stdout
    if option:
        assert {row["name"] for row in json.loads(result.stdout)} == set(told())
