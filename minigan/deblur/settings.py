"""What decides a training run of the deblurring GAN, besides the photographs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from minigan.core.errors import ArgumentError, SettingError
from minigan.deblur.blur import BlurSettings
from minigan.deblur.degradation import Degradation
from minigan.deblur.networks import SCALE, CriticSettings, GeneratorSettings
from minigan.deblur.tasks import degradation_of
from minigan.gan.losses import loss_named

CONTENT_LOSSES = "l1", "mse", "perceptual"
SCHEDULES = "cosine", "linear"


@dataclass(frozen=True)
class ContentSettings:
    """How far a result is from the sharp picture.

    loss      "l1", mean |difference|; "mse", mean difference^2; or "perceptual", mean difference^2 of
              a network's features (Johnson et al. 2016, section 3.2; Kupyn et al. 2018, equation 4)
    features  the safetensors file of that network; None for the one that minigan trained itself
    layer     of that network, by VGG's names. It is the convolution before its ReLU
    """

    loss: str = "l1"
    features: str | None = None
    layer: str = "conv3_3"

    def __post_init__(self) -> None:
        if self.loss not in CONTENT_LOSSES:
            needed = f"one of {', '.join(CONTENT_LOSSES)}"
            raise SettingError("ContentSettings", "loss", self.loss, needed)
        if self.features is not None and self.loss != "perceptual":
            raise ArgumentError(
                f"ContentSettings: features is {self.features!r} and loss {self.loss!r}; only the loss "
                "'perceptual' has a network of features"
            )


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides the bits of a training run, besides the photographs.

    The generator's loss is content + adversarial_weight x adversarial.

    shards            parts of a batch that run at the same time (part of the settings, because the
                      order of their sums changes the last bits). With one, the threads share out
                      single operations, which is faster only for very small and very large networks.
                      A relativistic loss compares the pictures of one shard with each other
    lr, critic_lr     rates of Adam; beta1, critic_beta1 the decay of its first moment
    schedule          of both rates: "cosine" falls to a hundredth, after some steps of rising;
                      "linear" stays for half of the steps and then falls to 0 (Kupyn et al. 2018)
    critic_steps      steps of the critic before each of the generator's, each on a batch of its own
    adversarial       a name in `minigan.gan.losses.LOSSES`
    adversarial_from  share of the steps that are taken before the critic joins; 1 means never
    averaging         share of the old weights that a running mean of the generator's weights keeps at
                      each step; the mean is what is validated, saved and used. 0 for none
    task, scale       what is learned, a name in `minigan.deblur.tasks.INPUTS`; how many times larger
                      super-resolution makes pictures
    """

    steps: int = 4000
    seed: int = 0
    batch: int = 8
    crop: int = 64
    shards: int = 2
    lr: float = 2e-3
    beta1: float = 0.9
    critic_lr: float = 4e-4
    critic_beta1: float = 0.5
    schedule: str = "cosine"
    critic_steps: int = 1
    adversarial: str = "relativistic-least-squares"
    adversarial_weight: float = 1.4e-3
    adversarial_from: float = 0.5
    averaging: float = 0.0
    report_every: int = 100
    content: ContentSettings = field(default_factory=ContentSettings)
    task: str = "deblur"
    scale: int = 2
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    blur: BlurSettings = field(default_factory=lambda: BlurSettings(exposure=1.0))

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "crop", "shards", "critic_steps", "report_every"):
            value = getattr(self, name)
            _check(name, value, isinstance(value, int) and value >= 1, "a positive integer")
        crop_fits = self.crop % (2 * SCALE) == 0 and self.crop >= 2 * 2 * SCALE
        needed = f"a multiple of {2 * SCALE} pixels, {2 * 2 * SCALE} at least"
        _check("crop", self.crop, crop_fits, needed)
        for name in ("lr", "critic_lr"):
            rate = getattr(self, name)
            _check(name, rate, 0 < rate < math.inf, "a positive number")
        for name in ("beta1", "critic_beta1", "averaging"):
            share = getattr(self, name)
            _check(name, share, 0 <= share < 1, "a number of at least 0 and below 1")
        _check("schedule", self.schedule, self.schedule in SCHEDULES, " or ".join(SCHEDULES))
        share, weight = self.adversarial_from, self.adversarial_weight
        _check("adversarial_from", share, 0 <= share <= 1, "a share from 0 to 1")
        _check("adversarial_weight", weight, 0 <= weight < math.inf, "a number of at least 0")
        loss_named(self.adversarial)
        degradation_of(self.task, self.blur, self.scale)

    @property
    def degradation(self) -> Degradation:
        """How the generator's inputs are made of sharp pictures."""
        return degradation_of(self.task, self.blur, self.scale)

    @property
    def first_adversarial_step(self) -> int:
        """The step, counted from 0, from which on the critic takes part."""
        if self.adversarial_weight == 0:
            return self.steps
        return math.ceil(self.adversarial_from * self.steps)


def _check(name: str, value: Any, fits: bool, needed: str) -> None:
    if not fits:
        raise SettingError("TrainSettings", name, value, needed)


PRESETS = {
    "small": TrainSettings(),
    "tiny": TrainSettings(
        steps=200,
        batch=4,
        crop=32,
        shards=1,
        report_every=20,
        generator=GeneratorSettings(width=4, blocks=1),
        critic=CriticSettings(width=4),
    ),
    # Kupyn et al. 2018, sections 3 and 4.2: networks, losses, rates and crops. They train for 300
    # passes over 1,000 pairs of photographs. Their loss is adversarial + 100 x content; here it is
    # divided by 100, which Adam does not notice. Blur is drawn up to half as long as theirs, so that a
    # crop with its margin fits into a photograph of 300 pixels.
    "deblurgan": TrainSettings(
        steps=300_000,
        batch=1,
        crop=256,
        shards=1,
        lr=1e-4,
        beta1=0.5,
        critic_lr=1e-4,
        schedule="linear",
        critic_steps=5,
        adversarial="wgan-gp",
        adversarial_weight=0.01,
        adversarial_from=0.0,
        content=ContentSettings("perceptual"),
        generator=GeneratorSettings(64, 9, "instance", "resnet", dropout=0.5),
        critic=CriticSettings(64, "patch"),
        blur=BlurSettings(max_length=30.0),
    ),
}


def l1_twin(settings: TrainSettings) -> TrainSettings:
    """The same training without its adversary: what the adversary costs and brings shows beside it."""
    return replace(settings, adversarial_weight=0.0)
