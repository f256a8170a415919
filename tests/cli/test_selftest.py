"""minigan selftest: what it tells of right operations and of a wrong one."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from minigan.cli.main import main
from minigan.core.op import REGISTRY


def call(*arguments):
    return CliRunner().invoke(main, ["selftest", *map(str, arguments)])


@pytest.mark.parametrize(
    ("device", "checks"), [("cpu", "gradients"), ("emulator", "gradients, checker")]
)
def test_right_operations_are_told_one_by_one(device, checks):
    result = call("--device", device, "relu", "conv2d", "eq", "transfer", "reshape")
    assert result.exit_code == 0, result.output
    assert f"ok      conv2d                   float32, {checks}\n" in result.stdout
    assert result.stdout.endswith(f"5 of 5 operations are right on {device}\n")


@pytest.mark.parametrize(
    ("wrong", "checks"),
    [
        (lambda x: x + np.float32(1e-3), "float32"),
        (
            lambda x: np.where(x > 0, x, -x) if x.dtype == np.float64 else np.maximum(x, 0),
            "gradients",
        ),
    ],
)
def test_a_wrong_operation_is_told_and_ends_with_1(monkeypatch, wrong, checks):
    monkeypatch.setitem(REGISTRY["relu"].kernels, "cpu", wrong)
    result = call("relu", "exp")
    assert result.exit_code == 1
    first, problem, second, last = result.stdout.splitlines()
    assert first.split() == ["FAILED", "relu", *(["float32,"] * (checks != "float32")), checks]
    assert "Error: " in problem
    assert second.startswith("ok      exp")
    assert last == "1 of 2 operations are right on cpu"


def test_an_operation_that_is_not_there():
    result = call("relu", "no_such")
    assert result.exit_code == 2
    assert result.stderr == "Error: selftest: there is no operation 'no_such'\n"


def test_without_its_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    result = call("relu")
    assert result.exit_code == 2
    assert "pip install 'minigan[test]'" in result.stderr
