"""The table of methods: every restorer on the same pairs, with the same rounding and borders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minigan.core.tensor import Array
from minigan.deblur import classical, metrics
from minigan.deblur.blur import quantize
from minigan.deblur.metrics import Summary
from minigan.deblur.pairs import Pair


@dataclass(frozen=True)
class Method:
    """A restorer: takes the blurry picture and the true kernel, which only some may look at."""

    name: str
    restore: Callable[[Array, Array], Array]
    knows_kernel: bool = False


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


BLURRY, LEAST_SQUARES = "blurry input", "least-squares 9x9"


def classical_methods(least_squares: Callable[[Array], Array]) -> list[Method]:
    """The honest baselines; the least-squares filter is fitted by whoever has the training pairs."""
    return [
        Method(BLURRY, lambda blurry, kernel: blurry),
        Method("inverse filter", classical.inverse_filter, knows_kernel=True),
        Method("Wiener", classical.wiener, knows_kernel=True),
        Method("Richardson-Lucy", classical.richardson_lucy, knows_kernel=True),
        Method("unsharp mask", lambda blurry, kernel: classical.unsharp_mask(blurry)),
        Method(LEAST_SQUARES, lambda blurry, kernel: least_squares(blurry)),
    ]


def evaluate(methods: Sequence[Method], pairs: Sequence[Pair]) -> list[Row]:
    """Run every method on every pair; all results are rounded to 8 bits before they are measured."""
    blurry_psnr = [metrics.psnr(p.blurry, p.sharp) for p in pairs]
    return [_row(method, pairs, blurry_psnr) for method in methods]


def _row(method: Method, pairs: Sequence[Pair], blurry_psnr: Sequence[float]) -> Row:
    results = [quantize(method.restore(p.blurry, p.kernel)) for p in pairs]
    both = [(result, p.sharp) for result, p in zip(results, pairs, strict=True)]
    return Row(
        method.name,
        method.knows_kernel,
        metrics.summarise([metrics.psnr(*pair) for pair in both], blurry_psnr),
        metrics.summarise([metrics.ssim(*pair) for pair in both]),
        metrics.summarise([metrics.sharpness_ratio(*pair) for pair in both]),
        metrics.summarise([metrics.gmsd(*pair) for pair in both]),
    )
