"""Choosing among variants by measurement, with measurements that are made up."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, FileError
from minigan.devices.choice import choices
from minigan.devices.emulator.device import Emulator
from minigan.devices.launch.kernel import launches


@pytest.fixture
def measured(monkeypatch):
    """The kernels of which the times are asked for; conv2d_v1 and conv2d_dw_v3 seem the fastest."""
    seen = []

    def seconds(self, call):
        with launches() as log:
            call()
        seen.append(log[0].symbol)
        return 1.0 if log[0].symbol in ("conv2d_v1", "conv2d_dw_v3") else 2.0

    monkeypatch.setattr(Emulator, "seconds", seconds)
    return seen


def arrays():
    rng = np.random.default_rng(0)
    shapes = (1, 2, 9, 9), (4, 2, 5, 5)
    return [mg.tensor(rng.standard_normal(s), device="emulator") for s in shapes]


def test_the_fastest_is_measured_once_and_then_taken(measured):
    x, w = arrays()
    expected = mg.conv2d(x, w).numpy()
    with mg.tune_kernels() as chosen:
        for turn in range(2):
            with launches() as log, choices() as taken:
                y = mg.conv2d(x, w)
            assert log[-1].symbol == "conv2d_v1"
            assert taken[0].others["v7_thin"] == "v1_naive was measured to be faster"
            if turn == 0:
                assert len(measured) == 3 * 6  # three rounds of all that can: no tensor cores
                assert not any("v5" in symbol for symbol in measured)
        assert len(measured) == 3 * 6
        assert list(chosen.values()) == ["v1_naive"]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)
    with launches() as log:
        mg.conv2d(x, w)
    assert log[0].symbol == "conv2d_thin"  # by its shape, as ever


def test_choices_are_kept_in_a_file(measured, tmp_path):
    x, w = arrays()
    path = tmp_path / "choices.json"
    with mg.tune_kernels(path):
        mg.conv2d(x, w)
    (key,) = json.loads(path.read_text())
    assert key.startswith("emulator: conv2d Problem(images=1, channels=2")
    assert [p.name for p in tmp_path.iterdir()] == ["choices.json"]
    measured.clear()
    with mg.tune_kernels(path), launches() as log:
        mg.conv2d(x, w)
    assert measured == []
    assert [launch.symbol for launch in log] == ["conv2d_v1"]


def test_gradients_are_right_whatever_is_measured(measured):
    x, w = (t.requires_grad_() for t in arrays())
    with mg.tune_kernels():
        tuned = mg.grad(mg.conv2d(x, w).sum(), [x, w])
    plain = mg.grad(mg.conv2d(x, w).sum(), [x, w])
    for a, b in zip(tuned, plain, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)
    assert "conv2d_dw_v3" in measured


def test_what_is_asked_for_is_not_measured(measured):
    x, w = arrays()
    with mg.tune_kernels(), mg.use_kernels(conv2d="v3_registers"), launches() as log:
        mg.conv2d(x, w)
        assert "v3_registers" in str(mg.which_kernel(mg.conv2d, x, w))
    assert measured == []
    assert log[0].symbol == "conv2d_v3"


def test_asking_what_would_run_measures_nothing(measured):
    x, w = arrays()
    with mg.tune_kernels() as chosen:
        mg.which_kernel(mg.conv2d, x, w, stride=1, padding=0, dilation=1, groups=1)
    assert measured == []
    assert chosen == {}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[1]", ArgumentError, "holds no choices of kernels"),
        ('{"a": 1}', ArgumentError, "holds no choices of kernels"),
        ("{", FileError, "cannot be read"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, text, error, words):
    path = tmp_path / "choices.json"
    path.write_text(text)
    with pytest.raises(error, match=words), mg.tune_kernels(path):
        pass
    assert path.read_text() == text


def test_a_folder_that_is_not_there(measured, tmp_path):
    x, w = arrays()
    with (
        pytest.raises(FileError, match="cannot write"),
        mg.tune_kernels(tmp_path / "no" / "x.json"),
    ):
        mg.conv2d(x, w)
