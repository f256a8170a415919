"""Training two networks against each other: Algorithm 1 of Goodfellow et al. 2014.

    for each step:
        k times:  draw m images x and m noises z; lower the discriminator's loss on them by one step
        draw m noises z; lower the generator's loss on them by one step

The generator uses the discriminator's gradient and nothing else: it never sees an image.

The default loss is the non-saturating one. With the zero-sum loss of equation (2), which is there to
be tried, the generator learns from an image in proportion to how real it looks; early on, when none
does, that is next to nothing, and training can stand still for good (see `minigan.gan.losses`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from minigan import nn
from minigan.core.errors import ArgumentError, NonFiniteError, SettingError, ShapeError
from minigan.core.graph import no_grad
from minigan.core.parallel import Workers
from minigan.core.tensor import Array, Tensor
from minigan.gan.losses import discriminator_probability, gradient_penalty, loss_named
from minigan.gan.networks import discriminator, generator
from minigan.nn.averaging import average
from minigan.ops.random import Generator as Random
from minigan.optim import Adam, Scheduled
from minigan.processes import in_processes


@dataclass(frozen=True)
class GanSettings:
    """Everything that decides the bits of a training run, besides the images.

    size         side of the images in pixels, a multiple of 4
    loss         a name in `minigan.gan.losses.LOSSES`
    steps        steps of the generator
    d_steps      steps of the discriminator for each of these: k in Algorithm 1
    batch        images and noises per step: m in Algorithm 1
    lr, d_lr     rates of Adam, for the generator and for the discriminator
    d_warmup     the discriminator's rate rises to d_lr over so many of its steps. One that learns
                 fast at the very start drives the generator into all-black pictures, from which
                 its sigmoid lets no gradient back
    betas        of Adam, for both players
    noise_shape  (L, K), height and width of a noise image, which is standard normal
    width        how many channels the networks have, see `minigan.gan.networks`; None for 256 / size,
                 so that a step on larger images does not take many times longer
    averaging    share of the old weights that the averaged generator keeps at each step
    seed         of the initial weights, the choice of images and the noise
    shards       parts of a batch that run at the same time (part of the settings, because the
                 order of their sums changes the last bits). With one, the threads share out
                 single operations

    Raises ArgumentError, in one sentence, for values that cannot be trained with.
    """

    size: int = 8
    loss: str = "non-saturating"
    steps: int = 2400
    d_steps: int = 1
    batch: int = 64
    lr: float = 5e-4
    d_lr: float = 2.5e-4
    d_warmup: int = 200
    betas: tuple[float, float] = (0.5, 0.9)
    noise_shape: tuple[int, int] = (3, 3)
    width: int | None = None
    averaging: float = 0.998
    seed: int = 0
    shards: int = 2

    def __post_init__(self) -> None:
        for name in ("size", "steps", "d_steps", "batch", "shards"):
            _check(name, getattr(self, name), _is_whole(getattr(self, name), 1), "an integer >= 1")
        for name in ("seed", "d_warmup"):
            _check(name, getattr(self, name), _is_whole(getattr(self, name), 0), "an integer >= 0")
        width_fits = self.width is None or _is_whole(self.width, 1)
        _check("width", self.width, width_fits, "an integer >= 1, or None")
        _check("size", self.size, self.size % 4 == 0, "a multiple of 4, as in 8 or 28")
        for name in ("lr", "d_lr"):
            rate = getattr(self, name)
            _check(name, rate, _is_number(rate) and rate > 0, "a positive number")
        _check("averaging", self.averaging, _is_share(self.averaging), "at least 0 and below 1")
        betas_fit = len(self.betas) == 2 and all(map(_is_share, self.betas))
        _check("betas", self.betas, betas_fit, "two numbers, at least 0 and below 1")
        noise_fits = len(self.noise_shape) == 2 and all(_is_whole(n, 1) for n in self.noise_shape)
        _check("noise_shape", self.noise_shape, noise_fits, "two integers >= 1")
        loss_named(self.loss)

    @property
    def channels(self) -> int:
        """The width, or the one that None stands for."""
        return max(1, 256 // self.size) if self.width is None else self.width


def settings_from(record: Mapping[str, Any]) -> GanSettings:
    """Settings from what JSON made of them (tuples become lists there); strange names are refused."""
    known = {field.name for field in fields(GanSettings)}
    strange = sorted(record.keys() - known)
    if strange:
        raise ArgumentError(f"GanSettings: there is no setting named {', '.join(strange)}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    return GanSettings(**values)


@dataclass(frozen=True)
class Report:
    """What one step did.

    step           1 for the first
    d_loss, g_loss the two losses; of several steps of the discriminator, the last
    d_real, d_fake mean probability of "real" that D gives to real images and to created ones; a D
                   that cannot tell them apart says 1/2 to both
    d_gradient, g_gradient  Euclidean norms of the two gradients
    """

    step: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    d_gradient: float
    g_gradient: float


class Players:
    """The two networks, the averaged generator that pictures are made with, and their randomness.

    Where two players chase each other, the latest weights are one point of an orbit; a running
    mean of them lies nearer to what they circle around (Yazici et al. 2019).
    """

    def __init__(self, settings: GanSettings):
        # Three streams from one seed: how much is drawn of one does not shift the others.
        weights, self.image_choice, self.noise = (
            Random(int(word)) for word in np.random.SeedSequence(settings.seed).generate_state(3)
        )
        self.generator = new_generator(settings, weights)
        self.discriminator = discriminator(settings.size, settings.channels, weights)
        self.averaged = new_generator(settings, weights)
        self.averaged.load_state_dict(self.generator.state_dict())


def new_generator(settings: GanSettings, random: Random) -> nn.Sequential:
    """An untrained generator of the size that the settings ask for."""
    return generator(settings.noise_shape, settings.size, settings.channels, random)


def train(
    settings: GanSettings, images: Array, players: Players, workers: Workers
) -> Iterator[Report]:
    """Train `players` on `images`, yielding a Report after each step of the generator.

    images   float32 (count, 1, size, size) in [0, 1]
    players  made from the same settings; their weights change as the iterator advances
    workers  threads, from `minigan.core.parallel.workers`; how many does not change the bits

    Raises, before the first step, ShapeError for images of another size and ArgumentError for
    values outside [0, 1]; NonFiniteError, naming the step, once a loss or a gradient is no number.
    """
    check_images(settings, images)
    return _algorithm_1(settings, images, players, workers)


ShardLoss = Callable[..., tuple[Tensor, dict[str, float]]]


def _algorithm_1(
    settings: GanSettings, images: Array, players: Players, workers: Workers
) -> Iterator[Report]:
    G, D = players.generator, players.discriminator
    d_loss, g_loss = _losses(settings, G, D)
    d_params, g_params = D.parameters(), G.parameters()
    d_optimizer = Scheduled(
        Adam(d_params, settings.d_lr, settings.betas),
        lambda step: min(1.0, (step + 1) / (settings.d_warmup + 1)),
    )
    g_optimizer = Adam(g_params, settings.lr, settings.betas)

    with in_processes(workers, (d_loss, g_loss), (G, D), settings.shards) as team:
        for step in range(1, settings.steps + 1):
            d: dict[str, float] = {}
            for _ in range(settings.d_steps):
                x = draw_images(images, settings.batch, players.image_choice)
                z = draw_noise(settings, settings.batch, players.noise)
                batch = (x, z, *_draw_penalty(settings, players.noise))
                d = team.gradients(d_loss, d_params, batch, settings.shards)
                d["gradient"] = _checked_gradient("discriminator", step, d["loss"], d_params)
                d_optimizer.step()

            x = draw_images(images, settings.batch, players.image_choice)
            z = draw_noise(settings, settings.batch, players.noise)
            g = team.gradients(g_loss, g_params, (x, z), settings.shards)
            g["gradient"] = _checked_gradient("generator", step, g["loss"], g_params)
            g_optimizer.step()

            average(players.averaged, G, settings.averaging, step)
            yield Report(
                step, d["loss"], g["loss"], d["real"], d["fake"], d["gradient"], g["gradient"]
            )


def _losses(settings: GanSettings, G: nn.Module, D: nn.Module) -> tuple[ShardLoss, ShardLoss]:
    """What each player's step lowers, on one shard of images x, noises z, and the penalty's alpha."""
    loss = loss_named(settings.loss)

    def d_loss(x: Array, z: Array, alpha: Array | None = None) -> tuple[Tensor, dict[str, float]]:
        with no_grad():  # this step does not move G
            created = G(Tensor(z))
        real, fake = D(Tensor(x)), D(created)
        total = loss.discriminator(real, fake)
        if alpha is not None:
            penalty = gradient_penalty(D, Tensor(x), created, Tensor(alpha))
            total = total + loss.penalty * penalty
        return total, {"real": _belief(real), "fake": _belief(fake)}

    def g_loss(x: Array, z: Array) -> tuple[Tensor, dict[str, float]]:
        real = None
        if loss.generator_sees_real:
            with no_grad():  # D(x) does not depend on G
                real = D(Tensor(x))
        return loss.generator(real, D(G(Tensor(z)))), {}

    return d_loss, g_loss


def draw_images(images: Array, count: int, random: Random) -> Array:
    """`count` of the images, each chosen independently of the others."""
    return images[random.numpy().integers(len(images), size=count)]


def draw_noise(settings: GanSettings, count: int, random: Random) -> Array:
    """`count` noise images (count, 1, L, K): independent standard normal numbers."""
    return random.normal((count, 1, *settings.noise_shape))


def _draw_penalty(settings: GanSettings, random: Random) -> tuple[Array, ...]:
    """The alpha of a gradient penalty, (batch,), where the loss has one; otherwise nothing is drawn."""
    if loss_named(settings.loss).penalty == 0:
        return ()
    return (random.uniform((settings.batch,)),)


def create(network: nn.Module, noise: Array) -> Array:
    """The images that a generator makes of noise: (N, 1, L, K) -> (N, 1, S, S) in [0, 1]."""
    with no_grad():
        return network(Tensor(noise)).numpy()


def seconds_per_step(
    settings: GanSettings, images: Array, workers: Workers, trial: float = 2.0
) -> float:
    """How long a step takes here: the mean over `trial` seconds of training that is thrown away."""
    steps = train(replace(settings, steps=100_000), images, Players(settings), workers)
    next(steps)  # the first step also fills caches
    start, count, seconds = time.perf_counter(), 0, 0.0
    while count == 0 or seconds < trial:
        next(steps)
        count, seconds = count + 1, time.perf_counter() - start
    return seconds / count


def check_images(settings: GanSettings, images: Array) -> None:
    """Refuse images that `train` cannot take: ShapeError, ArgumentError."""
    wanted = (1, settings.size, settings.size)
    if images.ndim != 4 or len(images) == 0 or images.shape[1:] != wanted:
        raise ShapeError(
            f"train: images have shape {images.shape}; they need (count, {', '.join(map(str, wanted))})"
        )
    if images.dtype != np.float32:
        raise ArgumentError(f"train: images have dtype {images.dtype}; they need float32")
    if not (images.min() >= 0 and images.max() <= 1):  # NaN is neither
        raise ArgumentError(
            f"train: images run from {images.min()} to {images.max()}; they need to be in [0, 1]"
        )


def mean_report(reports: Sequence[Report]) -> Report:
    """The mean of every figure, under the number of the last step."""
    rows = [asdict(report) for report in reports]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return Report(**{**means, "step": reports[-1].step})


def _belief(logits: Tensor) -> float:
    """The mean probability of "real"."""
    return float(discriminator_probability(logits.detach()).mean())


def _checked_gradient(player: str, step: int, loss: float, params: Sequence[Tensor]) -> float:
    """The norm of all gradients as one vector, once it and the loss are known to be numbers."""
    # In float64, where squares of float32 numbers neither overflow nor vanish.
    squares = (
        np.square(p.grad.numpy(), dtype=np.float64).sum() for p in params if p.grad is not None
    )
    norm = math.sqrt(sum(map(float, squares)))
    for name, value in (("loss", loss), ("gradient", norm)):
        if not math.isfinite(value):
            raise NonFiniteError(
                f"train: at step {step} the {player}'s {name} became {value}; "
                "a lower lr, or another seed, may help"
            )
    return norm


def _check(name: str, value: object, fits: bool, needed: str) -> None:
    if not fits:
        raise SettingError("GanSettings", name, value, f"to be {needed}")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= value < 1  # type: ignore[operator]
