"""Sharing out one operation's work over threads.

NumPy and BLAS release the interpreter lock while they compute, so that parts of an operation can run at
the same time. To hand a part to another thread and to hear of its end costs 50 to 100 microseconds, so
operations say how long they will take, roughly, and only those are divided that take a good deal longer.

How the work is divided depends on its sizes alone, never on the number of threads, and so do the bits of
the result.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass

from minigan.devices.choice import following, wishes

_WORTH = 3e-4  # seconds on one thread
FLOPS_PER_SECOND = 1.5e11  # of a convolution on one thread, for estimates


@dataclass(frozen=True)
class Team:
    """Threads that help the one which works for them: `helpers` of them, in a pool."""

    pool: ThreadPoolExecutor
    helpers: int


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
    left, asked = deque(range(count)), wishes()

    def take_parts() -> None:
        with helped_by(None), following(asked):
            while left:
                try:
                    i = left.popleft()
                except IndexError:  # another thread was faster
                    return
                part(i)

    # A context, in which NumPy keeps its errstate, runs in one thread at a time.
    futures = [
        team.pool.submit(copy_context().run, take_parts)
        for _ in range(min(team.helpers, count - 1))
    ]
    try:
        take_parts()
    except BaseException:
        left.clear()
        raise
    finally:
        wait(futures)
    for future in futures:
        future.result()
