"""The table of methods: every restorer on the same pairs, with the same rounding and borders.

Pairs are measured one after the other and need not be in memory together.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from os import PathLike
from typing import Any

from minigan.core.errors import CommandError
from minigan.core.tensor import Array
from minigan.deblur import classical, metrics
from minigan.deblur.blur import quantize
from minigan.deblur.metrics import Summary
from minigan.deblur.pairs import Pair
from minigan.deblur.tasks import INPUTS
from minigan.files import atomic_write


@dataclass(frozen=True)
class Method:
    """A restorer: takes the blurry picture and the true kernel, which only some may look at.

    Those that do are never called for a pair whose kernel is None.
    """

    name: str
    restore: Callable[[Array, Any], Array]
    knows_kernel: bool = False


@dataclass(frozen=True)
class Figures:
    """What one method reaches on one pair; as `Row` has them."""

    picture: str
    method: str
    knows_kernel: bool
    psnr: float
    ssim: float
    sharpness: float
    gmsd: float
    blurry_psnr: float

    @property
    def worse(self) -> bool:
        """Whether the picture was made worse than it was, by PSNR."""
        return self.psnr < self.blurry_psnr


@dataclass(frozen=True)
class Row:
    """One line of the table: what a method reaches over all pairs.

    psnr in dB and ssim, larger is better; sharpness ratio, nearest to 1 is best; gmsd, smaller is
    better. The share made worse is of PSNR, against the blurry picture.
    """

    name: str
    knows_kernel: bool
    psnr: Summary
    ssim: Summary
    sharpness: Summary
    gmsd: Summary


LEAST_SQUARES = "least-squares 9x9"


def classical_methods(
    least_squares: Callable[[Array], Array], task: str = "deblur"
) -> list[Method]:
    """The input itself and the honest baselines; whoever has the training pairs fits the filter."""
    return [
        Method(INPUTS[task], lambda blurry, kernel: blurry),
        Method("inverse filter", classical.inverse_filter, knows_kernel=True),
        Method("Wiener", classical.wiener, knows_kernel=True),
        Method("Richardson-Lucy", classical.richardson_lucy, knows_kernel=True),
        Method("unsharp mask", lambda blurry, kernel: classical.unsharp_mask(blurry)),
        Method(LEAST_SQUARES, lambda blurry, kernel: least_squares(blurry)),
    ]


def evaluate(methods: Sequence[Method], pairs: Iterable[Pair]) -> list[Row]:
    """Run every method on every pair and sum up; without pairs, no rows."""
    return table(list(measured(methods, pairs)))


def measured(
    methods: Sequence[Method],
    pairs: Iterable[Pair],
    failed: Callable[[Method, CommandError], None] | None = None,
) -> Iterator[Figures]:
    """Each method on each pair, in the pairs' order; results are rounded to 8 bits before.

    Methods that need the kernel are left out where nobody knows it. One whose command fails on a later
    picture than its first is left out from there on, where `failed` takes note of why; otherwise, and
    on its first, its error is raised: then nothing is lost yet.
    """
    begun: set[str] = set()
    for pair in pairs:
        before = metrics.psnr(pair.blurry, pair.sharp)
        for method in usable(methods, pair):
            try:
                restored = method.restore(pair.blurry, pair.kernel)
            except CommandError as error:
                if failed is None or method.name not in begun:
                    raise
                failed(method, error)
                methods = [m for m in methods if m is not method]
                continue
            begun.add(method.name)
            both = quantize(restored), pair.sharp
            yield Figures(
                pair.name,
                method.name,
                method.knows_kernel,
                metrics.psnr(*both),
                metrics.ssim(*both),
                metrics.sharpness_ratio(*both),
                metrics.gmsd(*both),
                before,
            )


def usable(methods: Sequence[Method], pair: Pair) -> list[Method]:
    """The methods that have what they need to restore this pair's picture."""
    return [method for method in methods if pair.kernel is not None or not method.knows_kernel]


def table(figures: Sequence[Figures]) -> list[Row]:
    """Sum up: a row for each method that was measured on all pictures, so that rows can be compared."""
    by_method: dict[str, list[Figures]] = {}
    for one in figures:
        by_method.setdefault(one.method, []).append(one)
    most = max((len(ones) for ones in by_method.values()), default=0)
    return [_row(ones) for ones in by_method.values() if len(ones) == most]


def _row(figures: Sequence[Figures]) -> Row:
    return Row(
        figures[0].method,
        figures[0].knows_kernel,
        metrics.summarise([f.psnr for f in figures], [f.blurry_psnr for f in figures]),
        metrics.summarise([f.ssim for f in figures]),
        metrics.summarise([f.sharpness for f in figures]),
        metrics.summarise([f.gmsd for f in figures]),
    )


def write_csv(path: str | PathLike[str], figures: Sequence[Figures]) -> None:
    """A line for each picture and method, whole or not at all; raises OutputPathError."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f.name for f in fields(Figures)] + ["made_worse"])
        writer.writerows([*astuple(one), one.worse] for one in figures)
