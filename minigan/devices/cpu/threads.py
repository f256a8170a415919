"""Sharing out one operation's work over threads.

NumPy and BLAS release the interpreter lock while they compute, so that parts of an operation can run at
the same time. To wake another thread costs some 50 microseconds, so operations say how long they will
take, roughly, and only those are divided that take a good deal longer.

How the work is divided depends on its sizes alone, never on the number of threads, and so do the bits of
the result.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue

from minigan.devices.choice import following, wishes

_WORTH = 6e-4  # seconds on one thread
FLOPS_PER_SECOND = 1.5e11  # of a convolution on one thread, for estimates


class Team:
    """Threads that help the one which works for them, until `close`."""

    def __init__(self, helpers: int):
        self.mailboxes: list[SimpleQueue[Callable[[], object] | None]] = [
            SimpleQueue() for _ in range(helpers)
        ]
        self._threads = [
            threading.Thread(target=_help, args=(mailbox,), daemon=True)
            for mailbox in self.mailboxes
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let the threads end, and wait for that."""
        for mailbox in self.mailboxes:
            mailbox.put(None)
        for thread in self._threads:
            thread.join()


def _help(mailbox: SimpleQueue[Callable[[], object] | None]) -> None:
    while (work := mailbox.get()) is not None:
        work()
        del work  # and with it the arrays of an operation that is over, before waiting for the next


class _Here(threading.local):
    """The team of this thread; none inside the parts of an operation, which do not divide themselves."""

    team: Team | None = None


_here = _Here()


@contextmanager
def helped_by(team: Team | None) -> Iterator[None]:
    """Inside the block, operations of this thread are shared out over the team."""
    before, _here.team = _here.team, team
    try:
        yield
    finally:
        _here.team = before


def has_help(seconds: float = math.inf) -> bool:
    """Whether work that takes so long on one thread would be shared out now."""
    return _here.team is not None and seconds >= _WORTH


def share_out(part: Callable[[int], object], count: int, seconds: float) -> None:
    """part(0), ..., part(count - 1), in any order and at the same time where this thread has help.

    seconds  what all of it takes on one thread, roughly

    When some fail, one of their errors is raised, after all parts that had begun have ended.
    """
    team = _here.team
    if team is None or count < 2 or seconds < _WORTH:
        for i in range(count):
            part(i)
        return
    job, asked = _Job(part, count), wishes()

    def take_parts() -> None:
        with helped_by(None), following(asked):
            job.work()

    for mailbox in team.mailboxes[: count - 1]:
        # A context, in which NumPy keeps its errstate, runs in one thread at a time.
        mailbox.put(partial(copy_context().run, take_parts))
    take_parts()
    job.wait()
    if job.errors:
        raise job.errors[0]


class _Job:
    """The parts of an operation. Whoever is awake takes the next; who wakes up too late finds none."""

    def __init__(self, part: Callable[[int], object], count: int):
        self.errors: list[BaseException] = []
        self._part, self._left = part, deque(range(count))
        self._open, self._counting = count, threading.Lock()  # parts that have not ended
        self._all_ended = threading.Lock()
        self._all_ended.acquire()

    def work(self) -> None:
        """Take parts until none is left."""
        while (i := self._next()) is not None:
            ended = 1
            try:
                self._part(i)
            except BaseException as error:  # the one who waits shall have it, not this thread
                self.errors.append(error)
                while self._next() is not None:  # dropped
                    ended += 1
            self._end(ended)

    def wait(self) -> None:
        """Return when all parts have ended."""
        self._all_ended.acquire()

    def _next(self) -> int | None:
        try:
            return self._left.popleft()
        except IndexError:  # another thread may have been faster
            return None

    def _end(self, count: int) -> None:
        with self._counting:
            self._open -= count
            last = self._open == 0
        if last:
            self._all_ended.release()
