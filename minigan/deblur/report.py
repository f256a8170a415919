"""The report of a deblurring run: one HTML file with pictures, table, curves and settings.

The file needs nothing but itself: pictures and curves are part of it, it asks no server for
anything, and it can be mailed, archived and printed. Words and layout stand in `report.html.j2`;
what is computed, above all the verdict, is computed here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal, NamedTuple

import numpy as np

from minigan.core.errors import ArgumentError, NonFiniteError, ShapeError, require
from minigan.core.tensor import Array
from minigan.deblur import metrics
from minigan.deblur.blur import quantize
from minigan.deblur.curves import curves
from minigan.deblur.evaluate import LEAST_SQUARES, Method, Row, usable
from minigan.deblur.pairs import Pair
from minigan.deblur.tasks import INPUTS
from minigan.files import atomic_write
from minigan.images.inline import png_address

# How wide pictures are shown, in pixels of the page; each picture gets the multiple of its own
# width that is nearest, so that all its pixels are enlarged alike.
SHOWN_WIDTH, SLIDER_WIDTH = 256, 640

MINUS, INFINITE, NONE = "\u2212", "\u221e", "\u2013"  # as print has them: the last one is a dash


@dataclass(frozen=True, eq=False)
class Example:
    """One picture in all its versions, to be compared by eye.

    `pictures` are float (3, H, W) in [0, 1], all of one size, in the order to show: the blurry one
    first, the sharp one last. `psnr` has dB against the sharp one for each label but that of the
    sharp one itself. `kernel` is what blurred it, (rows, columns), or None where nobody knows.
    """

    name: str
    pictures: dict[str, Array]
    psnr: dict[str, float]
    kernel: Array | None


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report shows.

    `history` holds a dict for each log line: "step", the losses by name, and at some steps
    "val_psnr" and "val_ssim". `settings` may be nested. `command` repeats the run. `facts` are
    shown as they are, under the verdict. `reference` is the restorer that the report is about, by
    its name in `rows` and its label in every example.

    `inputs` says where the restorers' inputs come from: "blurred" by a program, "found" in a data set, or
    made for "superres" or "sketch".

    `val_levels` says what the blurry input reaches on the pairs behind "val_psnr" and "val_ssim",
    by these names: a line in their curves. The table cannot, unless its pairs are the same ones.
    """

    title: str
    rows: Sequence[Row]
    examples: Sequence[Example]
    history: Sequence[dict[str, float]]
    settings: dict[str, Any]
    command: str
    facts: dict[str, str]
    reference: str
    val_levels: Mapping[str, float] = field(default_factory=dict)
    inputs: Literal["blurred", "found", "superres", "sketch"] = "blurred"


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write the report to `path`, one self-contained HTML file, whole or not at all.

    Raises ArgumentError when the table lacks the reference or the blurry input, or an example
    lacks the reference; ShapeError and NonFiniteError for pictures that cannot be shown;
    OutputPathError for a path that cannot be written; MissingExtraError without Jinja2, Pillow or
    matplotlib.
    """
    # A file name of bytes that are no text holds lone surrogates, which UTF-8 cannot encode.
    page = _rendered(report).encode("utf-8", "replace")
    with atomic_write(path) as temporary:
        temporary.write_bytes(page)


def example_of(pair: Pair, methods: Sequence[Method], side: int | None = None) -> Example:
    """A pair as every method that can restores it; with `side`, only the middle square is shown.

    The whole picture is restored, and the PSNR is that of what is shown.
    """
    results = {m.name: quantize(m.restore(pair.blurry, pair.kernel)) for m in usable(methods, pair)}
    pictures = {name: _middle(p, side) for name, p in (results | {"sharp": pair.sharp}).items()}
    psnr = {name: metrics.psnr(pictures[name], pictures["sharp"]) for name in results}
    return Example(pair.name, pictures, psnr, pair.kernel)


def _middle(picture: Array, side: int | None) -> Array:
    """The square of `side` pixels in the middle of a picture, or as much as there is."""
    height, width = picture.shape[1:]
    rows, columns = min(side or height, height), min(side or width, width)
    top, left = (height - rows) // 2, (width - columns) // 2
    return picture[:, top : top + rows, left : left + columns]


def verdict(rows: Sequence[Row], reference: str) -> str:
    """What the table says of the row `reference`, in one sentence, in its favour or not.

    Raises ArgumentError when there is no such row, or none of the blurry input.
    """
    ours, blurry = _row(rows, reference), _input(rows)
    parts = [f"Against {_INPUT_IN_WORDS[blurry.name]}, {reference} {_gains(ours, blurry)}"]
    linear = next((row for row in rows if row.name == LEAST_SQUARES), ours)
    if linear is not ours:
        parts.append(f"against the blind least-squares filter, it {_gains(ours, linear)}")
    if ours.psnr.worse is not None:
        count, worse = ours.psnr.count, round(ours.psnr.worse * ours.psnr.count)
        amount = {0: "none", count: "all"}.get(worse, str(worse))
        parts.append(f"by PSNR, it makes {amount} of {count} test pictures worse than they were")
    return "; ".join(parts) + "."


_INPUT_IN_WORDS = {
    "blurry input": "the blurry input",
    "bicubic": "bicubic interpolation",
    "the sketch": "the sketch",
}


def _input(rows: Sequence[Row]) -> Row:
    """The row of what the restorers got."""
    for row in rows:
        if row.name in INPUTS.values():
            return row
    return _row(rows, INPUTS["deblur"])


def _row(rows: Sequence[Row], name: str) -> Row:
    for row in rows:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in rows)
    raise ArgumentError(f"report: rows needs one named {name!r}, and has {names or 'none'}")


def _gains(ours: Row, other: Row) -> str:
    verb, psnr = _gain("PSNR", " dB", 2, ours.psnr.mean - other.psnr.mean)
    same_verb, ssim = _gain("SSIM", "", 3, ours.ssim.mean - other.ssim.mean)
    return f"{verb}{psnr} " + (f"and{ssim}" if same_verb == verb else f"but {same_verb}{ssim}")


def _gain(name: str, unit: str, digits: int, difference: float) -> tuple[str, str]:
    """A verb and what it governs: ("gains", " 1.50 dB in PSNR"). Equality is that of the digits."""
    if math.isnan(difference):  # of two infinite means, when each method met a picture exactly
        return "cannot be compared", f" in {name}"
    if round(abs(difference), digits) == 0:
        return "is level", f" in {name}"
    verb = "gains" if difference > 0 else "loses"
    return verb, f" {_number(abs(difference), digits)}{unit} in {name}"


def _number(value: float, digits: int) -> str:
    """A figure as the page shows it: a true minus sign, none before a zero, and no letters."""
    text = f"{value:z.{digits}f}"
    return text.replace("-", MINUS).replace("inf", INFINITE).replace("nan", NONE)


def _rendered(report: Report) -> str:
    """The whole page. Autoescape makes text of whatever is in names, settings and facts."""
    jinja2 = require("jinja2", "deblur", "write a report")
    template = (resources.files("minigan.deblur") / "report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    told = {row.name for row in report.rows if row.knows_kernel}
    page = {
        "verdict": verdict(report.rows, report.reference),
        "columns": COLUMNS,
        "groups": _grouped_rows(report.rows),
        "examples": [_example_view(example, report.reference, told) for example in report.examples],
        "curves": curves(report.history, report.val_levels),
        "settings": list(_flattened(report.settings)),
        "count": report.rows[0].psnr.count,
    }
    return environment.from_string(template).render(report=report, **page)


def _flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings line by line: {"blur": {"sigma": 0.01}} gives ("blur.sigma", "0.01")."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


@dataclass(frozen=True)
class Column:
    """A column of the table: how it is read off a row, shown, and compared.

    `figure` gives None where a row has nothing to show; `distance` says how far a figure is from
    the best there can be, on any scale; `spread` is the smaller text below the figure.
    """

    title: str
    hint: str
    figure: Callable[[Row], float | None]
    shown: Callable[[float], str]
    distance: Callable[[float], float]
    spread: Callable[[Row], str]


class Cell(NamedTuple):
    """A figure in the table: its text, a smaller one below, and whether it is the best blind one."""

    figure: str
    spread: str
    best: bool


def _mean_column(
    title: str, hint: str, name: str, digits: int, distance: Callable[[float], float]
) -> Column:
    """The column of the mean and deviation of one metric, the attribute `name` of a Row."""
    return Column(
        title,
        hint,
        lambda row: getattr(row, name).mean,
        lambda mean: _number(mean, digits),
        distance,
        lambda row: f"± {_number(getattr(row, name).std, digits)}",
    )


COLUMNS = (
    _mean_column("PSNR", "dB, more is better", "psnr", 2, lambda mean: -mean),
    Column(
        "Made worse",
        "share of pictures",
        lambda row: (
            None if row.name in INPUTS.values() else row.psnr.worse
        ),  # no picture worsens itself
        lambda share: f"{_number(100 * share, 0)} %",
        lambda share: share,
        lambda row: f"{round((row.psnr.worse or 0) * row.psnr.count)} of {row.psnr.count}",
    ),
    _mean_column("SSIM", "more is better", "ssim", 3, lambda mean: -mean),
    _mean_column("Sharpness ratio", "1 is best", "sharpness", 2, lambda mean: abs(mean - 1)),
    _mean_column("GMSD", "less is better", "gmsd", 3, lambda mean: mean),
)


def _grouped_rows(rows: Sequence[Row]) -> list[tuple[bool, list[tuple[Row, list[Cell]]]]]:
    """(False, blind rows) and (True, rows that know the kernel), each row with its cells."""
    best = [_best(column, rows) for column in COLUMNS]
    groups = []
    for knows_kernel in (False, True):
        chosen = [row for row in rows if row.knows_kernel == knows_kernel]
        cells = [
            (row, [_cell(c, row, b) for c, b in zip(COLUMNS, best, strict=True)]) for row in chosen
        ]
        groups += [(knows_kernel, cells)] if cells else []
    return groups


def _best(column: Column, rows: Sequence[Row]) -> str:
    """The best figure that a blind row has in this column, as it is shown."""
    blind = [column.figure(row) for row in rows if not row.knows_kernel]
    figures = [figure for figure in blind if figure is not None and not math.isnan(figure)]
    return column.shown(min(figures, key=column.distance)) if figures else ""


def _cell(column: Column, row: Row, best: str) -> Cell:
    figure = column.figure(row)
    if figure is None:
        return Cell(NONE, "", False)
    text = column.shown(figure)
    # Compared as shown: of two rows that both say 28.31, it would be odd to praise one.
    return Cell(text, column.spread(row), not row.knows_kernel and text == best)


class Shot(NamedTuple):
    """One version of an example's picture, ready to be shown; `gain` is against the blurry one."""

    label: str
    uri: str
    figure: str
    gain: str
    told: bool


