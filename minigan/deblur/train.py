"""Training the deblurring GAN, one step after the other.

A step draws a batch of pairs and lowers the generator's loss

    content + weight x adversarial,    content = mean |G(blurry) - sharp|.

For the first part of the training the adversarial weight is 0: a critic can teach nothing while the
results are far from sharp. Then the critic joins; before each of the generator's steps it takes one of
its own. Without it, L1 alone gives the median of all sharp pictures that fit, which is soft.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minigan import nn, optim
from minigan.checkpoints import Checkpoint
from minigan.core.anomaly import detect_nonfinite
from minigan.core.errors import ArgumentError, MiniganError, ModelFileError, NonFiniteError
from minigan.core.graph import no_grad
from minigan.core.parallel import Loss, Workers
from minigan.core.tensor import Array, Tensor
from minigan.deblur import metrics
from minigan.deblur.blur import BlurSettings, quantize
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model
from minigan.deblur.networks import SCALE, Critic, Generator, GeneratorSettings
from minigan.deblur.pairs import Pair, TrainingPairs
from minigan.deblur.photographs import Photograph, fingerprint
from minigan.gan.losses import loss_named
from minigan.ops.random import default_generator, manual_seed
from minigan.processes import in_processes


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides the bits of a training run, besides the photographs.

    adversarial_from  share of the steps that are taken before the critic joins; 1 means never
    shards            parts of a batch that run at the same time (part of the settings, because the
                      order of their sums changes the last bits). With one, the threads share out
                      single operations, which is faster only for networks as small as the tiny ones.
                      A relativistic loss compares the pictures of one shard with each other
    """

    steps: int = 4000
    seed: int = 0
    batch: int = 8
    crop: int = 64
    shards: int = 2
    lr: float = 2e-3
    critic_lr: float = 4e-4
    critic_width: int = 16
    adversarial: str = "relativistic-least-squares"
    adversarial_weight: float = 1.4e-3
    adversarial_from: float = 0.5
    report_every: int = 100
    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    blur: BlurSettings = field(default_factory=lambda: BlurSettings(exposure=1.0))

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "crop", "shards", "critic_width", "report_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(
                    f"TrainSettings: {name} is {value!r}; it needs a positive integer"
                )
        if self.crop % (2 * SCALE):
            raise ArgumentError(
                f"TrainSettings: crop is {self.crop}; it needs a multiple of {2 * SCALE} pixels"
            )
        if not 0 <= self.adversarial_from <= 1 or not self.adversarial_weight >= 0:
            raise ArgumentError(
                f"TrainSettings: adversarial_from is {self.adversarial_from} and adversarial_weight "
                f"{self.adversarial_weight}; they need a share from 0 to 1 and no negative weight"
            )
        loss_named(self.adversarial)

    @property
    def first_adversarial_step(self) -> int:
        """The step, counted from 0, from which on the critic takes part."""
        if self.adversarial_weight == 0:
            return self.steps
        return math.ceil(self.adversarial_from * self.steps)


PRESETS = {
    "small": TrainSettings(),
    "tiny": TrainSettings(
        steps=200,
        batch=4,
        crop=32,
        shards=1,
        critic_width=4,
        report_every=20,
        generator=GeneratorSettings(width=4, blocks=1),
    ),
}


def l1_twin(settings: TrainSettings) -> TrainSettings:
    """The same training without its adversary: what the adversary costs and brings shows beside it."""
    return replace(settings, adversarial_weight=0.0)


