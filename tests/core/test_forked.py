"""Arrays computed by forked processes: in order, with their errors, and without a trace."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

import minigan as mg
from minigan.core import forked
from minigan.core.errors import WorkerError
from minigan.core.forked import can_fork, map_arrays, shared_array
from minigan.core.parallel import workers
from minigan.devices.choice import wishes
from minigan.devices.cpu.threads import has_help

HERE = os.getpid()
SHAPE = (2, 3)

pytestmark = pytest.mark.skipif(
    not can_fork(), reason="processes are forked on Linux, under an interpreter lock"
)


def who(i):
    """The item, and the process that computes it."""
    return np.array([[i] * 3, [os.getpid() == HERE] * 3], np.float32)


def mapped(function, count, threads=2):
    """Copies of what map_arrays yields."""
    with workers(threads) as pool:
        found = map_arrays("restore", function, range(count), SHAPE, pool)
        return [array.copy() for array in found]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 20])
def test_results_come_in_order_whoever_is_slow(threads, count):
    def slow(i):
        time.sleep(0.003 * (i * 7 % 3))
        return who(i)

    found = mapped(slow, count, threads)
    assert [array[0, 0] for array in found] == list(range(count))
    processes = min(threads, count)
    assert [array[1, 0] for array in found] == [i % max(processes, 1) == 0 for i in range(count)]


def test_where_processes_cannot_be_forked_threads_compute(monkeypatch):
    monkeypatch.setattr(forked, "can_fork", lambda: False)
    found = mapped(who, 5)
    assert [array[0, 0] for array in found] == [0, 1, 2, 3, 4]
    assert all(array[1, 0] for array in found)


def test_what_the_caller_asked_for_holds_in_the_processes():
    def asked(i):
        return np.full(SHAPE, wishes().exact + 2 * has_help(), np.float32)

    with mg.exact():
        assert [array[0, 0] for array in mapped(asked, 4)] == [1] * 4


@pytest.mark.parametrize("bad", [2, 3])
def test_an_error_is_raised_in_its_turn(bad):
    def failing(i):
        if i == bad:
            raise ValueError(f"item {i}")
        return who(i)

    seen = []

    def watched():
        with workers(2) as pool:
            for array in map_arrays("restore", failing, range(9), SHAPE, pool):
                seen.append(array[0, 0])

    with pytest.raises(ValueError, match=f"item {bad}"):
        watched()
    assert seen == list(range(bad))
    assert multiprocessing.active_children() == []


def test_a_process_that_was_killed_is_told_of():
    def deadly(i):
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return who(i)

    with pytest.raises(WorkerError, match=r"^restore: a process .* ended, with exit code -9"):
        mapped(deadly, 4)


def test_the_processes_end_when_nobody_asks_for_more():
    with workers(3) as pool:
        found = map_arrays("restore", who, range(50), SHAPE, pool)
        next(found)
        assert len(multiprocessing.active_children()) == 2
        found.close()  # type: ignore[attr-defined]  # a generator
    assert multiprocessing.active_children() == []


def test_a_helper_has_no_helpers():
    def nested(i):
        with workers(2) as pool:
            inner = list(map_arrays("restore", who, range(3), SHAPE, pool))
        return np.full(SHAPE, sum(a[1, 0] for a in inner), np.float32)

    assert [array[0, 0] for array in mapped(nested, 3)] == [2, 0, 2]


def test_an_array_is_shared_whatever_its_size():
    for shape in ((), (0, 4), (3, 2)):
        array = shared_array(shape, np.int16)
        assert (array.shape, array.dtype) == (shape, np.int16)
        array[...] = 7
        assert (array == 7).all()
