"""Work that is shared out over threads: all of it is done once, and the bits do not tell by how many."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minigan as mg
from minigan import nn, optim
from minigan.core.graph import mode
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu.threads import has_help, share_out


def test_every_part_runs_once_and_two_at_the_same_time():
    done, together = [], threading.Barrier(2)

    def part(i):
        if i < 2:
            together.wait(timeout=10)  # nobody passes unless both are here
        done.append(i)

    with workers(2):
        assert has_help(1.0)
        share_out(part, 7, 1.0)
    assert sorted(done) == list(range(7))
    assert not has_help(1.0)


def test_without_workers_parts_run_in_order():
    done = []
    share_out(done.append, 4, 1.0)
    with workers(1):
        assert not has_help(1.0)
        share_out(done.append, 3, 1.0)
    assert done == [0, 1, 2, 3, 0, 1, 2]


def test_a_part_does_not_divide_itself_and_shards_do_not_either():
    with workers(2) as pool:
        seen = []
        share_out(lambda i: seen.append(has_help(1.0)), 4, 1.0)
        assert seen == [False] * 4
        assert pool.map(lambda i: has_help(1.0), [0, 1]) == [False, False]
        assert has_help(1.0)


def test_an_error_in_any_part_is_raised_once_nobody_works_any_more():
    working = []

    def part(i):
        working.append(i)
        if i == 3:
            raise FloatingPointError("three")
        working.remove(i)

    with workers(2):
        for _ in range(20):
            working.clear()
            with pytest.raises(FloatingPointError, match="three"):
                share_out(part, 4, 1.0)
            assert working == [3]
        share_out(lambda i: None, 4, 1.0)  # the team is as before


def test_wishes_and_errstate_hold_in_all_parts():
    x, w = (Tensor(np.zeros(s, np.float32)) for s in [(4, 64, 16, 16), (64, 64, 3, 3)])
    found = []

    def part(i):
        taken = mg.which_kernel(mg.conv2d, x, w).choices[0].taken.name
        found.append((taken, np.geterr()["over"]))

    with workers(2), mg.exact(), np.errstate(over="raise"):
        share_out(part, 6, 1.0)
    assert found == [("direct", "raise")] * 6


def a_few_steps(threads):
    """Losses and weights of three steps of a network that is large enough to be shared out."""
    mg.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 64, 7, padding=3),
        nn.InstanceNorm2d(64, relu=True),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),
        nn.Upsample(2),
        nn.Conv2d(128, 3, 7, padding=3),
    )
    adam = optim.Adam(net.parameters(), lr=1e-3)
    x = np.random.default_rng(0).random((3, 3, 34, 38), dtype=np.float32)
    losses = []
    with workers(threads):
        for _ in range(3):
            net.zero_grad()
            loss = (net(Tensor(x)) - Tensor(x)).abs().mean()
            loss.backward()
            adam.step()
            losses.append(float(loss))
    return losses, [p.numpy() for p in net.parameters()]


def test_the_bits_do_not_depend_on_how_many_threads_there_are():
    losses, weights = a_few_steps(1)
    for threads in (2, 3):
        again, others = a_few_steps(threads)
        assert again == losses
        for a, b in zip(weights, others, strict=True):
            np.testing.assert_array_equal(a, b)


def test_vjps_on_other_threads_record_nothing_and_are_observed():
    x, w = (
        mg.tensor(np.ones(s, np.float32), requires_grad=True) for s in [(2, 3, 8, 8), (4, 3, 3, 3)]
    )
    seen = []
    with workers(2):
        y = mg.conv2d(x, w)
        mode.observer = lambda operation, args, out: seen.append(
            (operation.name, out.requires_grad)
        )
        try:
            y.sum().backward()
        finally:
            mode.observer = None
    assert {("conv2d_dx", False), ("conv2d_dw", False)} <= set(seen)
    assert not any(recorded for name, recorded in seen if name.startswith("conv2d_d"))
    assert x.grad is not None
    assert w.grad is not None
