"""Options of several commands: where pictures are and how they lie there, and how they are blurred."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minigan.cli.deblur.choices import refused_option
from minigan.cli.options import PATH, Whole
from minigan.core.errors import SettingError

if TYPE_CHECKING:
    from minigan.deblur.blur import BlurSettings
    from minigan.deblur.layouts import Source


class Span(click.ParamType):
    """A number, or the lowest and the highest with a colon between, both from `least` to `most`."""

    name = "low:high"

    def __init__(self, least: float, most: float, kind: type[int] | type[float] = float):
        self._least, self._most, self._kind = least, most, kind

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        low, _, high = str(value).partition(":")
        try:
            span = self._kind(low), self._kind(high or low)
        except ValueError:
            span = math.nan, math.nan
        if not self._least <= span[0] <= span[1] <= self._most:
            noun = "whole number" if self._kind is int else "number"
            self.fail(
                f"{value!r} is no {noun} from {self._least} to {self._most}, and no two in order with a "
                "colon between",
                param,
                ctx,
            )
        return span


# ---------------------------------------------------------------------- where pictures are

DATA = ("data", "layout", "blurry", "sharp", "sharp_half", "frames")
_DATA_OPTIONS = (
    click.option("--data", type=PATH, help="Folder of pictures [default: bundled photographs]."),
    click.option(
        "--layout",
        help="How they lie there: photographs (sharp ones), pairs (blur/sharp, input/target, A/B, ..., "
        "at any depth), side-by-side, frames (of videos) [default: pairs where there are such folders, "
        "else photographs].",
    ),
    click.option(
        "--blurry", type=PATH, help="Folder of blurry pictures, with --sharp and instead of --data."
    ),
    click.option("--sharp", type=PATH, help="Folder of sharp pictures of the same names."),
    click.option(
        "--sharp-half",
        default="right",
        show_default=True,
        help="With --layout side-by-side: left or right.",
    ),
    click.option(
        "--frames",
        type=Whole(min=3),
        default=7,
        show_default=True,
        help="With --layout frames: how many make a blurry picture, an odd number.",
    ),
)


def data_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command gets its options as `source`."""

    @functools.wraps(command)
    def called(**options: Any) -> None:
        command(source=source_of({name: options.pop(name) for name in DATA}), **options)

    for option in reversed(_DATA_OPTIONS):
        called = option(called)
    return called


def source_of(record: Mapping[str, Any]) -> Source:
    """The source in options, or in the record of a run; older records lack most of it."""
    from minigan.deblur.layouts import Source

    given = {f.name: record[f.name] for f in fields(Source) if record.get(f.name) is not None}
    for name in ("data", "blurry", "sharp"):
        if name in given:
            given[name] = Path(given[name])
    return Source(**given)


def source_arguments(source: Source) -> list[str]:
    """The options that name it again."""
    from minigan.deblur.layouts import Source

    arguments = []
    for field in fields(Source):
        value = getattr(source, field.name)
        if value != field.default:
            arguments += [f"--{field.name.replace('_', '-')}", str(value)]
    return arguments


# ---------------------------------------------------------------------- how they are blurred

# Each option of blur, and the settings that its two ends decide.
_SPANS = {
    "length": ("min_length", "max_length"),
    "radius": ("min_radius", "max_radius"),
    "spread": ("min_spread", "max_spread"),
    "noise": ("sigma", "max_sigma"),
    "jpeg": ("min_quality", "max_quality"),
}
BLUR = ("blur", "photon_gain", *_SPANS)
_FIELDS = {"blur": "models"}  # where an option has another name than its setting
_OPTIONS = {field: option for option, field in _FIELDS.items()}
_BLUR_OPTIONS = (
    click.option(
        "--blur",
        metavar="MODELS",
        help="motion, defocus, gaussian, several with commas, or with weights: motion=3,defocus=1 "
        "[default: motion].",
    ),
    click.option(
        "--length", type=Span(0.1, 1000), help="Of the camera's path, in pixels [default: 4:12]."
    ),
    click.option(
        "--radius",
        type=Span(0.1, 500),
        help="Of the disc out of focus, in pixels [default: 0.5:4].",
    ),
    click.option(
        "--spread",
        type=Span(0.01, 300),
        help="Deviation of a Gaussian, in pixels [default: 0.5:2].",
    ),
    click.option(
        "--noise", type=Span(0, 1), help="Deviation of the noise, white is 1 [default: 0.00784]."
    ),
    click.option(
        "--photon-gain",
        type=click.FloatRange(0, 1),
        help="Noise of light: its variance at white [default: 0].",
    ),
    click.option(
        "--jpeg", type=Span(1, 95, int), help="Quality of compression [default: not compressed]."
    ),
)


def blur_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command gets, as `blur`, the fields of BlurSettings that its options decide."""

    @functools.wraps(command)
    def called(**options: Any) -> None:
        given = {name: options.pop(name) for name in BLUR}
        changes: dict[str, Any] = {}
        for name, value in given.items():
            if value is None:
                continue
            if name in _SPANS:
                changes |= dict(zip(_SPANS[name], value, strict=True))
            else:
                changes[_FIELDS.get(name, name)] = value
        if changes.get("max_sigma") == changes.get("sigma"):
            changes.pop("max_sigma", None)  # one noise for all: nothing is drawn
        command(blur=changes, **options)

    for option in reversed(_BLUR_OPTIONS):
        called = option(called)
    return called


def with_blur(blur: BlurSettings, changes: Mapping[str, Any]) -> BlurSettings:
    """`blur` with the fields that the options decide."""
    try:
        return replace(blur, **changes)
    except SettingError as error:
        raise refused_option(_OPTIONS.get(error.name, error.name), error) from error


def blur_arguments(blur: BlurSettings, default: BlurSettings) -> list[str]:
    """The options that make `blur` of `default`."""
    arguments = []
    for name, ends in _SPANS.items():
        low, high = (getattr(blur, end) for end in ends)
        if (low, high) != tuple(getattr(default, end) for end in ends):
            arguments += [f"--{name}", f"{low}" if high in (low, None) else f"{low}:{high}"]
    if blur.models != default.models:
        arguments += ["--blur", blur.models]
    if blur.photon_gain != default.photon_gain:
        arguments += ["--photon-gain", str(blur.photon_gain)]
    return arguments
