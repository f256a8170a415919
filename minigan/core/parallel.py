"""A loss over the shards of a batch, on threads; gradients summed in a fixed order.

NumPy and BLAS release the interpreter lock while they compute, so several shards of a batch can go
forward and backward at the same time, each with BLAS held at one thread. The result depends on the
number of shards (sums are taken in another order), never on the number of threads or on their timing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

from minigan.core.engine import grad
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Array, Tensor, enable_grad


@contextmanager
def workers(count: int | None = None) -> Iterator[Workers]:
    """A scope with `count` threads (default: the processors at hand) and BLAS at one thread in each.

    On leaving, BLAS has as many threads as before; what the user's own NumPy code did outside is
    never changed.
    """
    count = count or _processors()
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(count) as pool:
        yield Workers(pool, count)


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

    def map(self, function: Callable[..., object], *items: Sequence[object]) -> list:
        """function(*one of each) for all of them, at the same time; results in order."""
        return list(self._pool.map(function, *items))

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
        shards      how many parts (default: the threads, but no more than samples)

        Returns the mean over the batch of what `loss` reported, with the loss itself as "loss".
        Layers that mix samples, such as batch norm in training, see one shard at a time.
        """
        parts = _split(batch, shards or self.count)
        sizes = [len(part[0]) for part in parts]

        def one(part: Sequence[Array]) -> tuple[dict[str, float], list[Array]]:
            with enable_grad():
                value, report = loss(*part)
                found = grad(value, parameters)
            return {"loss": float(value), **report}, [g._array for g in found]

        results = self.map(one, parts) if len(parts) > 1 else [one(parts[0])]
        weights = [np.float32(size / sum(sizes)) for size in sizes]
        for i, parameter in enumerate(parameters):
            parameter.grad = Tensor(_weighted_sum([g[i] for _, g in results], weights))
        return {
            name: float(
                sum(
                    float(w) * report[name] for w, (report, _) in zip(weights, results, strict=True)
                )
            )
            for name in results[0][0]
        }


def _split(batch: Sequence[Array], shards: int) -> list[list[Array]]:
    """Consecutive parts of equal size, the first ones larger by one where it does not divide."""
    if not batch:
        raise ArgumentError("gradients: the batch is empty; it needs at least one array")
    count = len(batch[0])
    if any(len(array) != count for array in batch) or count == 0:
        sizes = [len(array) for array in batch]
        raise ShapeError(
            f"gradients: the arrays of the batch hold {sizes} samples; they need equally many"
        )
    ends = np.cumsum([len(part) for part in np.array_split(range(count), min(shards, count))])
    starts = [0, *ends[:-1]]
    return [[array[a:b] for array in batch] for a, b in zip(starts, ends, strict=True)]


def _weighted_sum(gradients: Sequence[Array], weights: Sequence[np.float32]) -> Array:
    """w_0 g_0 + w_1 g_1 + ..., always from left to right."""
    total = gradients[0] * weights[0]
    for gradient, weight in zip(gradients[1:], weights[1:], strict=True):
        total += gradient * weight
    return total
