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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import numpy as np

from minigan.core.errors import WorkerError
from minigan.core.parallel import Workers, as_worker
from minigan.core.tensor import Array
from minigan.devices.choice import wishes


def can_fork() -> bool:
    """Whether this process can have helpers, and they would be of use."""
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    return sys.platform == "linux" and has_lock and not multiprocessing.current_process().daemon


def shared_array(shape: Sequence[int], dtype: np.dtype | type) -> Array:
    """Zeros that this process shares with those it forks from now on, until the last view is gone."""
    dtype = np.dtype(dtype)
    memory = mmap.mmap(-1, max(int(np.prod(shape)) * dtype.itemsize, 1))
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
        with warnings.catch_warnings():
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
            "memory is short, fewer threads may help"
        )

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(
    name: str,
    answer: Callable[[Any], Any],
    connection: Connection,
    inherited: Sequence[Connection],
) -> None:
    """What a helper does until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    for other in inherited:
        other.close()
    while True:
        try:
            number, question = connection.recv()
        except EOFError:
            return
        try:
            reply = answer(question)
        except BaseException as error:
            reply = _that_can_be_sent(name, error)
        connection.send((number, reply))


def _that_can_be_sent(name: str, error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error's own class raises when it is taken apart and made again
        return WorkerError(f"{name}: {type(error).__name__}: {error}")
    return error


# ---------------------------------------------------------------------- a map over arrays


def map_arrays(
    name: str,
    function: Callable[[Any], Array],
    items: Sequence[Any],
    shape: Sequence[int],
    workers: Workers,
) -> Iterator[Array]:
    """function(item) for each item, in order, computed by as many processes as `workers` has threads.

    name      what errors begin with
    function  returns a float32 array of `shape`; it may change nothing that matters elsewhere
    workers   who compute where processes cannot be forked

    What is yielded is good until the next is asked for. An error of a call is raised in its turn. The
    helpers end with the iterator.
    """
    count = min(workers.count, len(items))
    if count < 2 or not can_fork():
        yield from workers.imap(function, items)
        return
    asked = wishes()
    ahead = 2 * count  # so far, each helper has another item to go on with when it has ended one
    rooms = shared_array((ahead, *shape), np.float32)

    def compute(i: int) -> None:
        with as_worker(asked):
            rooms[i % ahead] = function(items[i])

    with ExitStack() as scope:
        helpers: list[Helper] = []
        for _ in range(count - 1):
            helpers.append(scope.enter_context(closing(Helper(name, compute, helpers))))
        numbers: dict[int, int] = {}

        def hand_out(i: int) -> None:
            if i < len(items) and i % count:
                numbers[i] = helpers[i % count - 1].ask(i)

        for i in range(ahead):
            hand_out(i)
        for i in range(len(items)):
            if i % count == 0:
                compute(i)
            elif isinstance(reply := helpers[i % count - 1].answer(numbers.pop(i)), BaseException):
                raise reply
            yield rooms[i % ahead]
            hand_out(i + ahead)
