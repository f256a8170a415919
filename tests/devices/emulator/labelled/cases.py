"""How the labelled kernels are launched, and what each planted fault should be found as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent

# The arguments, and what those of these numbers are to be afterwards: an array, or a test of it.
Launch = tuple[list[Any], dict[int, Any]]


@dataclass(frozen=True)
class Case:
    """A kernel that is correct, unless one of the macros plants its fault.

    launch  makes the arguments and what should become of them
    faults  macros, each with the kinds of finding that would do, separated by spaces
    """

    file: str
    kernel: str
    grid: Sequence[int]
    block: Sequence[int]
    launch: Callable[[np.random.Generator], Launch]
    faults: Mapping[str, str] = field(default_factory=dict)
    shared_mem: int = 0
    template: bool = False

    @property
    def path(self) -> Path:
        """The source."""
        return FOLDER / self.file

    def marked(self, macro: str) -> set[int]:
        """The numbers of the source's lines that bear the comment `// fault: ... macro ...`."""
        lines = enumerate(self.path.read_text().splitlines(), 1)
        return {n for n, line in lines if macro in line.partition("// fault:")[2].split()}


def table(cases: list[Case]) -> Callable[..., Callable]:
    """A decorator that adds to `cases` the launch of the kernel that the function is named after."""

    def case(
        file: str,
        grid: Sequence[int],
        block: Sequence[int],
        faults: Mapping[str, str] | None = None,
        kernel: str = "",
        shared_mem: int = 0,
    ) -> Callable:
        def add(launch: Callable[[np.random.Generator], Launch]) -> Callable:
            name, template = kernel or launch.__name__, bool(kernel)
            cases.append(Case(file, name, grid, block, launch, faults or {}, shared_mem, template))
            return launch

        return add

    return case


def zeros(*shape: int, dtype: str = "i4") -> np.ndarray:
    """What a kernel is to fill."""
    return np.zeros(shape, dtype)


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Normally distributed."""
    return rng.standard_normal(shape).astype("f4")


def integers(rng: np.random.Generator, low: int, high: int, *shape: int) -> np.ndarray:
    """From low up to, but without, high."""
    return rng.integers(low, high, shape, dtype="i4")


def in_any_order(expected: np.ndarray) -> Callable[[np.ndarray], bool]:
    """A test of a list that may be in any order."""
    return lambda got: np.array_equal(np.sort(got.ravel()), np.sort(expected.ravel()))
