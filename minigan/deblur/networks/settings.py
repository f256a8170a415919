"""What decides the shape of the two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan.core.errors import SettingError

SCALE = 4  # the generators halve their input twice: sides are multiples of this


@dataclass(frozen=True)
class GeneratorSettings:
    """A generator.

    width           channels on the finest scale; two and four times as many on the two others
    blocks          residual blocks on the coarsest
    norm            "instance" norm after convolutions (the U-Net's: those of its blocks), or "none"
    architecture    "unet", ours, or "resnet", that of Kupyn et al. 2018
    up              how scales are doubled: "upsample" and a convolution, or a "transposed" convolution,
                    whose overlapping windows print a checkerboard (Odena et al. 2016)
    dropout         share of the numbers inside each block that training sets to 0: noise, too
    noise_channels  how many noise images come in beside the blurry one
    """

    width: int = 16
    blocks: int = 4
    norm: str = "none"
    architecture: str = "unet"
    up: str = "upsample"
    dropout: float = 0.0
    noise_channels: int = 0

    def __post_init__(self) -> None:
        _check_number(self, "width", 1)
        _check_number(self, "blocks", 0)
        _check_number(self, "noise_channels", 0)
        _check_choice(self, "norm", "none", "instance")
        _check_choice(self, "architecture", "unet", "resnet")
        _check_choice(self, "up", "upsample", "transposed")
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            needed = "a share of at least 0 and below 1"
            raise SettingError("GeneratorSettings", "dropout", self.dropout, needed)


@dataclass(frozen=True)
class CriticSettings:
    """A critic.

    width         channels of its first convolution
    architecture  "conditional", ours, which compares a candidate with the blurry picture, or "patch",
                  that of Kupyn et al. 2018, which sees the candidate only
    """

    width: int = 16
    architecture: str = "conditional"

    def __post_init__(self) -> None:
        _check_number(self, "width", 1)
        _check_choice(self, "architecture", "conditional", "patch")


def _check_number(settings: Any, name: str, least: int) -> None:
    value = getattr(settings, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        needed = f"a whole number of at least {least}"
        raise SettingError(type(settings).__name__, name, value, needed)


def _check_choice(settings: Any, name: str, *choices: str) -> None:
    value = getattr(settings, name)
    if value not in choices:
        needed = " or ".join(map(repr, choices))
        raise SettingError(type(settings).__name__, name, value, needed)
