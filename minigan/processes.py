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

import mmap
import multiprocessing
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from minigan.core.errors import ArgumentError, WorkerError
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
    if count == 1 or not _can_fork() or any(t.device != "cpu" for t in memory.tensors):
        yield workers
        return
    with closing(_Forked(workers, losses, memory, count - 1)) as forked:
        yield forked


def _can_fork() -> bool:
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    return sys.platform == "linux" and has_lock and not multiprocessing.current_process().daemon


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
    """An array of the same shape and order in memory; it is freed with the last view of it."""
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    memory = mmap.mmap(-1, max(array.nbytes, 1))
    shared = np.ndarray([array.shape[axis] for axis in order], array.dtype, memory)
    return shared.transpose(np.argsort(order).astype(int))


# ---------------------------------------------------------------------- processes


class _Job(NamedTuple):
    """What a helper gets to compute one shard."""

    loss: int
    parameters: list[int]  # which of the memory's tensors
    part: Part
    wishes: Wishes
    state: State


class _Helper:
    """A forked process, from the parent's side."""

    def __init__(self, losses: Sequence[Loss], memory: _Memory, inherited: Sequence[Connection]):
        self.gradients = [_shared_like(tensor._array) for tensor in memory.tensors]
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self._sent = 0
        # Copies of the parent's ends would keep this process waiting after the parent has died.
        arguments = (losses, memory, self.gradients, theirs, [*inherited, self.connection])
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        with warnings.catch_warnings():
            # Python warns of locks that other threads hold at the fork. The child computes with NumPy, on
            # one thread, and takes none of the parent's.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        theirs.close()

    def send(self, job: _Job) -> None:
        """Let it begin."""
        self._sent += 1
        try:
            self.connection.send((self._sent, job))
        except OSError:
            self._has_ended()

    def receive(self) -> tuple[dict[str, float], State] | BaseException:
        """What came of the last job: the report and the state after it, or the error."""
        try:
            while True:
                number, reply = self.connection.recv()
                if number == self._sent:  # earlier ones were given up, by Ctrl-C
                    return reply
        except (EOFError, OSError):
            self._has_ended()

    def _has_ended(self) -> NoReturn:
        self._process.join(1)
        raise WorkerError(
            f"gradients: a process that computes shards ended, with exit code {self._process.exitcode}; "
            "where memory is short, fewer threads may help"
        )

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(
    losses: Sequence[Loss],
    memory: _Memory,
    gradients: Sequence[Array],
    connection: Connection,
    inherited: Sequence[Connection],
) -> None:
    """What a helper does until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    for other in inherited:
        other.close()
    while True:
        try:
            number, job = connection.recv()
        except EOFError:
            return
        try:
            memory.set_state(job.state)
            parameters = [memory.tensors[i] for i in job.parameters]
            rooms = [gradients[i] for i in job.parameters]
            with as_worker(job.wishes):
                report = shard_result(losses[job.loss], parameters, job.part, rooms).report
            reply = report, memory.state()
        except BaseException as error:
            reply = _that_can_be_sent(error)
        connection.send((number, reply))


def _that_can_be_sent(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever the error's own class raises when it is taken apart and made again
        return WorkerError(f"gradients: {type(error).__name__}: {error}")
    return error


class _Forked(Workers):
    """Workers with helpers: shard 0 is computed here, each of the others by a helper."""

    least = 1

    def __init__(self, workers: Workers, losses: Sequence[Loss], memory: _Memory, helpers: int):
        super().__init__(workers.pool, workers.count)
        self._losses, self._memory = list(losses), memory
        self._here = threading.Lock()  # one batch at a time
        memory.share()
        self._helpers: list[_Helper] = []
        for _ in range(helpers):
            inherited = [helper.connection for helper in self._helpers]
            self._helpers.append(_Helper(self._losses, memory, inherited))

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
        for helper, part in zip(busy, parts[1:], strict=True):
            helper.send(_Job(loss, numbers, part, asked, state))
        try:
            parameters = [memory.tensors[i] for i in numbers]
            with as_worker(asked):
                results = [shard_result(self._losses[loss], parameters, parts[0])]
        finally:  # also after an error, no helper may be at work any more
            replies = [helper.receive() for helper in busy]
        for helper, part, reply in zip(busy, parts[1:], replies, strict=True):
            if isinstance(reply, BaseException):
                raise reply
            memory.has_drawn(part.shard, reply[1])
            results.append(Result(reply[0], [helper.gradients[i] for i in numbers]))
        return results

    def close(self) -> None:
        """End the helpers."""
        for helper in self._helpers:
            helper.close()
