"""Operations that can be computed in several ways: which one was asked for, and which is taken.

The kernels' variants (launch/variants.py) and the algorithms of cpu/conv_choice.py enter their names.
The choice depends on shapes alone, so that the same program gives the same bits; `use_kernels` and
`exact` overrule it, for the block and for the threads that compute its shards.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from minigan.core.errors import ArgumentError


class Way(Protocol):
    """A variant or an algorithm."""

    @property
    def name(self) -> str: ...


W = TypeVar("W", bound=Way, covariant=True)


@dataclass(frozen=True)
class Choice(Generic[W]):
    """Which way is taken for a call, and why each of the others is not."""

    operation: str
    taken: W
    others: Mapping[str, str]


# ---------------------------------------------------------------------- what was asked for

_NAMES: dict[str, dict[str, tuple[str, ...]]] = {}  # by operation, then by who has them


@dataclass(frozen=True)
class Wishes:
    """What `use_kernels` and `exact` ask for."""

    names: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False


class _Here(threading.local):
    """Of this thread."""

    wishes = Wishes()
    choices: list[Choice] | None = None


_here = _Here()


def wishes() -> Wishes:
    """What is asked for on this thread."""
    return _here.wishes


@contextmanager
def following(new: Wishes) -> Iterator[None]:
    """Ask for this inside the block: how one thread takes over the wishes of another."""
    before, _here.wishes = _here.wishes, new
    try:
        yield
    finally:
        _here.wishes = before


def enter(owner: str, operation: str, names: Sequence[str]) -> None:
    """Let `use_kernels` know the ways that `owner` ("cpu" or "launch") has for an operation."""
    _NAMES.setdefault(operation, {})[owner] = tuple(names)


@contextmanager
def use_kernels(**names: str) -> Iterator[None]:
    """Inside the block, compute operations so, as in `use_kernels(conv2d="v1_naive")`.

    The names of kernels hold where kernels run, those of the CPU's algorithms ("direct", "winograd",
    "unfold") on the CPU. Raises ArgumentError for a name that does not exist; a call whose shape cannot
    be computed so raises ShapeError.
    """
    for operation, name in names.items():
        if operation not in _NAMES:
            known = ", ".join(sorted(_NAMES))
            raise ArgumentError(
                f"use_kernels: {operation} has no variants; those that have: {known}"
            )
        known = [known for owner in _NAMES[operation].values() for known in owner]
        if name not in known:
            raise ArgumentError(
                f"use_kernels: {operation} has no variant {name!r}; it has {', '.join(known)}"
            )
    with following(replace(wishes(), names={**wishes().names, **names})):
        yield


def asked_for(owner: str, operation: str) -> str | None:
    """The name that `use_kernels` gave, if it is one of the owner's."""
    name = wishes().names.get(operation)
    return name if name in _NAMES[operation][owner] else None


@contextmanager
def exact(wanted: bool = True) -> Iterator[None]:
    """Inside the block, no algorithm is taken that gives up accuracy for speed.

    On the CPU, that is Winograd's: some 3.5 times the rounding of a direct convolution in float32.
    """
    with following(replace(wishes(), exact=wanted)):
        yield


# ---------------------------------------------------------------------- what was taken


@contextmanager
def choices() -> Iterator[list[Choice]]:
    """A list that is filled with the choices of this thread inside the block."""
    before, _here.choices = _here.choices, []
    try:
        yield _here.choices
    finally:
        _here.choices = before


def record(choice: Choice) -> None:
    """Tell whoever watches this thread's choices."""
    if _here.choices is not None:
        _here.choices.append(choice)
