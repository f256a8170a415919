"""A loss over the shards of a batch, on threads; gradients summed in a fixed order.

NumPy and BLAS release the interpreter lock while they compute, so several shards of a batch can go
forward and backward at the same time, each with BLAS held at one thread. The result depends on the
number of shards (sums are taken in another order), never on the number of threads or on their timing.

Outside of shards, the threads share out single operations (minigan.devices.cpu.threads).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from contextvars import copy_context

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.core.engine import grad
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import enable_grad, mode, set_grad_enabled
from minigan.core.tensor import Array, Tensor
from minigan.devices.choice import following, wishes
from minigan.devices.cpu.threads import Team, helped_by

# Samples of a shard. With fewer, what it does for the weights alone (to turn them round, to transform
# them) weighs more than what it costs to share out every operation.
_LEAST = 4


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

    def __init__(self, pool: ThreadPoolExecutor, count: int):
        self._pool = pool
        self.count = count
        self._thread = threading.local()  # .is_ours in the pool's own threads

    def map(self, function: Callable[..., object], *items: Sequence[object]) -> list:
        """function(*one of each) for all of them, at the same time; results in order.

        The caller's gradient mode, np.errstate, `use_kernels` and `exact` hold in the threads too. When
        calls fail, the first of them in order raises here, once no call runs any more; those that had
        not begun are dropped.
        """
        calls = list(zip(*items, strict=True))
        if getattr(self._thread, "is_ours", False):
            # Called from inside a call: waiting here for a free thread could be waiting for ever.
            return [function(*call) for call in calls]
        recording, asked = mode.recording, wishes()

        def run(*arguments: object) -> object:
            self._thread.is_ours = True
            with set_grad_enabled(recording), following(asked):
                return function(*arguments)

        # NumPy keeps errstate in a context variable; a context runs in one thread at a time.
        futures = [self._pool.submit(copy_context().run, run, *call) for call in calls]
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

    def gradients(
        self,
        loss: Callable[..., tuple[Tensor, dict[str, float]]],
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
        parts = _split(batch, shards or self.count, least=1 if shards else _LEAST)
        sizes = [len(part[0]) for part in parts]

        def one(shard: int, part: Sequence[Array]) -> tuple[dict[str, float], list[Array]]:
            # Overflow shows in the numbers that are returned; threads would warn many times over.
            with _computing(shard), enable_grad(), np.errstate(all="ignore"):
                value, report = _as_pair(loss(*part))
                found = grad(value, parameters)
            return {**report, "loss": float(value)}, [g._array for g in found]

        shard_numbers = range(len(parts))
        results = self.map(one, shard_numbers, parts) if len(parts) > 1 else [one(0, parts[0])]
        weights = [size / sum(sizes) for size in sizes]
        for i, parameter in enumerate(parameters):
            if len(results) == 1:  # on any device: nothing is computed
                parameter.grad = Tensor(results[0][1][i], None, None, parameter.device)
                continue
            with np.errstate(all="ignore"):
                total = _weighted_sum([gradients[i] for _, gradients in results], weights)
            parameter.grad = Tensor(total, None, None, parameter.device)
        return {
            name: sum(
                w * float(report[name]) for w, (report, _) in zip(weights, results, strict=True)
            )
            for name in results[0][0]
        }


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


def _split(batch: Sequence[Array], shards: int, least: int) -> list[list[Array]]:
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
    ends = np.cumsum([len(part) for part in np.array_split(range(count), shards)])
    starts = [0, *ends[:-1]]
    return [[array[a:b] for array in batch] for a, b in zip(starts, ends, strict=True)]


def _weighted_sum(gradients: Sequence[Array], weights: Sequence[float]) -> Array:
    """w_0 g_0 + w_1 g_1 + ..., always from left to right."""
    total = np.zeros_like(gradients[0])
    for gradient, weight in zip(gradients, weights, strict=True):
        total += gradient * weight
    return total
