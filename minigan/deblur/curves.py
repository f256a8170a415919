"""What a training run logged, as curves: SVG pictures that take their colours from the page.

Each name in the log gets a picture of its own, because a content loss of 0.03 and an adversarial
loss of 1.4 on one axis show neither.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from minigan.core.errors import ArgumentError, require

# In the order in which they are drawn; others follow by name.
LABELS = {
    "val_psnr": "PSNR on the validation pairs, dB",
    "val_ssim": "SSIM on the validation pairs",
    "content": "Distance from the sharp pictures",
    "adversarial": "Adversarial loss of the generator",
    "loss": "Loss of the generator, both together",
    "gradient": "Gradient norm of the generator",
    "critic": "Loss of the critic",
    "penalty": "Gradient penalty of the critic, unweighted",
    "critic_gradient": "Gradient norm of the critic",
    "real": "What the critic gives to sharp pictures",
    "fake": "What the critic gives to restored ones",
}

# Beyond so many points a curve of this size is a smear, and the file grows with each of them.
MOST_POINTS = 120
LOG_SCALE_FROM = 8  # times: a loss that falls so far would lie on the floor of a linear axis

# Matplotlib takes no CSS variables, so it draws in colours that stand for them: the page defines
# each once for light and once for dark. No other colour may occur in a curve.
INK, FAINT, OURS = "#010101", "#020202", "#030303"
_VARIABLES = {INK: "var(--muted)", FAINT: "var(--line)", OURS: "var(--ours)"}


@dataclass(frozen=True)
class Curve:
    """One curve: its name in the log, a title, what it shows in words, and an <svg> element.

    `svg` is "" where not one finite value was logged. It holds no text from outside, so it can
    stand in a page as it is; its ids begin with a prefix of its own.
    """

    name: str
    title: str
    caption: str
    svg: str


def curves(history: Sequence[Mapping[str, float]], levels: Mapping[str, float]) -> list[Curve]:
    """Draw everything that was logged, in the order of `LABELS`.

    `history` has one dict per log line, each with "step" and any other names; `levels` says, by
    name, what the blurry input reaches, drawn as a dashed line. Raises ArgumentError for a log
    line without a step, MissingExtraError without matplotlib.
    """
    for number, line in enumerate(history):
        if "step" not in line:
            raise ArgumentError(
                f"curves: every line of history needs 'step', and line {number} has only "
                f"{', '.join(line) or 'nothing'}"
            )
    names = dict.fromkeys(name for line in history for name in line if name != "step")
    known = list(LABELS)
    ordered = sorted(names, key=lambda n: (known.index(n) if n in LABELS else len(known), n))
    every_step = [line["step"] for line in history]
    return [
        _curve(
            name,
            [(line["step"], line[name]) for line in history if name in line],
            levels.get(name, math.nan),
            _Frame(f"curve{number}-", min(every_step), max(every_step)),
        )
        for number, name in enumerate(ordered)
    ]


class _Frame(NamedTuple):
    """What a curve needs to fit in with the others: a prefix for its ids, and their steps."""

    prefix: str
    first: float
    last: float


def _curve(name: str, points: Sequence[tuple[float, float]], level: float, frame: _Frame) -> Curve:
    title = LABELS.get(name, name)
    steps, values = np.array(points, np.float64).T
    finite = np.isfinite(values)
    if not finite.any():
        return Curve(name, title, f"None of {len(values)} values is finite.", "")
    kept = steps[finite], values[finite]
    logarithmic = not name.startswith("val_") and _falls_far(kept[1])
    caption = _caption(*kept, level, int((~finite).sum()), logarithmic)
    return Curve(name, title, caption, _drawn(*kept, level, logarithmic, frame))


def _falls_far(values: np.ndarray) -> bool:
    # The means, because one lucky batch near zero is no fall.
    means = _grouped(values, np.mean)
    return bool(values.min() > 0 and means.max() > LOG_SCALE_FROM * means.min())


def _caption(
    steps: np.ndarray, values: np.ndarray, level: float, left_out: int, logarithmic: bool
) -> str:
    """The curve in words, for those who cannot see it and for those who want the figures."""
    text = f"{values[-1]:.4g} at step {steps[-1]:,.0f}"
    if len(values) > 1:
        text = f"From {values[0]:.4g} at step {steps[0]:,.0f} to {text}"
    if math.isfinite(level):
        text += f"; the blurry input has {level:.4g}"
    text += "."
    if logarithmic:
        text += " Logarithmic scale."
    if len(values) > MOST_POINTS:
        text += f" Line: means of {_group_size(values)} log lines; shade: their lowest to highest."
    if left_out:
        text += f" Left out: {left_out} values that are not finite."
    return text


def _group_size(values: np.ndarray) -> int:
    return -(-len(values) // MOST_POINTS)


def _grouped(values: np.ndarray, fold: Any) -> np.ndarray:
    """`fold` (a function such as np.mean) of each group of neighbouring values."""
    size = _group_size(values)
    return np.array([fold(values[i : i + size]) for i in range(0, len(values), size)])


def _drawn(
    steps: np.ndarray, values: np.ndarray, level: float, logarithmic: bool, frame: _Frame
) -> str:
    """The curve as an <svg> element; the same values give the same characters."""
    style = require("matplotlib.style", "deblur", "draw the curves of a report")
    figures = require("matplotlib.figure", "deblur", "draw the curves of a report")
    settings = {"svg.fonttype": "none", "svg.hashsalt": "minigan", "font.size": 11}
    stream = io.BytesIO()
    # The settings of the user's own matplotlibrc are set aside: they may have other colours.
    with style.context(settings, after_reset=True):
        figure = figures.Figure(figsize=(5, 3), layout="constrained")
        axes = figure.add_subplot()
        _style_axes(axes, logarithmic)
        _plot(axes, steps, values, level)
        if frame.last > frame.first:
            margin = 0.02 * (frame.last - frame.first)
            axes.set_xlim(frame.first - margin, frame.last + margin)
        figure.savefig(stream, format="svg", transparent=True)
    return _inline(stream.getvalue(), frame.prefix)


def _plot(axes: Any, steps: np.ndarray, values: np.ndarray, level: float) -> None:
    middle, mean = _grouped(steps, np.mean), _grouped(values, np.mean)
    if len(mean) < len(values):
        lowest, highest = _grouped(values, np.min), _grouped(values, np.max)
        axes.fill_between(middle, lowest, highest, color=OURS, alpha=0.2, linewidth=0)
    marker = "o" if len(mean) <= 40 else None
    axes.plot(middle, mean, color=OURS, linewidth=1.6, marker=marker, markersize=3.5)
    if math.isfinite(level):
        axes.axhline(level, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate(
            "blurry input",
            (1, level),
            (0, -4 if mean[-1] >= level else 4),  # on the side where the curve does not end
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            horizontalalignment="right",
            verticalalignment="top" if mean[-1] >= level else "bottom",
            color=INK,
        )
        axes.margins(y=0.15)  # room for these two words, also where the line is the lowest thing


def _style_axes(axes: Any, logarithmic: bool) -> None:
    ticker = require("matplotlib.ticker", "deblur", "draw the curves of a report")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.tick_params(length=0, colors=INK)
    axes.grid(axis="y", color=FAINT, linewidth=1)
    axes.set_axisbelow(True)
    axes.set_xlabel("step", color=INK)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, steps=(1, 2, 5, 10), integer=True))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda step, _: f"{step:,.0f}"))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=6))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    else:
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5, steps=(1, 2, 5, 10)))


def _inline(svg: bytes, prefix: str) -> str:
    """An SVG file as an element of an HTML page: no names of namespaces, no style for all."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None  # line breaks and indentation, here and in the next line
        element.text = (element.text or "").strip() or None
        for key in list(element.attrib):
            value = element.attrib.pop(key)
            element.set(key.rpartition("}")[2], _localised(value, key, prefix))
    for attribute in ("width", "height", "version"):  # the page decides how large it is shown
        root.attrib.pop(attribute, None)
    return ElementTree.tostring(root, encoding="unicode")


def _localised(value: str, key: str, prefix: str) -> str:
    """An attribute with its ids made unique in the page, its colours and font the page's."""
    if key == "id":
        return prefix + value
    if key.endswith("href"):
        return f"#{prefix}{value[1:]}"
    if key == "style":
        value = re.sub(r"font-family:[^;]*;?", "", value)
        value = re.sub(r"#0[0-9a-f]{5}\b", lambda colour: _VARIABLES[colour[0]], value)
    return value.replace("url(#", f"url(#{prefix}")
