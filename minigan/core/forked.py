"""Processes that are forked for a while: each knows what its parent knew and has its own interpreter.

A helper answers questions, one after the other. Small things go to and fro through a pipe; arrays lie in
memory that the processes share, so that none is sent.

Where processes cannot be forked, in the middle of one that is itself a helper, and where Python has no
interpreter lock, so that threads do as well, `can_fork` says no.
"""

from __future__ import annotations

import mmap
import multiprocessing
import pickle
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count as count_from
from itertools import islice
from math import prod
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn

import numpy as np

from minigan.core.errors import WorkerError
from minigan.core.parallel import as_worker
from minigan.core.tensor import Array
from minigan.devices.choice import Wishes, wishes


def can_fork() -> bool:
    """Whether this process can have helpers, and they would be of use."""
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    return sys.platform == "linux" and has_lock and not multiprocessing.current_process().daemon


def shared_array(shape: Sequence[int], dtype: np.dtype | type) -> Array:
    """Zeros that this process shares with those it forks from now on, until the last view is gone."""
    dtype = np.dtype(dtype)
    memory = mmap.mmap(-1, max(prod(shape) * dtype.itemsize, 1))
    return np.ndarray(shape, dtype, memory)


class Helper:
    """A forked process, from its parent's side."""

    def __init__(self, name: str, answer: Callable[[Any], Any], others: Sequence[Helper] = ()):
        """name    what errors begin with
        answer  called in the process with each question; what it returns, or raises, is the answer
        others  the helpers that there are already
        """
        self._name, self._asked = name, 0
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        # Copies of the parent's ends would keep this process waiting after the parent has died.
        inherited = [*(other._connection for other in others), self._connection]
        arguments = (name, answer, theirs, inherited)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        with _without_interrupts(), warnings.catch_warnings():
            # Python warns of locks that other threads hold at the fork. The child computes with NumPy, on
            # one thread, and takes none of the parent's.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()

    def ask(self, question: Any) -> int:
        """Let it begin; the question's number, by which to fetch the answer."""
        self._asked += 1
        try:
            self._connection.send((self._asked, question))
        except OSError:
            self._has_ended()
        return self._asked

    def answer(self, number: int) -> Any:
        """Wait for an answer, and return it; what the process raised is returned, too.

        Questions are answered in their order; the answers to earlier ones are dropped.
        """
        try:
            while True:
                answered, reply = self._connection.recv()
                if answered == number:
                    return reply
        except (EOFError, OSError):
            self._has_ended()

    def _has_ended(self) -> NoReturn:
        self._process.join(1)
        raise WorkerError(
            f"{self._name}: a process that helps ended, with exit code {self._process.exitcode}; where "
            "memory is short, fewer processes may help"
        )

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.join()
        self._connection.close()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits for the end of the block; a process that is forked in it begins with it blocked.

    Else one that comes before the process has said that it ignores it would end the process.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    name: str,
    answer: Callable[[Any], Any],
    connection: Connection,
    inherited: Sequence[Connection],
) -> None:
    """What a helper does until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for other in inherited:
        other.close()
    while True:
        try:
            number, question = connection.recv()
        except (EOFError, OSError):  # the latter: it was killed with answers unread
            return
        try:
            reply = answer(question)
        except BaseException as error:
            reply = _that_can_be_sent(name, error)
        try:
            connection.send((number, reply))
        except OSError:
            return


def _that_can_be_sent(name: str, error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error's own class raises when it is taken apart and made again
        return WorkerError(f"{name}: {type(error).__name__}: {error}")
    return error


# ---------------------------------------------------------------------- a map over arrays


class ForkedMap:
    """A function of float32 arrays, computed for many of them by this process and its helpers."""

    def __init__(
        self, name: str, function: Callable[[Array], Array], room: tuple[int, int], helpers: int
    ):
        """name      what errors begin with
        function  from array to array; it may change nothing that matters elsewhere
        room      how many elements an array has at most, before and after
        helpers   how many processes shall help; they live until `close`
        """
        self._function = function
        self._rooms = [
            [_Room(*(shared_array((size,), np.float32) for size in room)) for _ in range(_EACH)]
            for _ in range(helpers)
        ]
        self._helpers: list[Helper] = []
        for rooms in self._rooms:
            self._helpers.append(Helper(name, partial(self._compute, rooms), self._helpers))

    def _compute(self, rooms: Sequence[_Room], question: _Question) -> tuple[int, ...]:
        """What a helper does: from one half of a room to the other; the shape of the result returns."""
        room = rooms[question.room]
        with as_worker(question.wishes):
            result = self._function(_part(room.before, question.shape))
        _part(room.after, result.shape)[...] = result
        return result.shape

    def __call__(self, arrays: Iterable[Array]) -> Iterator[Array]:
        """The function's results, in order; each is good until the next is asked for.

        An error is raised in its turn. For one thread at a time.
        """
        asked, source = wishes(), enumerate(arrays)
        count = len(self._helpers) + 1
        begun: deque[tuple[int, Array | int]] = (
            deque()
        )  # whose turn it is; for a helper, the number

        def begin_another() -> None:
            for i, array in islice(source, 1):
                whose, room = i % count, i // count % _EACH
                if whose:
                    _part(self._rooms[whose - 1][room].before, array.shape)[...] = array
                    question = _Question(room, array.shape, asked)
                    begun.append((whose, self._helpers[whose - 1].ask(question)))
                else:
                    begun.append((whose, array))

        for _ in range(count * _EACH):
            begin_another()
        for i in count_from(0):
            if not begun:
                return
            whose, what = begun.popleft()
            if isinstance(what, int):
                shape = self._helpers[whose - 1].answer(what)
                if isinstance(shape, BaseException):
                    raise shape
                yield _part(self._rooms[whose - 1][i // count % _EACH].after, shape)
            else:
                with as_worker(asked):
                    result = self._function(what)
                yield result
            begin_another()

    def close(self) -> None:
        """End the helpers."""
        for helper in self._helpers:
            helper.close()


_EACH = 2  # rooms of a helper: so that it has another array to go on with when it has ended one


class _Room(NamedTuple):
    """Memory that a helper shares with its parent."""

    before: Array
    after: Array


class _Question(NamedTuple):
    """What a helper gets."""

    room: int
    shape: tuple[int, ...]
    wishes: Wishes


def _part(memory: Array, shape: tuple[int, ...]) -> Array:
    """The beginning of a flat array, as one of this shape."""
    return memory[: prod(shape)].reshape(shape)
