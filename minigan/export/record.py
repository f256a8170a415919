"""What a function does with its inputs: the operations that lead from them to its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minigan.core.graph import mode, no_grad
from minigan.core.op import Op
from minigan.core.tensor import Tensor


@dataclass(frozen=True)
class Call:
    """One operation that was run: its tensor arguments, its settings in their normal form, its result."""

    op: Op
    args: Sequence[Any]
    params: Mapping[str, Any]
    out: Tensor


def record(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[list[Call], Tensor]:
    """Run `function` on the inputs; the calls that made its result of them, and the result.

    A call that depends on no input is left out: its result is a constant to those that use it.
    """
    made: dict[int, Call] = {}  # by the identity of the result; the calls keep the tensors alive
    depends = set(map(id, inputs))

    def note(op: Op, args: Sequence[Any], params: Mapping[str, Any], out: Tensor) -> None:
        if not depends.isdisjoint(map(id, args)):
            depends.add(id(out))
            made[id(out)] = Call(op, args, params, out)

    before, mode.observer = mode.observer, note
    try:
        with no_grad():
            result = function(*inputs)
    finally:
        mode.observer = before
    return _leading_to(result, made), result


def _leading_to(result: Tensor, made: Mapping[int, Call]) -> list[Call]:
    """The calls whose results the final one needs, in the order they were made."""
    needed: set[int] = set()
    open_ends = [id(result)]
    while open_ends:
        found = open_ends.pop()
        if found in made and found not in needed:
            needed.add(found)
            open_ends.extend(map(id, made[found].args))
    return [call for found, call in made.items() if found in needed]
