"""The shards of a batch in processes, each with an interpreter of its own.

Threads share one interpreter and wait for it, some hundred times in a training step. Processes wait
once: they are forked with the networks and the losses that they will need, and from then on get shards
and give gradients.

    parent:  shard 0  ──► loss, backward ──► gradients ─┐
                                                        +──► optimiser, which writes the parameters
    helper:  shard 1  ──► loss, backward ──► gradients ─┘

Parameters, buffers and gradients lie in memory that all of them share, so that none of these is ever
sent. What the losses read besides is as it was at the fork, except for the state of random generators
and the modules' training mode, which come with each shard.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.core.forked import Helper, can_fork, shared_array
from minigan.core.parallel import Loss, Part, Result, Workers, as_worker, shard_result
from minigan.core.tensor import Array, Tensor
from minigan.devices.choice import Wishes, wishes
from minigan.nn import Module
from minigan.ops.random import Generator, default_generator


@contextmanager
def in_processes(
    workers: Workers, losses: Sequence[Loss], networks: Sequence[Module], shards: int | None = None
) -> Iterator[Workers]:
    """Workers whose `gradients` computes shards in processes, where that can be; else `workers`.

    workers   from `minigan.core.parallel.workers`; as many processes take part as it has threads
    losses    the functions that `gradients` will get; others are computed on threads
    networks  all whose parameters and buffers the losses read: these are moved into memory that
              processes share. Their values may change inside the block, their shapes may not
    shards    into how many the batches will be divided, for no more processes than that

    Besides the networks, the losses may read only what stays as it is inside the block, and what they
    change outside of tensors is lost, but for the first shard's part. The bits of the result are those
    that threads give.

    Processes take part on Linux, where they can be forked, when all networks are on the CPU. A Python
    without interpreter lock does not need them.
    """
    memory = _Memory(networks)
    count = min(workers.count, shards or workers.count)
    if count == 1 or not can_fork() or any(t.device != "cpu" for t in memory.tensors):
        yield workers
        return
    with closing(_Forked(workers, losses, memory, count - 1)) as forked:
        yield forked


# ---------------------------------------------------------------------- what is shared


T = TypeVar("T")
State = tuple[
    list[bool], list[Any]
]  # of modules: whether they train; of random generators: get_state()


class _Memory:
    """The tensors of some networks, in memory that processes share once they are forked."""

    def __init__(self, networks: Sequence[Module]):
        self.modules = [module for network in networks for _, module in network.named_modules()]
        found = [tensor for network in networks for _, tensor in network.named_tensors()]
        self.tensors = _distinct(found)
        owned = [v for m in self.modules for v in vars(m).values() if isinstance(v, Generator)]
        self.generators = _distinct([default_generator, *owned])
        self._shared: list[Array] = []

    def share(self) -> None:
        """Move the tensors' values into shared memory."""
        self._shared = [_shared_like(tensor._array) for tensor in self.tensors]
        self.bring_back()

    def bring_back(self) -> None:
        """The values of tensors that have got other arrays since, into the shared ones."""
        for tensor, shared in zip(self.tensors, self._shared, strict=True):
            array = tensor._array
            if array is shared:
                continue
            if tensor.device != "cpu" or (array.shape, array.dtype) != (shared.shape, shared.dtype):
                raise ArgumentError(
                    f"gradients: a tensor of shape {array.shape}, {array.dtype} on {tensor.device}, was "
                    f"of shape {shared.shape}, {shared.dtype} on cpu when the processes were forked; it "
                    "needs to stay so inside the block"
                )
            shared[...] = array
            tensor._array = shared

    def state(self) -> State:
        """What is not in tensors: training modes and the random generators."""
        return [m.training for m in self.modules], [g.get_state() for g in self.generators]

    def set_state(self, state: State) -> None:
        """Take over what `state` gave in another process."""
        for module, training in zip(self.modules, state[0], strict=True):
            module.training = training
        for generator, drawn in zip(self.generators, state[1], strict=True):
            generator.set_state(drawn)

    def has_drawn(self, shard: int, state: State) -> None:
        """Count what a shard has drawn in another process."""
        for generator, (_, theirs) in zip(self.generators, state[1], strict=True):
            key, drawn = generator.get_state()
            generator.set_state((key, {**drawn, **{s: n for s, n in theirs.items() if s == shard}}))


