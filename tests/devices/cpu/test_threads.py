"""Work that is shared out over threads: all of it is done once, and the bits do not tell by how many."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest

import minigan as mg
from minigan import nn, optim
from minigan.core.graph import mode
from minigan.core.op import REGISTRY
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu import threads
from minigan.devices.cpu.threads import has_help, share_out


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


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
        seen, together = [], threading.Barrier(2)

        def part(i):
            together.wait(timeout=10)  # one on this thread, one on the other
            seen.append(has_help(1.0))

        share_out(part, 2, 1.0)
        assert seen == [False] * 2
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
        with pytest.raises(FloatingPointError, match="three"):
            share_out(lambda i: part(3), 9, 1.0)  # those that had not begun are dropped
        share_out(lambda i: None, 4, 1.0)  # the team is as before


def test_nobody_waits_for_a_helper_that_wakes_up_too_late():
    done, awake = [], threading.Event()
    with workers(2):
        (mailbox,) = threads._here.team.mailboxes
        mailbox.put(lambda: awake.wait(timeout=60))
        share_out(done.append, 3, 1.0)
        assert done == [0, 1, 2]
        awake.set()


def test_helpers_keep_nothing_of_an_operation_and_end_with_their_block():
    before = threading.active_count()
    with workers(3):
        array = np.zeros(1000)
        gone, together = weakref.ref(array), threading.Barrier(2)

        def part(i, array=array):
            if i < 2:
                together.wait(timeout=10)
            return array.sum()

        share_out(part, 3, 1.0)
        del array, part
        patience = (
            time.monotonic() + 10
        )  # the last helper may not have noticed yet that all is done
        while gone() is not None and time.monotonic() < patience:
            time.sleep(0.001)
        assert gone() is None
    assert threading.active_count() == before


def test_wishes_and_errstate_hold_in_all_parts():
    x, w = (Tensor(np.zeros(s, np.float32)) for s in [(4, 64, 16, 16), (64, 64, 3, 3)])
    found = []

    def part(i):
        taken = mg.which_kernel(mg.conv2d, x, w).choices[0].taken.name
        found.append((taken, np.geterr()["over"]))

    with workers(2), mg.exact(), np.errstate(over="raise"):
        share_out(part, 6, 1.0)
    assert found == [("direct", "raise")] * 6


def a_few_steps(count):
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
    with workers(count):
        for _ in range(3):
            net.zero_grad()
            loss = (net(Tensor(x)) - Tensor(x)).abs().mean()
            loss.backward()
            adam.step()
            losses.append(float(loss))
    return losses, [p.numpy() for p in net.parameters()]


def test_the_bits_do_not_depend_on_how_many_threads_there_are():
    losses, weights = a_few_steps(1)
    for count in (2, 3):
        again, others = a_few_steps(count)
        assert again == losses
        for a, b in zip(weights, others, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("observed", [False, True])
def test_the_gradients_of_a_large_layer_are_computed_at_the_same_time(observed, monkeypatch):
    """Unless somebody watches: an observer sees one operation after the other, on its own thread."""
    leaves = [
        mg.tensor(numbers(i, *shape), requires_grad=True)
        for i, shape in enumerate([(4, 64, 32, 32), (64, 64, 3, 3), (64,)])
    ]
    used, both = set(), threading.Barrier(2)
    for operation in (mg.conv2d_dx, mg.conv2d_dw):

        def kernel(*args, compute=operation.kernels["cpu"], **how):
            used.add(threading.get_ident())
            if not observed:
                both.wait(timeout=10)  # nobody passes unless the other gradient is here as well
            return compute(*args, **how)

        monkeypatch.setitem(operation.kernels, "cpu", kernel)
    monkeypatch.setattr(mode, "observer", (lambda *_: None) if observed else None)
    with workers(2):
        mg.conv2d(*leaves, padding=1).sum().backward()
    assert len(used) == (1 if observed else 2)
    assert not any(leaf.grad.requires_grad for leaf in leaves)


@pytest.mark.parametrize(
    ("operation", "shapes", "settings", "flops"),
    [
        ("conv2d", [(2, 6, 9, 9), (4, 3, 3, 3)], {"groups": 2}, 2 * 2 * 4 * 49 * 27),
        ("conv2d_dx", [(2, 4, 7, 7), (4, 6, 3, 3)], {"input_size": 9}, 2 * 2 * 4 * 49 * 54),
        ("conv2d_dw", [(2, 6, 9, 9), (2, 4, 7, 7)], {"kernel_size": 3}, 2 * 2 * 4 * 49 * 54),
        ("linear", [(5, 7), (3, 7), (3,)], {}, 2 * 5 * 7 * 3),
        ("matrix_product", [(2, 5, 7), (7, 3)], {}, 2 * 2 * 5 * 7 * 3),
    ],
)
def test_costly_operations_know_their_flops(operation, shapes, settings, flops):
    op = REGISTRY[operation]
    out = op(*(Tensor(np.zeros(s, np.float32)) for s in shapes), **settings)
    assert op.flops(out.shape, *shapes) == flops
