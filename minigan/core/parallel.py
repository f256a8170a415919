"""A loss over the shards of a batch, on threads; gradients summed in a fixed order.

NumPy and BLAS release the interpreter lock while they compute, so several shards of a batch can go
forward and backward at the same time, each with BLAS held at one thread. The result depends on the
number of shards (sums are taken in another order), never on the number of threads or on their timing.

Outside of shards, the threads share out single operations (minigan.devices.cpu.threads).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from contextvars import copy_context
from functools import reduce
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.core.engine import grad
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import enable_grad, mode, set_grad_enabled
from minigan.core.tensor import Array, Tensor
from minigan.devices.choice import Wishes, following, wishes
from minigan.devices.cpu.threads import Team, helped_by

Loss = Callable[..., tuple[Tensor, dict[str, float]]]  # of one shard of every array of a batch


@contextmanager
def workers(count: int | None = None) -> Iterator[Workers]:
    """A scope with `count` threads (default: the processors at hand) and BLAS at one thread in each.

    On leaving, BLAS has as many threads as before; what the user's own NumPy code did outside is
    never changed.
    """
    count = _processors() if count is None else _at_least_1("workers: count", count)
    with (
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(count) as pool,
        closing(Team(count - 1)) as team,
        helped_by(team if count > 1 else None),
    ):
        yield Workers(pool, count)


def _at_least_1(what: str, number: int) -> int:
    if not isinstance(number, int | np.integer) or number < 1:
        raise ArgumentError(f"{what} is {number!r}; it needs a positive integer")
    return int(number)


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """Threads that compute shards; made by `workers`."""

    # Samples of a shard, at least. With fewer, what is done for the weights alone (to transform them)
    # weighs more than what it costs to share out every operation.
    least = 4

    def __init__(self, pool: ThreadPoolExecutor, count: int):
        self.pool = pool
        self.count = count

    def map(self, function: Callable[..., object], *items: Sequence[object]) -> list:
        """function(*one of each) for all of them, at the same time; results in order.

        The caller's gradient mode, np.errstate, `use_kernels` and `exact` hold in the threads too. When
        calls fail, the first of them in order raises here, once no call runs any more; those that had
        not begun are dropped.
        """
        calls = list(zip(*items, strict=True))
        if _here.is_worker:
            # Called from inside a call: waiting here for a free thread could be waiting for ever.
            return [function(*call) for call in calls]
        recording, asked = mode.recording, wishes()

        def run(*arguments: object) -> object:
            with as_worker(asked), set_grad_enabled(recording):
                return function(*arguments)

        # NumPy keeps errstate in a context variable; a context runs in one thread at a time.
        futures = [self.pool.submit(copy_context().run, run, *call) for call in calls]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # Only calls after the last one that has begun: an earlier one is already in some thread's
            # hands, begun or not, and may be the first in order to fail.
            for future in reversed(futures):
                if not future.cancel():
                    break
            wait(futures)
        return [future.result() for future in futures]

    def imap(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """function(item) for each of them, in order, as many at a time as there are threads."""
        source = iter(items)
        while group := list(islice(source, self.count)):
            yield from self.map(function, group)

    def gradients(
        self,
        loss: Loss,
        parameters: Sequence[Tensor],
        batch: Sequence[Array],
        shards: int | None = None,
    ) -> dict[str, float]:
        """Run `loss` on each shard of the batch and put the mean gradient into each `.grad`.

        loss        takes one shard of every array of `batch`; returns a scalar tensor, a mean over
                    the shard's samples, and named numbers to report, means as well
        parameters  leaves; their `.grad` is replaced
        batch       arrays with the samples along their first axis
        shards      how many parts, but no more than samples (default: one for each thread; a single
                    one, whose operations are shared out instead, where a shard would have less
                    than 4 samples)

        Returns the mean over the batch of what `loss` reported, with the loss itself as "loss".
        Overflow and the like raise no warning; infinity or NaN shows in the results.
        Layers that mix samples, such as batch norm in training, see one shard at a time; of their
        running statistics only the first shard's count. Dropout draws for each shard by itself. So
        the same bits come again, whichever thread is first.
        """
        if shards is not None:
            shards = _at_least_1("gradients: shards", shards)
        parts = _split(batch, shards or self.count, least=1 if shards else self.least)
        results = self.compute(loss, parameters, parts)
        for i, parameter in enumerate(parameters):
            total = _sum([gradients[i] for _, gradients in results])
            parameter.grad = Tensor(total, None, None, parameter.device)
        return {
            name: sum(p.share * r.report[name] for p, r in zip(parts, results, strict=True))
            for name in results[0].report
        }

    def compute(
        self, loss: Loss, parameters: Sequence[Tensor], parts: Sequence[Part]
    ) -> list[Result]:
        """What `loss` gives on each part, in order."""
        if len(parts) == 1:  # here, where the threads can share out its operations
            return [shard_result(loss, parameters, parts[0])]
        return self.map(lambda part: shard_result(loss, parameters, part), parts)


class Part(NamedTuple):
    """A shard of a batch."""

    shard: int  # its number
    share: float  # of the batch's samples
    arrays: list[Array]


class Result(NamedTuple):
    """What a loss gave on a part: what it reported, and its gradients times the part's share."""

    report: dict[str, float]
    gradients: list[Array]