class Trainer:
    """The two networks, their optimisers, and the step that trains them."""

    def __init__(
        self,
        settings: TrainSettings,
        photographs: Sequence[Photograph],
        pairs: TrainingPairs | None = None,
        device: str = "cpu",
    ):
        self.settings = settings
        self.device = device
        self.photographs = photographs
        self.pairs = pairs or TrainingPairs(
            photographs, settings.blur, settings.crop, settings.batch, settings.seed
        )
        manual_seed(settings.seed)  # the networks' first weights
        self.generator = Generator(settings.generator)
        self.critic = Critic(settings.critic_width)
        for network in (self.generator, self.critic):
            network.to(device)
        self.optimizer = optim.Scheduled(
            optim.Adam(self.generator.parameters(), settings.lr),
            optim.cosine_decay(settings.steps, floor=0.01, warmup=min(20, settings.steps - 1)),
        )
        # A small first beta lets the critic forget quickly: its opponent keeps moving. Its rate falls
        # with the generator's, or it would run away from one that hardly learns any more.
        joins = settings.steps - settings.first_adversarial_step
        self.critic_optimizer = optim.Scheduled(
            optim.Adam(self.critic.parameters(), settings.critic_lr, betas=(0.5, 0.999)),
            optim.cosine_decay(max(joins, 1), floor=0.01),
        )
        self.losses = loss_named(settings.adversarial)
        self.steps_done = 0

    def _tensor(self, array: Array) -> Tensor:
        """A constant on the device that is trained on."""
        return Tensor(array).to(self.device)

    # ------------------------------------------------------------------ the losses, on a shard

    def content_loss(self, blurry: Array, sharp: Array) -> tuple[Tensor, dict[str, float]]:
        """mean |G(blurry) - sharp|."""
        loss = nn.l1_loss(self.generator(self._tensor(blurry)), self._tensor(sharp))
        return loss, {"content": float(loss)}

    def generator_loss(self, blurry: Array, sharp: Array) -> tuple[Tensor, dict[str, float]]:
        """content + weight x adversarial."""
        b, s = self._tensor(blurry), self._tensor(sharp)
        restored = self.generator(b)
        with no_grad():
            real = self.critic(b, s)
        content = nn.l1_loss(restored, s)
        adversarial = self.losses.generator(real, self.critic(b, restored))
        report = {"content": float(content), "adversarial": float(adversarial)}
        return content + self.settings.adversarial_weight * adversarial, report

    def critic_loss(self, blurry: Array, sharp: Array) -> tuple[Tensor, dict[str, float]]:
        """How badly the critic tells sharp from restored pictures."""
        b, s = self._tensor(blurry), self._tensor(sharp)
        with no_grad():
            restored = self.generator(b)
        return self.losses.discriminator(self.critic(b, s), self.critic(b, restored)), {}

    # ------------------------------------------------------------------ the step

    def in_processes(self, workers: Workers) -> AbstractContextManager[Workers]:
        """Workers for `step` inside a block, which compute shards in processes where that can be."""
        losses = self.content_loss, self.generator_loss, self.critic_loss
        return in_processes(workers, losses, (self.generator, self.critic), self.settings.shards)

    def step(self, workers: Workers) -> dict[str, float]:
        """One step of the generator, after one of the critic where it takes part; what it cost.

        Raises NonFiniteError, before any weight has changed by it, when a loss or a gradient is not
        finite.
        """
        batch = self.pairs[self.steps_done]
        report: dict[str, float] = {}
        loss: Loss = self.content_loss
        if self.steps_done >= self.settings.first_adversarial_step:
            critic = self._gradients(workers, self.critic_loss, self.critic, batch)
            self.critic_optimizer.step()
            report["critic"] = critic["loss"]
            loss = self.generator_loss
        report |= self._gradients(workers, loss, self.generator, batch)
        self.optimizer.step()
        self.steps_done += 1
        return report

    def _gradients(
        self, workers: Workers, loss: Loss, network: nn.Module, batch: tuple[Array, Array]
    ) -> dict[str, float]:
        parameters = network.parameters()
        shards = (
            self.settings.shards if self.device == "cpu" else 1
        )  # a device divides its work itself
        report = workers.gradients(loss, parameters, batch, shards)
        gradients = [p.grad.to("cpu")._array for p in parameters if p.grad is not None]
        with np.errstate(over="ignore", invalid="ignore"):  # the check below says it in a sentence
            squares = [np.vdot(g, g) for g in gradients]
            norm = math.sqrt(sum(map(float, squares)))
        if not (math.isfinite(norm) and all(map(math.isfinite, report.values()))):
            self._explain_nonfinite(loss, parameters, batch)
        return {**report, "gradient": norm}

    def _explain_nonfinite(
        self, loss: Loss, parameters: Sequence[Tensor], batch: tuple[Array, Array]
    ) -> None:
        """Run the step's computation once more, looking at every result on the way."""
        where = f"training stopped at step {self.steps_done + 1}"
        if not all(np.isfinite(array).all() for array in batch):
            raise NonFiniteError(
                f"{where}: the batch of photographs holds values that are not finite"
            )
        try:
            with np.errstate(all="ignore"), detect_nonfinite():
                value, _ = loss(*batch)
                value.backward()
        except NonFiniteError as error:
            raise NonFiniteError(f"{where}: {error}; a smaller learning rate may help") from None
        raise NonFiniteError(f"{where}: the sum of its gradients is not finite")

    # ------------------------------------------------------------------ what comes of it

    def twin(self) -> Trainer:
        """The same generator at step 0 of a training without an adversary; `load` brings it further."""
        return Trainer(l1_twin(self.settings), self.photographs, self.pairs, self.device)

    def checkpoint(self, record: Mapping[str, Any] = {}) -> Checkpoint:
        """Everything that decides how training goes on, and what else shall be recorded."""
        arrays = {
            f"{part}.{name}": array
            for part, owner in self._parts().items()
            for name, array in owner.state_dict().items()
        }
        key, drawn = default_generator.get_state()
        random = {"key": str(key), "drawn": list(drawn.items())}
        return Checkpoint(self.steps_done, arrays, {**record, "random": random})

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; ModelFileError if it is one of another network."""
        try:
            for part, owner in self._parts().items():
                prefix = f"{part}."
                names = [name for name in checkpoint.arrays if name.startswith(prefix)]
                owner.load_state_dict(
                    {name.removeprefix(prefix): checkpoint.arrays[name] for name in names}
                )
            random = checkpoint.record["random"]
            drawn = {int(shard): int(count) for shard, count in random["drawn"]}
            default_generator.set_state((int(random["key"]), drawn))
        except (MiniganError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"the checkpoint of step {checkpoint.step} does not fit these settings: {error}"
            ) from error
        self.steps_done = checkpoint.step

    def _parts(self) -> dict[str, nn.Module | optim.Scheduled]:
        """What has a state, by name."""
        return {
            "generator": self.generator,
            "critic": self.critic,
            "optimizer": self.optimizer,
            "critic_optimizer": self.critic_optimizer,
        }

    def model(self, least_squares: LeastSquaresFilter) -> Model:
        """The generator as it is now, with what one needs to use and to judge it."""
        s = self.settings
        notes = {
            "steps": self.steps_done,
            "of": s.steps,
            "seed": s.seed,
            "adversarial": s.adversarial if s.first_adversarial_step < s.steps else "none",
            "adversarial weight": s.adversarial_weight,
        }
        seen = sorted(fingerprint(p) for p in self.photographs)
        generator = self.generator
        if self.device != "cpu":
            generator = Generator(s.generator)
            generator.load_state_dict(self.generator.state_dict())
        return Model(generator, s.generator, s.crop, s.blur, seen, least_squares, notes)

    def validate(self, pairs: Sequence[Pair]) -> dict[str, float]:
        """Mean PSNR and SSIM of the generator's results on pairs whose sides are multiples of 4."""
        with no_grad():
            restored = [self.generator(self._tensor(p.blurry[None])) for p in pairs]
        results = [r.to("cpu")._array[0] for r in restored]
        both = [(quantize(r), p.sharp) for r, p in zip(results, pairs, strict=True)]
        return {
            "val_psnr": float(np.mean([metrics.psnr(*pair) for pair in both])),
            "val_ssim": float(np.mean([metrics.ssim(*pair) for pair in both])),
        }


