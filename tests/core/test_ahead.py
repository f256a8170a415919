"""Batches drawn ahead: the same bits as without, and an end to everything that can go wrong."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minigan.core.ahead import drawn_ahead
from minigan.core.errors import ImageFileError, WorkerError
from minigan.core.forked import can_fork, shared_array

HERE = os.getpid()

pytestmark = pytest.mark.skipif(
    not can_fork(), reason="processes are forked on Linux, under an interpreter lock"
)


class Numbers:
    """A batch of its number and the process that drew it, after a while."""

    def __init__(self, seconds=lambda number: 0.0, fails=()):
        self.seconds, self.fails = seconds, fails

    def __getitem__(self, number):
        time.sleep(self.seconds(number))
        if number in self.fails:
            raise ImageFileError(f"cannot read photo {number}: there is no such file")
        return np.full((2, 3), number, np.float32), np.array([os.getpid()])


@pytest.mark.parametrize("helpers", [0, 1, 2, 3])
def test_batches_are_those_of_their_numbers_whoever_is_slow(helpers):
    with drawn_ahead(Numbers(lambda n: 0.003 * (n * 7 % 3)), helpers) as ahead:
        batches = [ahead[number] for number in range(5, 30)]
    assert [int(batch[0][0, 0]) for batch in batches] == list(range(5, 30))
    drawn_by = {int(batch[1][0]) for batch in batches}
    assert len(drawn_by) == helpers + 1  # the first one is drawn here, to see how large batches are
    assert HERE in drawn_by


@pytest.mark.parametrize("numbers", [[0, 1, 7, 8, 3, 3, 4, 100], [9, 9, 9, 0, 10, 1, 11, 2]])
def test_numbers_may_jump(numbers):
    with drawn_ahead(Numbers(lambda n: 0.001 * (n % 2)), 2) as ahead:
        assert [int(ahead[number][0][0, 0]) for number in numbers] == numbers


def test_a_batch_stays_as_it_is_when_others_are_drawn():
    with drawn_ahead(Numbers(), 1) as ahead:
        batches = [ahead[number][0] for number in range(12)]
    assert [int(batch[1, 2]) for batch in batches] == list(range(12))


def test_batches_are_drawn_while_nobody_asks():
    drawn = shared_array((20,), np.int8)

    class Noted(Numbers):
        def __getitem__(self, number):
            drawn[number] = 1
            return super().__getitem__(number)

    with drawn_ahead(Noted(), 2) as ahead:
        ahead[0]
        deadline = time.monotonic() + 60
        while drawn.sum() < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert drawn.tolist() == [1] * 5 + [0] * 15  # the first, and two by each helper


def test_an_error_comes_when_its_batch_is_asked_for_and_the_others_are_there():
    with drawn_ahead(Numbers(fails=[4]), 2) as ahead:
        for number in range(4):
            ahead[number]
        for _ in range(2):
            with pytest.raises(ImageFileError, match="cannot read photo 4: there is no such file"):
                ahead[4]
        assert int(ahead[5][0][0, 0]) == 5


def test_a_helper_that_dies_is_told_and_not_waited_for():
    with drawn_ahead(Numbers(lambda n: 0.02), 1) as ahead:
        ahead[0]
        (helper,) = multiprocessing.active_children()
        os.kill(helper.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"batches: a process .* ended, with exit code -9"):
            [ahead[number] for number in range(1, 9)]


def test_helpers_end_with_the_block_also_after_an_error():
    def interrupted():
        with drawn_ahead(Numbers(lambda n: 0.1), 2) as ahead:
            ahead[0]
            assert len(multiprocessing.active_children()) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert multiprocessing.active_children() == []


def test_ctrl_c_does_not_end_a_helper():
    with drawn_ahead(Numbers(), 1) as ahead:
        ahead[0]
        (helper,) = multiprocessing.active_children()
        os.kill(helper.pid, signal.SIGINT)  # before the helper has run a line of its own, mostly
        assert [int(ahead[n][0][0, 0]) for n in range(1, 9)] == list(range(1, 9))


def test_where_nothing_can_be_forked_they_are_drawn_in_place(monkeypatch):
    monkeypatch.setattr("minigan.core.ahead.can_fork", lambda: False)
    batches = Numbers()
    with drawn_ahead(batches, 3) as ahead:
        assert ahead is batches


def test_helpers_end_without_a_word_when_their_parent_is_killed(tmp_path):
    """With answers on their way that nobody will read."""
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, os, signal, time\n"
        "import numpy as np\n"
        "from minigan.core.ahead import drawn_ahead\n"
        "class Batches:\n"
        "    def __getitem__(self, number):\n"
        "        return (np.full(3, number),)\n"
        "with drawn_ahead(Batches(), 1) as ahead:\n"
        "    ahead[0]\n"
        "    (helper,) = multiprocessing.active_children()\n"
        "    print(helper.pid, flush=True)\n"
        "    time.sleep(0.5)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # communicate() returns when the helper, which has the same standard error, has ended as well.
    killed = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert int(killed.stdout) > 0
    assert killed.stderr == ""