def shard_result(
    loss: Loss, parameters: Sequence[Tensor], part: Part, into: Sequence[Array] | None = None
) -> Result:
    """Run the loss on a part, forward and backward; the gradients go `into` arrays that are given."""
    # Overflow shows in the numbers that are returned; threads would warn many times over.
    with _computing(part.shard), enable_grad(), np.errstate(all="ignore"):
        value, report = _as_pair(loss(*part.arrays))
        found = [g._array for g in grad(value, parameters)]
        if part.share < 1:  # a single part may be on any device: nothing is computed
            rooms = into or [np.empty_like(g) for g in found]
            found = [np.multiply(g, part.share, out=o) for g, o in zip(found, rooms, strict=True)]
    numbers = {name: float(number) for name, number in report.items()}
    return Result({**numbers, "loss": float(value)}, found)


class _Here(threading.local):
    """Of this thread."""

    is_worker = False


_here = _Here()


@contextmanager
def as_worker(asked: Wishes) -> Iterator[None]:
    """Compute here for another thread, or process, which asked for this; without help from others."""
    before, _here.is_worker = _here.is_worker, True
    try:
        with following(asked), helped_by(None):
            yield
    finally:
        _here.is_worker = before


@contextmanager
def _computing(shard: int) -> Iterator[None]:
    """Tell whoever draws or counts on this thread which shard it is for."""
    before, mode.shard = mode.shard, shard
    try:
        yield
    finally:
        mode.shard = before


def _as_pair(result: object) -> tuple[Tensor, dict[str, float]]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentError(
            f"gradients: the loss returned a {type(result).__name__}; it needs to return a scalar "
            "tensor and a dict of numbers to report"
        )
    return result


def _split(batch: Sequence[Array], shards: int, least: int) -> list[Part]:
    """Consecutive parts of equal size, the first ones larger by one where it does not divide.

    A single part, if otherwise some had fewer than `least` samples.
    """
    if not batch:
        raise ArgumentError("gradients: the batch is empty; it needs at least one array")
    shapes = [np.shape(array) for array in batch]
    count = shapes[0][0] if shapes[0] else 0
    if count == 0 or any(shape[:1] != (count,) for shape in shapes):
        described = ", ".join(map(str, shapes))
        raise ShapeError(
            f"gradients: the arrays of the batch have the shapes {described}; they need equally "
            "many samples along the first axis, at least one"
        )
    shards = min(shards, count) if count >= shards * least or least == 1 else 1
    ends = [0, *np.cumsum([len(part) for part in np.array_split(range(count), shards)])]
    return [
        Part(i, float(b - a) / count, [array[a:b] for array in batch])
        for i, (a, b) in enumerate(pairwise(ends))
    ]


def _sum(gradients: Sequence[Array]) -> Array:
    """Always from left to right; the first array takes up the sum."""
    with np.errstate(all="ignore"):
        return reduce(lambda total, gradient: np.add(total, gradient, out=total), gradients)
