"""A GAN in the plane, whose every part can be changed: the losses, the steps, and the cures for collapse.

Both players are small perceptrons. What a step does is settled by `ToySettings`:

    alternating     the discriminator moves, then the generator against the moved one (Goodfellow
                    et al. 2014, algorithm 1)
    simultaneous    both look, then both move
    extragradient, optimistic  as `minigan.optim` has them, for both at once
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from minigan import nn, ops, optim
from minigan.core.engine import grad
from minigan.core.errors import NonFiniteError, SettingError
from minigan.core.graph import no_grad
from minigan.core.tensor import Array, Tensor
from minigan.gan.losses import discriminator_probability, gradient_penalty, loss_named
from minigan.ops.random import Generator as Random

WAYS = ("alternating", "simultaneous", "extragradient", "optimistic")
Sampler = Callable[[int, np.random.Generator], Array]


@dataclass(frozen=True)
class ToySettings:
    """What decides the bits of a game, besides the data.

    loss            a name in `minigan.gan.losses.LOSSES`
    way             in which the players step, one of `WAYS`
    d_steps         steps of the discriminator for each of the generator's (alternating only)
    lr, d_lr        rates of Adam, for the generator and the discriminator; two different ones are the
                    "two time scales" of Heusel et al. 2017
    betas           of Adam
    penalty         weight of the gradient penalty, for losses that have one (Gulrajani et al. 2017: 10
                    for pictures, 0.1 in the plane)
    r1              weight of R1, gamma / 2 E|dD/dx|^2 at real points (Mescheder et al. 2018, eq. 9)
    pack            points that the discriminator sees at a time (Lin et al. 2018, PacGAN)
    unroll, unroll_lr  steps of the discriminator that the generator looks ahead, and their rate (Metz
                    et al. 2017, in which they are gradient descent)
    decay           the step at which both rates have fallen to 0, straight down from half of it; with 0
                    they stay as they are
    latent          numbers of noise
    width, depth    of the hidden layers of both players
    d_width         of the discriminator's hidden layers, where it is not 0
    """

    loss: str = "non-saturating"
    way: str = "alternating"
    d_steps: int = 1
    lr: float = 1e-3
    d_lr: float = 1e-3
    betas: tuple[float, float] = (0.5, 0.999)
    penalty: float = 10.0
    r1: float = 0.0
    pack: int = 1
    unroll: int = 0
    unroll_lr: float = 0.1
    decay: int = 0
    batch: int = 128
    latent: int = 8
    width: int = 64
    depth: int = 2
    d_width: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        loss_named(self.loss)
        _check("way", self.way, self.way in WAYS, f"one of {', '.join(WAYS)}")
        for name, least in (
            ("d_steps", 1),
            ("pack", 1),
            ("unroll", 0),
            ("decay", 0),
            ("d_width", 0),
            ("batch", 1),
            ("latent", 1),
        ):
            value = getattr(self, name)
            _check(name, value, isinstance(value, int) and value >= least, f"an integer >= {least}")
        for name in ("lr", "d_lr", "unroll_lr"):
            value = getattr(self, name)
            _check(name, value, 0 < value < math.inf, "a positive number")
        for name in ("penalty", "r1"):
            value = getattr(self, name)
            _check(name, value, 0 <= value < math.inf, "a number of at least 0")
        _check("batch", self.batch, self.batch % self.pack == 0, f"a multiple of pack, {self.pack}")


def _check(name: str, value: Any, fits: bool, needed: str) -> None:
    if not fits:
        raise SettingError("ToySettings", name, value, needed)


class Perceptron(nn.Module):
    """Fully connected layers with leaky ReLU of slope 0.2 between."""

    def __init__(self, sizes: Sequence[int], random: Random):
        super().__init__()
        self.count = len(sizes) - 1
        for i, (fan, out) in enumerate(pairwise(sizes)):
            weight = nn.init.kaiming_normal((out, fan), generator=random)
            setattr(self, f"weight{i}", nn.parameter(weight))
            setattr(self, f"bias{i}", nn.parameter(np.zeros(out, np.float32)))

    def weights(self) -> list[Tensor]:
        """Weight and bias of each layer, in order."""
        return [
            getattr(self, f"{kind}{i}") for i in range(self.count) for kind in ("weight", "bias")
        ]

    def forward(self, x: Tensor, weights: Sequence[Tensor] | None = None) -> Tensor:
        """(N, in) -> (N, out); with other weights than its own, on request."""
        weights = self.weights() if weights is None else weights
        for i in range(self.count):
            x = ops.linear(x, weights[2 * i], weights[2 * i + 1])
            if i < self.count - 1:
                x = ops.leaky_relu(x, negative_slope=0.2)
        return x


@dataclass(frozen=True)
class ToyReport:
    """What a step did: both losses, the mean probabilities of "real", the norms of both gradients."""

    step: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    d_gradient: float
    g_gradient: float


class ToyGame:
    """Two players, their optimisers, and the data that they play about.

    sampler  (count, random) -> float32 (count, 2), the real points
    """

    def __init__(self, settings: ToySettings, sampler: Sampler):
        weights, noise = (
            Random(int(word)) for word in np.random.SeedSequence(settings.seed).generate_state(2)
        )
        g_hidden = [settings.width] * settings.depth
        d_hidden = [settings.d_width or settings.width] * settings.depth
        self.generator = Perceptron([settings.latent, *g_hidden, 2], weights)
        self.discriminator = Perceptron([2 * settings.pack, *d_hidden, 1], weights)
        self.sampler = sampler
        self.steps = 0
        self._random = noise
        self._figures: dict[str, float] = {}
        self.change(settings)

    def change(self, settings: ToySettings) -> None:
        """Go on with other settings; the players stay as they are, their optimisers begin anew."""
        self.settings = settings
        self._adams: list[tuple[optim.Adam, float]] = []  # each with the rate that it began with
        self._g_optimizer = self._optimizer(self.generator, settings.lr)
        self._d_optimizer = self._optimizer(self.discriminator, settings.d_lr)

    def _optimizer(self, player: Perceptron, lr: float) -> Any:
        adam = optim.Adam(player.parameters(), lr, self.settings.betas)
        self._adams.append((adam, lr))
        wrap = {"extragradient": optim.Extragradient, "optimistic": optim.Optimistic}
        return wrap.get(self.settings.way, lambda inner: inner)(adam)

    # ------------------------------------------------------------------ steps

    def step(self) -> ToyReport:
        """One step of the generator, with what goes before it."""
        end = self.settings.decay
        factor = optim.linear_decay(end // 2, end)(self.steps) if end else 1.0
        for adam, lr in self._adams:
            adam.lr = lr * factor
        if self.settings.way == "alternating":
            for _ in range(self.settings.d_steps):
                self.d_step()
            self.g_step()
        else:
            self._together()
        return self.report()

    def d_step(self) -> None:
        """One step of the discriminator alone."""
        self._look(self.discriminator)
        self._d_optimizer.step()

    def g_step(self) -> None:
        """One step of the generator alone."""
        self._look(self.generator)
        self._g_optimizer.step()
        self.steps += 1

    def _together(self) -> None:
        """Both players by gradients of the same moment."""
        self._look(self.discriminator, self.generator)
        if self.settings.way == "extragradient":
            self._d_optimizer.extrapolate()
            self._g_optimizer.extrapolate()
            self._look(self.discriminator, self.generator)
        self._d_optimizer.step()
        self._g_optimizer.step()
        self.steps += 1

    def _look(self, *players: Perceptron) -> None:
        """Fill the gradients of some players, each by its own loss on a batch of its own."""
        for player in players:
            is_d = player is self.discriminator
            loss = self._d_loss() if is_d else self._g_loss()
            weights = player.weights()
            gradients = grad(loss, weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            norm = math.sqrt(sum(float(np.square(g.numpy(), dtype=float).sum()) for g in gradients))
            which = "d" if is_d else "g"
            self._figures |= {f"{which}_loss": loss.item(), f"{which}_gradient": norm}
            if not (math.isfinite(norm) and math.isfinite(loss.item())):
                raise NonFiniteError(
                    f"step {self.steps + 1}: the {'discriminator' if is_d else 'generator'}'s loss or "
                    "gradient is no number any more; a lower rate may help"
                )

    def report(self) -> ToyReport:
        """The figures of the last step."""
        nothing = dict.fromkeys(
            ("d_loss", "g_loss", "d_real", "d_fake", "d_gradient", "g_gradient"), 0.0
        )
        return ToyReport(step=self.steps, **{**nothing, **self._figures})

    # ------------------------------------------------------------------ losses

    def _d_loss(self) -> Tensor:
        with no_grad():  # this step does not move G
            fake = self.generator(self._noise())
        real = self._real()
        loss = self._d_loss_on(real, fake)
        kind = loss_named(self.settings.loss)
        if kind.penalty:
            alpha = Tensor(self._random.uniform((self.settings.batch // self.settings.pack,)))
            x, y = self._packed(real), self._packed(fake)
            loss = loss + self.settings.penalty * gradient_penalty(self.discriminator, x, y, alpha)
        if self.settings.r1:
            loss = loss + 0.5 * self.settings.r1 * self._squared_slope(self._packed(real))
        return loss

    def _d_loss_on(
        self, real: Tensor, fake: Tensor, weights: Sequence[Tensor] | None = None
    ) -> Tensor:
        both = ops.concatenate(
            self._packed(real), self._packed(fake)
        )  # one pass is faster than two
        count = both.shape[0] // 2
        both_said = self.discriminator(both, weights)
        said = [both_said[:count], both_said[count:]]
        if weights is None:
            beliefs = [float(discriminator_probability(x.detach()).mean()) for x in said]
            self._figures |= dict(zip(("d_real", "d_fake"), beliefs, strict=True))
        return loss_named(self.settings.loss).discriminator(said[0], said[1])

    def _squared_slope(self, x: Tensor) -> Tensor:
        """E |dD/dx|^2."""
        x = x.detach().requires_grad_()
        (slope,) = grad(self.discriminator(x).sum(), x, create_graph=True)
        return (slope * slope).sum(axis=1).mean()

    def _g_loss(self) -> Tensor:
        kind = loss_named(self.settings.loss)
        fake = self.generator(self._noise())
        weights = self._unrolled(fake) if self.settings.unroll else None
        real = None
        if kind.generator_sees_real:
            real = self.discriminator(self._packed(self._real()), weights)
        return kind.generator(real, self.discriminator(self._packed(fake), weights))

    def _unrolled(self, fake: Tensor) -> list[Tensor]:
        """The discriminator's weights after some steps on these points, as functions of the points.

        So the generator is told also how the discriminator will answer (Metz et al. 2017, equation 9).
        """
        real, weights = self._real(), self.discriminator.weights()
        for _ in range(self.settings.unroll):
            slopes = grad(self._d_loss_on(real, fake, weights), weights, create_graph=True)
            weights = [
                w - self.settings.unroll_lr * s for w, s in zip(weights, slopes, strict=True)
            ]
        return weights

    # ------------------------------------------------------------------ points

    def _noise(self) -> Tensor:
        return Tensor(self._random.normal((self.settings.batch, self.settings.latent)))

    def _real(self) -> Tensor:
        return Tensor(self.sampler(self.settings.batch, self._random.numpy()))

    def _packed(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N / pack, 2 pack): what the discriminator sees at a time."""
        return x if self.settings.pack == 1 else x.reshape(-1, 2 * self.settings.pack)

    def samples(self, count: int, seed: int = 0) -> Array:
        """Points of the generator's: float32 (count, 2), the same noise for the same seed."""
        noise = Random(seed).normal((count, self.settings.latent))
        with no_grad():
            return self.generator(Tensor(noise)).numpy()

    def beliefs(self, points: Array) -> Array:
        """D's probability of "real" at points (N, 2), each packed with copies of itself: (N,)."""
        packed = np.tile(np.asarray(points, np.float32), (1, self.settings.pack))
        with no_grad():
            return discriminator_probability(self.discriminator(Tensor(packed))).numpy().reshape(-1)

    def pushes(self, points: Array) -> Array:
        """Where the generator's loss would have its points move: minus its slope by each, (N, 2)."""
        x = Tensor(np.asarray(points, np.float32)).requires_grad_()
        kind = loss_named(self.settings.loss)
        packed = ops.concatenate(*[x] * self.settings.pack, axis=1)
        said = self.discriminator(packed)
        real = said.detach() if kind.generator_sees_real else None
        (slope,) = grad(kind.generator(real, said) * float(len(points)), x)
        return -slope.numpy()