def _example_view(example: Example, reference: str, told: set[str]) -> dict[str, Any]:
    """What the template needs of an example, once its pictures are known to be comparable."""
    if reference not in example.pictures or len(example.pictures) < 3:
        raise ArgumentError(
            f"report: the example {example.name} needs a blurry picture, one labelled "
            f"{reference!r} and a sharp one, and has {', '.join(example.pictures) or 'none'}"
        )
    shots = list(_shots(example, told))
    _, height, width = next(iter(example.pictures.values())).shape
    return {
        "name": example.name,
        "shots": shots,
        "kernel": None if example.kernel is None else _kernel_uri(example.name, example.kernel),
        "kernel_size": ""
        if example.kernel is None
        else " x ".join(map(str, example.kernel.shape[::-1])),
        "size": _enlarged(width, height, SHOWN_WIDTH),
        "slider_width": _enlarged(width, height, SLIDER_WIDTH)[0],
    }


def _shots(example: Example, told: set[str]) -> Iterator[Shot]:
    first, *_, last = example.pictures
    for label, picture in example.pictures.items():
        _check_picture(example.name, label, picture, example.pictures[first].shape)
        psnr = example.psnr.get(label, math.nan)
        figure = "the original" if label == last else f"{_number(psnr, 2)} dB"
        gain = psnr - example.psnr.get(first, math.nan)
        signed = f"{'+' if gain >= 0 else ''}{_number(gain, 2)}"
        has_gain = label != first and math.isfinite(gain)
        yield Shot(label, _picture_uri(picture), figure, signed if has_gain else "", label in told)


