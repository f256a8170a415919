"""Batches drawn ahead by helper processes, while the trainer is busy with the last one.

    parent:   batch 7 ──► step ──────────► batch 8 ──► step ──────────►
    helper:   8 ─────► 9 ─────► waits      10 ─────► waits

A batch is a function of its number, so who draws it, and when, changes no bit.

When it pays: where a processor is idle. On a GPU, or with more processors than the training has
processes, drawing costs no time any more. Where all are busy, a helper takes from them what it saves,
and none is better.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from minigan.core.forked import Helper, can_fork, shared_array
from minigan.core.tensor import Array

_EACH = 2  # batches that a helper has room for: one that waits to be fetched, and one to go on with


Batch = TypeVar("Batch", bound=tuple[Array, ...], covariant=True)


class Batches(Protocol[Batch]):
    """Batches by number: tuples of arrays, of the same shapes and dtypes for all numbers."""

    def __getitem__(self, number: int, /) -> Batch: ...


@contextmanager
def drawn_ahead(batches: Batches[Batch], helpers: int) -> Iterator[Batches[Batch]]:
    """The same batches, drawn ahead by so many processes; `batches` themselves where there can be none.

    Numbers that follow on each other are drawn ahead; after any other, drawing begins anew there. What a
    helper raises is raised when that batch is asked for, and WorkerError when a helper has died. The
    processes are forked when the first batch is asked for, and end with the block.

    What `batches` keep in memory (decoded pictures) each helper keeps for itself, from the fork on.
    """
    if helpers < 1 or not can_fork():
        yield batches
        return
    with closing(_Ahead(batches, helpers)) as ahead:
        yield cast(Batches[Batch], ahead)


class _Begun(NamedTuple):
    """A batch that a helper was asked for."""

    number: int
    helper: int
    room: int
    ticket: int


class _Ahead:
    """Batches by number, a few of them on their way. For one thread at a time."""

    def __init__(self, batches: Batches[Any], helpers: int):
        self._batches, self._count = batches, helpers
        self._helpers: list[Helper] = []
        self._rooms: list[list[tuple[Array, ...]]] = []
        self._begun: deque[_Begun] = deque()
        self._asked = 0  # batches, ever: whose turn it is

    def __getitem__(self, number: int, /) -> tuple[Array, ...]:
        """Batch `number`, in arrays of its own."""
        if not self._helpers:
            return self._first(number)
        if not self._begun or self._begun[0].number != number:
            # Those on their way are not waited for: a helper answers in order, and what was asked for
            # later overwrites them in their rooms.
            self._begun.clear()
            self._ask(number)
        first = self._begun.popleft()
        reply = self._helpers[first.helper].answer(first.ticket)
        if isinstance(reply, BaseException):
            raise reply
        batch = tuple(array.copy() for array in self._rooms[first.helper][first.room])
        self._go_on_from(number + 1)
        return batch

    def _first(self, number: int) -> tuple[Array, ...]:
        """Draw here the batch by which the helpers' memory is measured; then fork them."""
        batch = self._batches[number]
        for _ in range(self._count):
            rooms = [tuple(shared_array(a.shape, a.dtype) for a in batch) for _ in range(_EACH)]
            answer = partial(_draw, self._batches, rooms)
            self._helpers.append(Helper("batches", answer, self._helpers))
            self._rooms.append(rooms)
        self._go_on_from(number + 1)
        return batch

    def _go_on_from(self, number: int) -> None:
        """Keep all rooms of all helpers in use; `number` comes next where nothing is on its way."""
        while len(self._begun) < self._count * _EACH:
            self._ask(self._begun[-1].number + 1 if self._begun else number)

    def _ask(self, number: int) -> None:
        helper, turn = self._asked % self._count, self._asked // self._count
        room = turn % _EACH
        ticket = self._helpers[helper].ask((number, room))
        self._begun.append(_Begun(number, helper, room, ticket))
        self._asked += 1

    def close(self) -> None:
        """End the helpers."""
        for helper in self._helpers:
            helper.close()


def _draw(
    batches: Batches[Any], rooms: Sequence[tuple[Array, ...]], question: tuple[int, int]
) -> None:
    """What a helper does: a batch into one of its rooms."""
    number, room = question
    for place, array in zip(rooms[room], batches[number], strict=True):
        np.copyto(place, array)
