"""What a wrong call gets: one sentence on what the function takes, by position and by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

from minigan.core.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")

# What PyTorch's names for parameters are here: mostly NumPy's.
_OUR_NAMES = {
    "dim": ("axis", "axes"),
    "dims": ("axis", "axes"),
    "keepdim": ("keepdims",),
    "start_dim": ("start_axis",),
    "end_dim": ("end_axis",),
}


def refuse_misfit(
    name: str, signature: inspect.Signature, args: Sequence[Any], named: Iterable[str]
) -> None:
    """Raise ArgumentError unless a function of this signature can be called with these arguments."""
    parameters = signature.parameters.values()
    by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if by_position[:1] == ["self"]:  # a method; the tensor before its dot is not counted
        by_position, args = by_position[1:], args[1:]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(args) > len(by_position) and not any_number:
        raise ArgumentError(
            f"{name}: got {len(args)} argument{'s' * (len(args) > 1)} by position; it takes "
            f"{', '.join(by_position) or 'none'}"
            + (f", and {', '.join(by_name)} by name" if by_name else "")
        )
    free = [*by_position[len(args) :], *by_name]
    for given in named:
        if given not in free:
            ours = next((n for n in _OUR_NAMES.get(given, ()) if n in free), None)
            hint = f", which is {ours!r} here" if ours else ""
            known = ", ".join(free) or "none"
            raise ArgumentError(f"{name}: no parameter {given!r}{hint}; its parameters: {known}")
    for p in parameters:
        if p.name in free and p.name not in named and p.default is p.empty:
            kind = "parameter" if p.kind is p.KEYWORD_ONLY else "argument"
            raise ArgumentError(f"{name}: {kind} {p.name!r} is missing")


def says_what_it_takes(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that a call it does not take raises our error, not Python's TypeError.

    The arguments are looked at only once Python has refused them, so that good calls lose no time.
    """

    @functools.wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R:
        try:
            return function(*args, **named)
        except TypeError:
            refuse_misfit(function.__name__, inspect.signature(function), args, named)
            raise  # the call was good, so the error came from within

    return call