def _check_picture(name: str, label: str, picture: Array, shape: tuple[int, ...]) -> None:
    if picture.ndim != 3 or picture.shape[0] != 3 or picture.shape != shape:
        raise ShapeError(
            f"report: the picture {label!r} of {name} has shape {picture.shape}, and needs "
            f"(3, H, W), the same for all; the first has {shape}"
        )
    if not np.isfinite(picture).all():
        raise NonFiniteError(f"report: the picture {label!r} of {name} holds NaN or infinity")


def _enlarged(width: int, height: int, wanted: int) -> tuple[int, int]:
    """The whole multiple of (width, height) whose width comes nearest to `wanted` pixels."""
    factor = max(1, round(wanted / width))
    return factor * width, factor * height


def _picture_uri(picture: Array) -> str:
    return png_address(np.moveaxis(np.rint(quantize(picture) * 255).astype(np.uint8), 0, -1))


def _kernel_uri(name: str, kernel: Array) -> str:
    """The kernel with its strongest pixel white: its weights sum to 1, which would all be black."""
    if kernel.ndim != 2 or kernel.size == 0 or not np.isfinite(kernel).all():
        raise ShapeError(
            f"report: the kernel of {name} has shape {kernel.shape}, and needs "
            "(rows, columns) of finite numbers"
        )
    scaled = np.clip(kernel, 0, None) / max(float(kernel.max()), 1e-12)
    return png_address(np.rint(255 * scaled).astype(np.uint8))