def _distinct(items: Sequence[T]) -> list[T]:
    """Each object once, in order."""
    return list({id(item): item for item in items}.values())


def _shared_like(array: Array) -> Array:
    """A shared array of the same shape and order in memory."""
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    shared = shared_array([array.shape[axis] for axis in order], array.dtype)
    return shared.transpose(np.argsort(order).astype(int))


# ---------------------------------------------------------------------- processes


class _Job(NamedTuple):
    """What a helper gets to compute one shard."""

    loss: int
    parameters: list[int]  # which of the memory's tensors
    part: Part
    wishes: Wishes
    state: State


def _computed(
    losses: Sequence[Loss], memory: _Memory, gradients: Sequence[Array], job: _Job
) -> tuple[dict[str, float], State]:
    """What a helper does: the gradients go into its memory; the report and the state after it return."""
    memory.set_state(job.state)
    parameters = [memory.tensors[i] for i in job.parameters]
    rooms = [gradients[i] for i in job.parameters]
    with as_worker(job.wishes):
        report = shard_result(losses[job.loss], parameters, job.part, rooms).report
    return report, memory.state()


class _Forked(Workers):
    """Workers with helpers: shard 0 is computed here, each of the others by a helper."""

    least = 1

    def __init__(self, workers: Workers, losses: Sequence[Loss], memory: _Memory, helpers: int):
        super().__init__(workers.pool, workers.count)
        self._losses, self._memory = list(losses), memory
        self._here = threading.Lock()  # one batch at a time
        memory.share()
        self._helpers: list[Helper] = []
        self._gradients: list[list[Array]] = []  # of each helper, for each of the memory's tensors
        for _ in range(helpers):
            gradients = [_shared_like(tensor._array) for tensor in memory.tensors]
            answer = partial(_computed, self._losses, memory, gradients)
            self._helpers.append(Helper("gradients", answer, self._helpers))
            self._gradients.append(gradients)

    def compute(
        self, loss: Loss, parameters: Sequence[Tensor], parts: Sequence[Part]
    ) -> list[Result]:
        """What `loss` gives on each part, in order."""
        known = {id(tensor): i for i, tensor in enumerate(self._memory.tensors)}
        possible = (
            1 < len(parts) <= len(self._helpers) + 1
            and loss in self._losses
            and all(id(parameter) in known for parameter in parameters)
        )
        if not possible or not self._here.acquire(blocking=False):
            return super().compute(loss, parameters, parts)
        try:
            self._memory.bring_back()
            return self._apart(self._losses.index(loss), [known[id(p)] for p in parameters], parts)
        finally:
            self._here.release()

    def _apart(self, loss: int, numbers: list[int], parts: Sequence[Part]) -> list[Result]:
        memory, asked, state = self._memory, wishes(), self._memory.state()
        busy = self._helpers[: len(parts) - 1]
        jobs = [_Job(loss, numbers, part, asked, state) for part in parts[1:]]
        tickets = [helper.ask(job) for helper, job in zip(busy, jobs, strict=True)]
        try:
            parameters = [memory.tensors[i] for i in numbers]
            with as_worker(asked):
                results = [shard_result(self._losses[loss], parameters, parts[0])]
        finally:  # also after an error, no helper may be at work any more
            replies = [h.answer(ticket) for h, ticket in zip(busy, tickets, strict=True)]
        for part, gradients, reply in zip(parts[1:], self._gradients, replies, strict=False):
            if isinstance(reply, BaseException):
                raise reply
            memory.has_drawn(part.shard, reply[1])
            results.append(Result(reply[0], [gradients[i] for i in numbers]))
        return results

    def close(self) -> None:
        """End the helpers."""
        for helper in self._helpers:
            helper.close()
