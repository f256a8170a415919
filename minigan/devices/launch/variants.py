"""Operations for which there are several kernels: the variants there are, and which of them is taken.

The choice depends on the shapes alone, so that the same program gives the same bits. `use_kernels` and
`tune_kernels` overrule it, and `choose` tells what would be taken, and why the others would not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minigan.core.errors import ShapeError
from minigan.devices.capture import is_capturing
from minigan.devices.choice import Choice, asked_for, enter, record
from minigan.devices.launch.kernel import Device, Kernel, launch
from minigan.devices.launch.tuning import Tuning, active

Sizes = tuple[int, ...]


def _never(problem: Any) -> str:
    return ""


@dataclass(frozen=True)
class Variant:
    """One way of computing an operation; its host module describes a call by a problem.

    name       such as "v3_registers"
    kernel     what is launched; where there are several launches, the one that does most
    grid       of a problem
    block      threads; of a problem, where it is not always the same
    cannot     why the variant cannot do a problem; an empty text where it can
    unwise     why another should do it, though this one could: it is taken only where asked for
    tolerance  how its results compare: "sum" (rounding that grows with the length of a sum) or "tf32"
               (operands rounded to 10 bits of mantissa)
    capability the least compute capability of a GPU that runs it, as in 80
    shared     bytes of dynamic shared memory
    macros     further macros to compile it with, of a problem
    parts      into how many parts it divides a problem's sums, which a second pass then adds up
    host       how it is launched
    """

    name: str
    kernel: Kernel
    grid: Callable[[Any], Sizes]
    block: Sizes | Callable[[Any], Sizes]
    cannot: Callable[[Any], str] = _never
    unwise: Callable[[Any], str] = _never
    tolerance: str = "sum"
    capability: int = 75
    shared: int = 0
    macros: Callable[[Any], Mapping[str, str]] = lambda problem: {}
    parts: Callable[[Any], int] = lambda problem: 1
    host: Callable[[Variant, Device, Any, np.dtype, Sequence[Any]], None] | None = None

    def run(self, device: Device, problem: Any, dtype: np.dtype, args: Sequence[Any]) -> None:
        """Launch it for this problem."""
        if self.host is None:
            self.launch_once(device, problem, dtype, args)
        else:
            self.host(self, device, problem, dtype, args)

    def launch_once(
        self, device: Device, problem: Any, dtype: np.dtype, args: Sequence[Any]
    ) -> None:
        """Launch its kernel once."""
        grid, macros = self.grid(problem), self.macros(problem)
        block = self.block(problem) if callable(self.block) else self.block
        launch(device, self.kernel, dtype, grid, args, block, self.shared, macros)

    def why_not(self, problem: Any, capability: int, dtype: np.dtype) -> str:
        """Why it cannot do this problem there; an empty text where it can."""
        if dtype.name not in self.kernel.types:
            return f"it computes in {', '.join(self.kernel.types)}, not in {dtype.name}"
        if capability < self.capability:
            return f"it needs compute capability {self.capability}, and the GPU has {capability}"
        return self.cannot(problem)


# ---------------------------------------------------------------------- why a variant would be unwise

# Of an H100: a fixed number, so that a program takes the same kernels everywhere.
_MULTIPROCESSORS = 132


def mostly_empty(m: int, n: int) -> str:
    """For tiles of 64 x 64."""
    return "its tiles would be mostly empty" if m < 8 or n < 8 or m * n < 32 * 32 else ""


def too_few(m: int, n: int, stack: int) -> str:
    """For tiles of 128 x 128."""
    tiles = -(-m // 128) * -(-n // 128) * stack
    if m <= 64 or n <= 64:
        return "its tiles would be half empty"
    return (
        f"its {tiles} tiles would keep few multiprocessors busy" if tiles < _MULTIPROCESSORS else ""
    )


def rounds(problem: Any) -> str:
    """For tensor cores."""
    return "it rounds to TF32, which is for the user to decide"


# ---------------------------------------------------------------------- the choice


REGISTRY: dict[str, Sequence[Variant]] = {}  # by operation, in order of preference


def register(operation: str, *variants: Variant) -> None:
    """Enter the variants of an operation, those to be preferred first."""
    REGISTRY[operation] = variants
    enter("launch", operation, [v.name for v in variants])


def choose(
    operation: str,
    problem: Any,
    device: Device,
    dtype: np.dtype,
    attempt: Callable[[Variant], None] | None = None,
) -> Choice[Variant]:
    """The variant to take: the one asked for, or the first that can and is not unwise.

    Inside `tune_kernels` it is the fastest, by `attempt`, which runs a variant. Raises ShapeError where
    there is none.
    """
    forced = asked_for("launch", operation)
    choice = _by_shape(operation, problem, forced, device.capability, dtype)
    tuning = active()
    # (A device without a description is one that only rehearses: mg.which_kernel.)
    measurable = device.description if tuning is not None and not is_capturing() else ""
    if tuning is not None and attempt is not None and forced is None and measurable:
        choice = _measured(tuning, choice, problem, device, dtype, attempt)
    record(choice)
    return choice


@lru_cache(maxsize=4096)
def _by_shape(
    operation: str, problem: Any, forced: str | None, capability: int, dtype: np.dtype
) -> Choice[Variant]:
    """The variant asked for, or the first that can and is not unwise."""
    variants = REGISTRY[operation]
    if forced is None:
        reasons = {
            v.name: v.why_not(problem, capability, dtype) or v.unwise(problem) for v in variants
        }
    else:
        reasons = {v.name: f"{forced} is asked for" for v in variants if v.name != forced}
        asked = next(v for v in variants if v.name == forced)
        reasons[forced] = asked.why_not(problem, capability, dtype)
    taken = next((v for v in variants if not reasons[v.name]), None)
    if taken is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ShapeError(f"{operation}: no kernel can compute {problem} ({why})")
    others = {n: r or f"{taken.name} is preferred" for n, r in reasons.items() if n != taken.name}
    return Choice(operation, taken, others)


def _measured(
    tuning: Tuning,
    choice: Choice[Variant],
    problem: Any,
    device: Device,
    dtype: np.dtype,
    attempt: Callable[[Variant], None],
) -> Choice[Variant]:
    """The fastest of the variants that can, and that round as the one which would be chosen."""
    able = [
        v
        for v in REGISTRY[choice.operation]
        if v.tolerance == choice.taken.tolerance
        and not v.why_not(problem, device.capability, dtype)
    ]
    key = f"{device.description}: {choice.operation} {problem} {dtype.name}"
    timed = {v.name: partial(device.seconds, partial(attempt, v)) for v in able}
    best = tuning.best(key, timed)
    taken = next(v for v in able if v.name == best)
    others = {
        **choice.others,
        **{v.name: f"{best} was measured to be faster" for v in able if v is not taken},
    }
    others.pop(best, None)
    return Choice(choice.operation, taken, others)
