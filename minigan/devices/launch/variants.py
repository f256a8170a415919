"""Operations that can be computed in several ways: the variants there are, and which of them is taken.

The choice depends on the shapes alone, so that the same program gives the same bits. `use_kernels`
overrules it, and `choose` tells what would be taken, and why the others would not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from minigan.core.errors import ArgumentError, ShapeError
from minigan.devices.launch.kernel import Device, Kernel, launch

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Variant:
    """One way of computing an operation; its host module describes a call by a problem.

    name       such as "v3_registers"
    kernel     what is launched
    grid       of a problem
    block      threads
    refuses    why the variant cannot do a problem; an empty text where it can
    tolerance  how its results compare: "sum" (rounding that grows with the length of a sum) or "tf32"
               (operands rounded to 10 bits of mantissa)
    capability the least compute capability of a GPU that runs it, as in 80
    shared     bytes of dynamic shared memory
    macros     further macros to compile it with
    """

    name: str
    kernel: Kernel
    grid: Callable[[Any], Sizes]
    block: Sizes
    refuses: Callable[[Any], str] = lambda problem: ""
    tolerance: str = "sum"
    capability: int = 75
    shared: int = 0
    macros: Mapping[str, str] = field(default_factory=dict)

    def run(self, device: Device, problem: Any, dtype: Any, args: Sequence[Any]) -> None:
        """Launch it for this problem."""
        grid = self.grid(problem)
        launch(device, self.kernel, dtype, grid, args, self.block, self.shared, self.macros)


@dataclass(frozen=True)
class Choice:
    """Which variant is taken for a problem, and why each of the others is not."""

    operation: str
    taken: Variant
    others: Mapping[str, str]


class _Forced(threading.local):
    """The variants that this thread has asked for, by operation."""

    names: Mapping[str, str] = {}


_forced = _Forced()
REGISTRY: dict[str, Sequence[Variant]] = {}  # by operation, in order of preference


def register(operation: str, *variants: Variant) -> None:
    """Enter the variants of an operation, those to be preferred first."""
    REGISTRY[operation] = variants


@contextmanager
def use_kernels(**names: str) -> Iterator[None]:
    """Inside the block, take these variants, as in `use_kernels(conv2d="v1_naive")`.

    Raises ArgumentError for a name that does not exist; a call whose shape the variant cannot do raises
    ShapeError.
    """
    for operation, name in names.items():
        if operation not in REGISTRY:
            known = ", ".join(sorted(REGISTRY))
            raise ArgumentError(
                f"use_kernels: {operation} has no variants; those that have: {known}"
            )
        if name not in [v.name for v in REGISTRY[operation]]:
            known = ", ".join(v.name for v in REGISTRY[operation])
            raise ArgumentError(f"use_kernels: {operation} has no variant {name!r}; it has {known}")
    before, _forced.names = _forced.names, {**_forced.names, **names}
    try:
        yield
    finally:
        _forced.names = before


def choose(operation: str, problem: Any) -> Choice:
    """The variant to take: the one asked for, or the first that can do the problem.

    Raises ShapeError where there is none.
    """
    variants = REGISTRY[operation]
    forced = _forced.names.get(operation)
    reasons = {v.name: v.refuses(problem) for v in variants}
    if forced is not None:
        reasons = {n: r or f"{forced} is asked for" for n, r in reasons.items() if n != forced} | {
            forced: reasons[forced]
        }
    taken = next((v for v in variants if not reasons[v.name]), None)
    if taken is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ShapeError(f"{operation}: no kernel can compute {problem} ({why})")
    others = {n: r or f"{taken.name} is preferred" for n, r in reasons.items() if n != taken.name}
    return Choice(operation, taken, others)
