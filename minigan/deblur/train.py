"""Training the deblurring GAN, one step after the other.

A step draws a batch of pairs and lowers the generator's loss

    content + weight x adversarial,    content = mean |G(blurry) - sharp|, or another of three.

For the first part of the training the adversarial weight is 0: a critic can teach nothing while the
results are far from sharp. Then the critic joins; before each of the generator's steps it takes some of
its own, each on a fresh batch. Without it, L1 alone gives the median of all sharp pictures that fit,
which is soft.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from minigan import nn, optim
from minigan.checkpoints import Checkpoint
from minigan.core.ahead import Batches, drawn_ahead
from minigan.core.anomaly import detect_nonfinite
from minigan.core.errors import MiniganError, ModelFileError, NonFiniteError
from minigan.core.graph import no_grad
from minigan.core.parallel import Loss, Workers
from minigan.core.tensor import Array, Tensor
from minigan.deblur import metrics
from minigan.deblur.blur import quantize
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.content import content_loss
from minigan.deblur.model import Model
from minigan.deblur.networks import fixed_noise, new_critic, new_generator
from minigan.deblur.pairs import Pair, TrainingPairs
from minigan.deblur.photographs import Photograph, fingerprints
from minigan.deblur.settings import TrainSettings, l1_twin
from minigan.gan.losses import gradient_penalty, loss_named
from minigan.nn.averaging import average
from minigan.ops.random import default_generator, fork_rng, manual_seed
from minigan.processes import in_processes

_EXTRAS = (
    5  # of the sequences that come from the seed, noise images and penalties; pairs.py has 1 to 4
)


class Trainer:
    """The two networks, their optimisers, and the step that trains them."""

    def __init__(
        self,
        settings: TrainSettings,
        photographs: Sequence[Photograph],
        pairs: Batches[tuple[Array, Array]] | None = None,
        device: str = "cpu",
        loaders: int = 0,
        seen_before: Sequence[str] = (),
    ):
        """photographs  what is trained on, for the model's record
        pairs        batches by number (default: crops of the photographs, as the settings say)
        loaders      processes that draw batches ahead, inside `in_processes`
        seen_before  fingerprints of what the weights that it begins with were trained on
        """
        self.loaders = loaders
        self.seen_before = seen_before
        self.settings = settings
        self.device = device
        self.photographs = photographs
        self.pairs: Batches[tuple[Array, Array]] = pairs or TrainingPairs(
            photographs, settings.degradation, settings.crop, settings.batch, settings.seed
        )
        manual_seed(settings.seed)  # the networks' first weights
        self.generator = new_generator(settings.generator)
        self.critic = new_critic(settings.critic)
        self.content, self.features = content_loss(settings.content)
        for network in (self.generator, self.critic, self.features):
            if network is not None:
                network.to(device)
        self.averaged = self._averaged()
        self.optimizer = optim.Scheduled(
            optim.Adam(self.generator.parameters(), settings.lr, (settings.beta1, 0.999)),
            _schedule(settings, settings.steps, warmup=20),
        )
        # A small first beta lets the critic forget quickly: its opponent keeps moving. Its rate falls
        # with the generator's, or it would run away from one that hardly learns any more.
        joins = max(1, settings.steps - settings.first_adversarial_step)
        self.critic_optimizer = optim.Scheduled(
            optim.Adam(
                self.critic.parameters(), settings.critic_lr, (settings.critic_beta1, 0.999)
            ),
            _schedule(settings, settings.critic_steps * joins),
        )
        self.losses = loss_named(settings.adversarial)
        self.steps_done = 0

    def _averaged(self) -> nn.Module | None:
        """The running mean of the generator's weights, where the settings ask for one."""
        if self.settings.averaging == 0:
            return None
        averaged = new_generator(self.settings.generator)
        averaged.load_state_dict(self.generator.state_dict())
        return averaged.to(self.device)

    def _tensor(self, array: Array) -> Tensor:
        """A constant on the device that is trained on."""
        return Tensor(array).to(self.device)

    # ------------------------------------------------------------------ the losses, on a shard

    def content_loss(
        self, blurry: Array, sharp: Array, noise: Array
    ) -> tuple[Tensor, dict[str, float]]:
        """How far G(blurry) is from sharp."""
        loss = self.content(self._restored(blurry, noise), self._tensor(sharp))
        return loss, {"content": float(loss)}

    def generator_loss(
        self, blurry: Array, sharp: Array, noise: Array
    ) -> tuple[Tensor, dict[str, float]]:
        """content + weight x adversarial."""
        b, s = self._tensor(blurry), self._tensor(sharp)
        restored = self._restored(blurry, noise)
        real = None
        if self.losses.generator_sees_real:
            with no_grad():
                real = self.critic(b, s)
        content = self.content(restored, s)
        adversarial = self.losses.generator(real, self.critic(b, restored))
        report = {"content": float(content), "adversarial": float(adversarial)}
        return content + self.settings.adversarial_weight * adversarial, report

    def critic_loss(
        self, blurry: Array, sharp: Array, noise: Array, alpha: Array
    ) -> tuple[Tensor, dict[str, float]]:
        """How badly the critic tells sharp from restored pictures; and the gradient penalty, if any.

        alpha  (N,), where between a sharp and a restored picture the penalty looks at the slope
        """
        b, s = self._tensor(blurry), self._tensor(sharp)
        with no_grad():
            restored = self._restored(blurry, noise)
        real, fake = self.critic(b, s), self.critic(b, restored)
        total = self.losses.discriminator(real, fake)
        report = {"real": float(real.mean()), "fake": float(fake.mean())}
        if self.losses.penalty:
            penalty = gradient_penalty(
                lambda x: self.critic(b, x), s, restored, self._tensor(alpha)
            )
            total = total + self.losses.penalty * penalty
            report["penalty"] = float(penalty)
        return total, report

    def _restored(self, blurry: Array, noise: Array) -> Tensor:
        return self.generator(self._tensor(blurry), self._tensor(noise))

    # ------------------------------------------------------------------ the step

    @contextmanager
    def in_processes(self, workers: Workers) -> Iterator[Workers]:
        """Workers for `step` inside a block, which compute shards in processes where that can be.

        Batches are drawn ahead inside the block, where there are loaders.
        """
        losses = self.content_loss, self.generator_loss, self.critic_loss
        networks = [n for n in (self.generator, self.critic, self.features) if n is not None]
        pairs = self.pairs
        with (
            in_processes(workers, losses, networks, self.settings.shards) as team,
            drawn_ahead(pairs, self.loaders) as self.pairs,
        ):
            try:
                yield team
            finally:
                self.pairs = pairs

    def step(self, workers: Workers) -> dict[str, float]:
        """One step of the generator, after those of the critic where it takes part; what it cost.

        Raises NonFiniteError, before any weight has changed by it, when a loss or a gradient is not
        finite.
        """
        settings = self.settings
        first = settings.critic_steps * self.steps_done  # the number of the step's first batch
        batch = self._batch(first)
        report: dict[str, float] = {}
        loss: Loss = self.content_loss
        if self.steps_done >= settings.first_adversarial_step:
            critic = self._critic_step(workers, batch)
            for number in range(first + 1, first + settings.critic_steps):
                batch = self._batch(number)
                critic = self._critic_step(workers, batch)
            names = {"loss": "critic", "gradient": "critic_gradient"}
            report = {names.get(name, name): value for name, value in critic.items()}
            loss = self.generator_loss
        # The critic's last batch serves the generator as well: drawing one takes its time.
        report |= self._gradients(workers, loss, self.generator, batch[:-1])
        self.optimizer.step()
        self.steps_done += 1
        if self.averaged is not None:
            average(self.averaged, self.generator, settings.averaging, self.steps_done)
        return report

    def _critic_step(self, workers: Workers, batch: Sequence[Array]) -> dict[str, float]:
        report = self._gradients(workers, self.critic_loss, self.critic, batch)
        self.critic_optimizer.step()
        return report

    def _batch(self, number: int) -> tuple[Array, Array, Array, Array]:
        """Batch `number`: blurry, sharp, noise images, and the alpha of the gradient penalty."""
        blurry, sharp = self.pairs[number]
        rng = np.random.default_rng([self.settings.seed, _EXTRAS, number])
        channels = self.settings.generator.noise_channels
        noise = rng.standard_normal((len(blurry), channels, *blurry.shape[2:]), dtype=np.float32)
        return blurry, sharp, noise, rng.random(len(blurry), dtype=np.float32)

    def _gradients(
        self, workers: Workers, loss: Loss, network: nn.Module, batch: Sequence[Array]
    ) -> dict[str, float]:
        parameters = network.parameters()
        # A device divides its work itself.
        shards = self.settings.shards if self.device == "cpu" else 1
        report = workers.gradients(loss, parameters, batch, shards)
        gradients = [p.grad.to("cpu")._array for p in parameters if p.grad is not None]
        with np.errstate(over="ignore", invalid="ignore"):  # the check below says it in a sentence
            squares = [np.vdot(g, g) for g in gradients]
            norm = math.sqrt(sum(map(float, squares)))
        if not (math.isfinite(norm) and all(map(math.isfinite, report.values()))):
            self._explain_nonfinite(loss, parameters, batch)
        return {**report, "gradient": norm}

    def _explain_nonfinite(
        self, loss: Loss, parameters: Sequence[Tensor], batch: Sequence[Array]
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
        twin = l1_twin(self.settings)
        return Trainer(
            twin, self.photographs, self.pairs, self.device, self.loaders, self.seen_before
        )

    def begin_with(self, generator: nn.Module) -> None:
        """Take a trained generator's weights instead of random ones, before the first step.

        Raises what `load_state_dict` does for one that is built otherwise.
        """
        for network in (self.generator, self.averaged):
            if network is not None:
                network.load_state_dict(generator.state_dict())

    def checkpoint(self, record: Mapping[str, Any] = {}) -> Checkpoint:
        """Everything that decides how training goes on, and what else shall be recorded."""
        arrays = {
            f"{part}.{name}": array
            for part, owner in self._parts().items()
            for name, array in owner.state_dict().items()
        }
        key, drawn = default_generator.get_state()
        random = {"key": str(key), "drawn": list(drawn.items())}
        features = None if self.features is None else self.features.checksum
        own = {"random": random, "features": features}
        return Checkpoint(self.steps_done, arrays, {**record, **own})

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; ModelFileError if it is one of another network."""
        try:
            for part, owner in self._parts().items():
                prefix = f"{part}."
                names = [name for name in checkpoint.arrays if name.startswith(prefix)]
                owner.load_state_dict(
                    {name.removeprefix(prefix): checkpoint.arrays[name] for name in names}
                )
            features = None if self.features is None else self.features.checksum
            if checkpoint.record["features"] != features:
                raise ModelFileError(f"{self.settings.content.features} holds another network now")
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
        parts: dict[str, nn.Module | optim.Scheduled] = {
            "generator": self.generator,
            "critic": self.critic,
            "optimizer": self.optimizer,
            "critic_optimizer": self.critic_optimizer,
        }
        return parts if self.averaged is None else {**parts, "averaged": self.averaged}

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
        seen = sorted({*fingerprints(self.photographs), *self.seen_before})
        with fork_rng():
            generator = new_generator(s.generator)
        generator.load_state_dict((self.averaged or self.generator).state_dict())
        generator.eval()
        return Model(
            generator, s.generator, s.crop, s.blur, seen, least_squares, notes, s.task, s.scale
        )

    def validate(self, pairs: Sequence[Pair]) -> dict[str, float]:
        """Mean PSNR and SSIM of the generator's results on pairs whose sides are multiples of 4."""
        both = [(quantize(r), p.sharp) for r, p in zip(self.results(pairs), pairs, strict=True)]
        return {
            "val_psnr": float(np.mean([metrics.psnr(*pair) for pair in both])),
            "val_ssim": float(np.mean([metrics.ssim(*pair) for pair in both])),
        }

    def results(self, pairs: Sequence[Pair]) -> list[Array]:
        """What the generator makes of the pairs' blurry pictures as it is now, each (3, H, W)."""
        network = (self.averaged or self.generator).eval()
        with no_grad():
            restored = [
                network(self._tensor(p.blurry[None]), self._tensor(self._noise_for(p)))
                for p in pairs
            ]
        network.train()
        return [r.to("cpu")._array[0] for r in restored]

    def _noise_for(self, pair: Pair) -> Array:
        """The noise images that a generator is used with."""
        _, height, width = pair.blurry.shape
        channels = self.settings.generator.noise_channels
        return fixed_noise(channels, np.arange(height), np.arange(width))[None]


def _schedule(settings: TrainSettings, steps: int, warmup: int = 0) -> optim.Schedule:
    """The factor on a rate over so many steps; only the cosine rises at first."""
    if settings.schedule == "linear":
        return optim.linear_decay(steps // 2, steps)
    return optim.cosine_decay(steps, floor=0.01, warmup=min(warmup, steps - 1))


def fit_least_squares(trainer: Trainer, batches: int = 40) -> LeastSquaresFilter:
    """The blind linear filter, fitted on pairs of the kind that the generator is trained on.

    It uses batches that the training itself never comes to: those after its last step.
    """
    first = trainer.settings.steps * trainer.settings.critic_steps
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
