"""Arrays computed by forked processes: in order, with their errors, and without a trace."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import closing

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import WorkerError
from minigan.core.forked import ForkedMap, can_fork, shared_array
from minigan.core.parallel import workers
from minigan.devices.choice import wishes
from minigan.devices.cpu.threads import has_help

HERE = os.getpid()
ROOM = 3, 6  # numbers of an array before and after

pytestmark = pytest.mark.skipif(
    not can_fork(), reason="processes are forked on Linux, under an interpreter lock"
)


def who(array):
    """The array's first number, and whether this process computes it; as large as the array is."""
    return np.array([[array.flat[0]] * array.size, [os.getpid() == HERE] * array.size], np.float32)


def numbered(count):
    """Arrays of different shapes, with numbers from 0 on."""
    return (np.full((1, 1 + i % 3), i, np.float32) for i in range(count))


def mapped(function, count, helpers=1):
    """Copies of what the map yields."""
    with closing(ForkedMap("restore", function, ROOM, helpers)) as over:
        return [array.copy() for array in over(numbered(count))]


@pytest.mark.parametrize("helpers", [0, 1, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 20])
def test_results_come_in_order_whoever_is_slow(helpers, count):
    def slow(array):
        time.sleep(0.003 * float(array.flat[0] * 7 % 3))
        return who(array)

    found = mapped(slow, count, helpers)
    assert [array[0, 0] for array in found] == list(range(count))
    assert [array.shape for array in found] == [(2, 1 + i % 3) for i in range(count)]
    assert [array[1, 0] for array in found] == [i % (helpers + 1) == 0 for i in range(count)]


def test_arrays_are_asked_for_when_they_are_needed():
    asked = []
    arrays = (asked.append(i) or array for i, array in enumerate(numbered(50)))
    with closing(ForkedMap("restore", who, ROOM, 1)) as over:
        found = over(arrays)
        next(found)
        assert asked == [0, 1, 2, 3]


def test_a_map_may_be_used_again_and_be_left_in_the_middle():
    with closing(ForkedMap("restore", who, ROOM, 2)) as over:
        for _ in range(3):
            left = over(numbered(30))
            assert [next(left)[0, 0] for _ in range(4)] == [0, 1, 2, 3]
            left.close()  # type: ignore[attr-defined]  # a generator
            assert [array[0, 0] for array in over(numbered(9))] == list(range(9))


def test_what_the_caller_asked_for_holds_in_the_processes():
    def asked(array):
        return np.full((1, 1), wishes().exact + 2 * has_help(), np.float32)

    with workers(2), closing(ForkedMap("restore", asked, ROOM, 1)) as over:
        assert [array[0, 0] for array in over(numbered(4))] == [0] * 4
        with mg.exact():
            assert [array[0, 0] for array in over(numbered(4))] == [1] * 4


@pytest.mark.parametrize("bad", [2, 3])
def test_an_error_is_raised_in_its_turn_and_the_map_goes_on(bad):
    def failing(array):
        if array.flat[0] == bad:
            raise ValueError(f"item {bad}")
        return who(array)

    with closing(ForkedMap("restore", failing, ROOM, 1)) as over:
        found = over(numbered(9))
        assert [next(found)[0, 0] for _ in range(bad)] == list(range(bad))
        with pytest.raises(ValueError, match=f"item {bad}"):
            next(found)
        assert [array[0, 0] for array in over(numbered(2))] == [0, 1]
    assert multiprocessing.active_children() == []


def test_a_process_that_was_killed_is_told_of():
    def deadly(array):
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return who(array)

    with pytest.raises(WorkerError, match=r"^restore: a process .* ended, with exit code -9"):
        mapped(deadly, 4)


def test_the_processes_end_with_the_map():
    over = ForkedMap("restore", who, ROOM, 2)
    assert len(multiprocessing.active_children()) == 2
    over.close()
    assert multiprocessing.active_children() == []


def test_a_helper_cannot_fork():
    assert [a[0, 0] for a in mapped(lambda _: np.array([[can_fork()]], np.float32), 3)] == [1, 0, 1]


def test_an_array_is_shared_whatever_its_size():
    for shape in ((), (0, 4), (3, 2)):
        array = shared_array(shape, np.int16)
        assert (array.shape, array.dtype) == (shape, np.int16)
        array[...] = 7
        assert (array == 7).all()
