"""The graph behind the tensors: its nodes, and whether this thread adds to it."""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from minigan.core.errors import ArgumentError
from minigan.devices import Array

if TYPE_CHECKING:
    from minigan.core.op import Op
    from minigan.core.tensor import Tensor

Shape = tuple[int, ...]


class _Mode(threading.local):
    """What this thread does with the operations it runs; each thread starts with these values."""

    recording = True
    shard = 0  # which shard of a batch this thread computes (minigan.core.parallel)
    # called after each operation, with it, its arguments, its keyword parameters and its result
    observer: Callable[[Op, Sequence[Any], Mapping[str, Any], Tensor], None] | None = None
    # called as each backward pass begins, with what flows into which nodes, and with the walk from
    # there; the pass takes the walk that it returns
    follower: Callable[[Sequence[tuple[Node, Tensor]], Iterator[Any]], Iterator[Any]] | None = None


mode = _Mode()


class set_grad_enabled:  # noqa: N801 - reads as a function, like PyTorch's
    """Record operations inside the block, or do not; the mode belongs to the current thread.

    It decorates functions too.
    """

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self._before: list[bool] = []

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function):
            raise ArgumentError(
                f"no_grad: {function.__name__} is a generator, whose body runs after the call; "
                "it needs the block inside, and no yield within the block"
            )

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            # A block of its own for each call: threads that share one would restore each other's mode.
            with set_grad_enabled(self.enabled):
                return function(*args, **kwargs)

        return inside

    def __enter__(self) -> None:
        self._before.append(mode.recording)
        mode.recording = self.enabled

    def __exit__(self, *exception: object) -> None:
        mode.recording = self._before.pop()


def no_grad() -> set_grad_enabled:
    """A block (`with no_grad():`) or a function (`@no_grad()`) whose operations are not recorded."""
    return set_grad_enabled(False)


def enable_grad() -> set_grad_enabled:
    """A block or a function whose operations are recorded, also inside `no_grad()`."""
    return set_grad_enabled(True)


_creation = count()  # next() on it is one bytecode, so threads never draw the same number


class Node:
    """One application of an operation, or a leaf: what the chain rule needs to know of it.

    op       the operation; None for a leaf
    parents  one entry for each tensor argument: the node it came from, or None if it is a constant
    saved    what the operation's vjps asked for, by name; None once a backward pass has used it up
    params   the operation's keyword parameters
    order    creation number: a parent's is always smaller, so descending order is topological
    leaf     for a leaf, a weak reference to the Tensor that receives `.grad`
    """

    __slots__ = (
        "__weakref__",
        "device",
        "dtype",
        "leaf",
        "op",
        "order",
        "params",
        "parents",
        "saved",
        "shape",
    )

    def __init__(
        self,
        op: Op | None,
        parents: tuple[Node | None, ...],
        saved: dict[str, Any] | None,
        params: dict[str, Any],
        array: Array,
        device: str,
    ):
        self.op = op
        self.parents = parents
        self.saved = saved
        self.params = params
        self.shape: Shape = array.shape
        self.dtype = array.dtype
        self.device = device
        self.order = next(_creation)
        self.leaf: weakref.ref[Tensor] | None = None

    @property
    def name(self) -> str:
        """The operation's name, or "leaf"."""
        return self.op.name if self.op else "leaf"

    def __repr__(self) -> str:
        return f"Node({self.name}, shape={self.shape}, order={self.order})"
