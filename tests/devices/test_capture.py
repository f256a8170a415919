"""Captured steps: what they replay, on the emulator and with CuPy's stand-in, and what is refused."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from standin_cupy import install

import minigan as mg
from minigan import nn, optim
from minigan.core.errors import ArgumentError, DeviceError


@pytest.fixture(params=["emulator", "cuda"])
def device(request, monkeypatch):
    if request.param == "cuda":
        install(monkeypatch)
    return request.param


def batches(count):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, 3, 8, 8)).astype(np.float32) for _ in range(count)]


def training(device):
    """A network, its optimiser, a batch to write to, and a step of training on it."""
    mg.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.InstanceNorm2d(8, relu=True),
        nn.MaxPool2d(2),
        nn.Upsample(2),
        nn.Conv2d(8, 3, 7, padding=3),
    ).to(device)
    adam = optim.Adam(net.parameters(), lr=0.05)
    batch = mg.tensor(batches(1)[0], device=device)

    def step():
        net.zero_grad()
        loss = ((net(batch) - batch) ** 2).mean()
        loss.backward()
        adam.step()
        return loss

    return net, adam, batch, step


def test_replays_train_as_steps_do_to_the_last_bit(device):
    data = batches(4)
    net, adam, batch, step = training(device)
    eager = []
    for i, x in enumerate(data):
        adam.lr = 0.05 / (i + 1)
        batch.copy_(x)
        eager.append(float(step()))
    expected = {**net.state_dict(), **adam.state_dict()}

    net, adam, batch, step = training(device)
    batch.copy_(data[0])
    captured = mg.capture(step, device)  # which makes the first step
    losses = []
    for i, x in enumerate(data[1:], start=1):
        adam.lr = 0.05 / (i + 1)
        batch.copy_(x)
        captured.replay()
        losses.append(float(captured.results))
    assert losses == eager[1:]
    actual = {**net.state_dict(), **adam.state_dict()}
    del actual["steps"], expected["steps"]  # counted in Python
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def test_a_replay_keeps_alive_what_the_step_uses(device):
    """A graph knows addresses; the network, its optimiser and the batch may have no other owner."""
    replay = mg.capture(training(device)[3], device).replay
    gc.collect()
    replay()


def test_the_steps_own_error_comes_through(device):
    calls = []

    def step():
        calls.append(len(calls))
        if len(calls) == 2:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        mg.capture(step, device)
    assert float(mg.tensor([2.0], device=device).sum()) == 2.0


def test_recording_computes_nothing(device):
    x = mg.tensor([1.0, 2.0], device=device)
    y = mg.tensor([0.0, 0.0], device=device)
    captured = mg.capture(lambda: y.copy_(y + x), device)
    np.testing.assert_array_equal(y.numpy(), [1.0, 2.0])
    captured.replay()
    np.testing.assert_array_equal(y.numpy(), [2.0, 4.0])


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (lambda x: float(x.sum()), "reads values"),
        (lambda x: x.to("cpu"), "reads values"),
        (lambda x: mg.add(x, [1.0, 2.0]), "brings values from the host"),
        (lambda x: mg.dropout(x, p=0.5), "brings values from the host"),
    ],
)
def test_a_step_that_talks_to_the_host_is_refused(device, step, what):
    x = mg.tensor([1.0, 2.0], device=device)
    with pytest.raises(DeviceError, match=f"capture: the step {what}.*needs to work on tensors"):
        mg.capture(lambda: step(x), device)
    assert float(x.sum()) == 3.0  # and nothing is captured any more


def test_the_cpu_has_nothing_to_capture():
    with pytest.raises(ArgumentError, match="device is 'cpu'; it needs 'cuda' or 'emulator'"):
        mg.capture(lambda: None, "cpu")
