"""Options that change one setting of a preset each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from minigan.cli.options import COUNT, PATH, Whole
from minigan.core.errors import ArgumentError, SettingError

if TYPE_CHECKING:
    from minigan.deblur.model import Model
    from minigan.deblur.settings import TrainSettings


class Setting(NamedTuple):
    """An option that changes a setting of the preset: its type and help, and where the setting is."""

    type: Any
    help: str
    place: str  # in TrainSettings, with a dot where it is a setting's own

    def found(self, settings: TrainSettings) -> Any:
        """What the settings have there."""
        return attrgetter(self.place)(settings)

    def put(self, settings: TrainSettings, value: Any) -> TrainSettings:
        """The settings with `value` there."""
        outer, _, inner = self.place.partition(".")
        if inner:
            value = replace(getattr(settings, outer), **{inner: value})
        return replace(settings, **{outer: value})


CHOICES: dict[str, Setting] = {
    "task": Setting(
        str, "What to learn: deblur, superres (to enlarge), sketch (to photo).", "task"
    ),
    "scale": Setting(COUNT, "Of superres: 2 or 4.", "scale"),
    "batch": Setting(COUNT, "Crops in a step.", "batch"),
    "crop": Setting(COUNT, "Side of the crops in pixels, a multiple of 8.", "crop"),
    "lr": Setting(float, "Rate of the generator.", "lr"),
    "critic_lr": Setting(float, "Rate of the critic.", "critic_lr"),
    "schedule": Setting(str, "How both rates fall: cosine, linear.", "schedule"),
    "ema": Setting(float, "Keep a running mean of the weights, this share a step.", "averaging"),
    "content": Setting(str, "How far from sharp: l1, mse, perceptual.", "content.loss"),
    "features": Setting(
        PATH, "Safetensors file of the network for perceptual.", "content.features"
    ),
    "feature_layer": Setting(str, "Its layer, by VGG's names.", "content.layer"),
    "adversarial": Setting(
        str,
        "The critic's game: zero-sum, non-saturating, least-squares, relativistic-least-squares, "
        "wgan-gp.",
        "adversarial",
    ),
    "adversarial_weight": Setting(float, "Of the critic's say; 0 for none.", "adversarial_weight"),
    "adversarial_from": Setting(float, "Share of the steps before it joins.", "adversarial_from"),
    "critic_steps": Setting(COUNT, "Of the critic for each of the generator's.", "critic_steps"),
    "norm": Setting(str, "In the generator: none, instance.", "generator.norm"),
    "up": Setting(str, "How it doubles scales: upsample, transposed.", "generator.up"),
    "dropout": Setting(float, "Share that its blocks set to 0 in training.", "generator.dropout"),
    "noise_channels": Setting(
        Whole(min=0), "Noise images beside the blurry picture.", "generator.noise_channels"
    ),
}


def choice_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command gets each choice by its name, None where it was not made."""
    for name, setting in reversed(CHOICES.items()):
        command = click.option(spelled(name), type=setting.type, help=setting.help)(command)
    return command


def built_like(model: Model, settings: TrainSettings, chosen: Mapping[str, Any]) -> TrainSettings:
    """The settings with the network and the task of a trained model, whose weights fit no other."""
    settings = replace(
        settings, generator=model.generator_settings, task=model.task, scale=model.scale
    )
    for name in ("norm", "up", "noise_channels"):
        found = CHOICES[name].found(settings)
        if chosen[name] not in (None, found):
            raise click.UsageError(
                f"{spelled(name)} is {chosen[name]} and is {found} in the model of --start, whose "
                "weights fit no other network"
            )
    return settings


def refused_option(name: str, error: ArgumentError) -> click.UsageError:
    """What a setting's error says, said of the option that made it."""
    if isinstance(error, SettingError):
        return click.UsageError(f"{spelled(name)} is {error.value}; it needs {error.needed}")
    return click.UsageError(f"{spelled(name)}: {error}")


def spelled(name: str) -> str:
    """An option as users write it."""
    return "--" + name.replace("_", "-")


def chosen_settings(settings: TrainSettings, chosen: Mapping[str, Any]) -> TrainSettings:
    """The settings with what was asked for; a file of features means the perceptual loss."""
    given = {name: value for name, value in chosen.items() if value is not None}
    if "features" in given:
        given = {
            "content": "perceptual",
            **given,
            "features": str(Path(given["features"]).resolve()),
        }
    for name, value in given.items():
        try:
            settings = CHOICES[name].put(settings, value)
        except ArgumentError as error:
            raise refused_option(name, error) from error
    for name, (needed, wanted) in _ONLY_WITH.items():
        if name in given and CHOICES[needed].found(settings) != wanted:
            raise click.UsageError(
                f"{spelled(name)} is of use with {spelled(needed)} {wanted} only"
            )
    return settings


_ONLY_WITH = {"scale": ("task", "superres"), "feature_layer": ("content", "perceptual")}