def fit_least_squares(trainer: Trainer, batches: int = 40) -> LeastSquaresFilter:
    """The blind linear filter, fitted on pairs of the kind that the generator is trained on.

    It uses batches that the training itself never comes to: those after its last step.
    """
    first = trainer.settings.steps
    numbers = range(first, first + batches)
    drawn = (pair for n in numbers for pair in zip(*trainer.pairs[n], strict=True))
    return LeastSquaresFilter().fit(drawn)


def seconds_per_step(
    settings: TrainSettings,
    photographs: Sequence[Photograph],
    workers: Workers,
    samples: int = 6,
    device: str = "cpu",
) -> tuple[float, float]:
    """Measured on throwaway networks: seconds of a step without and of one with the critic."""
    seconds = []
    for first in (1.0, 0.0):
        trainer = Trainer(replace(settings, adversarial_from=first), photographs, device=device)
        times = []
        with trainer.in_processes(workers) as team:
            for _ in range(samples):
                start = time.perf_counter()
                trainer.step(team)
                times.append(time.perf_counter() - start)
        seconds.append(float(np.median(times[1:])))
    return seconds[0], seconds[1]


def steps_in(settings: TrainSettings, seconds: float, costs: tuple[float, float]) -> int:
    """How many steps fit into a time, given what `seconds_per_step` measured; at least 10."""
    share = 1.0 if settings.adversarial_weight == 0 else settings.adversarial_from
    mean = share * costs[0] + (1 - share) * costs[1]
    return max(10, int(seconds / mean))
