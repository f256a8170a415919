"""Schedules of the learning rate: functions of the step, and an optimiser that follows one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from minigan.core.errors import ArgumentError
from minigan.core.tensor import Array
from minigan.optim.optimizers import Optimizer

Schedule = Callable[[int], float]  # the step, counted from 0 -> a factor on the rate


def constant() -> Schedule:
    """The rate as it is."""
    return lambda step: 1.0


def linear_decay(start: int, end: int) -> Schedule:
    """1 until step `start`, then straight down to 0 at step `end` (DeblurGAN's schedule)."""
    if not 0 <= start < end:
        raise ArgumentError(f"linear_decay: from {start} to {end}; it needs 0 <= start < end")
    return lambda step: min(1.0, max(0.0, (end - step) / (end - start)))


def cosine_decay(end: int, floor: float = 0.0, warmup: int = 0) -> Schedule:
    """Straight up over `warmup` steps, then half a cosine down to `floor` at step `end`.

    Loshchilov & Hutter 2017, equation 5, without restarts.
    """
    if not 0 <= warmup < end:
        raise ArgumentError(f"cosine_decay: warmup {warmup} of {end}; it needs 0 <= warmup < end")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min(1.0, (step - warmup) / (end - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


class Scheduled:
    """An optimiser whose rate follows a schedule; it is used in the optimiser's place.

    The rate at the time of wrapping is the one that the schedule's factors multiply.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule):
        self.optimizer, self.schedule = optimizer, schedule
        self.base_lr = optimizer.lr

    def step(self) -> None:
        """Set the rate for this step, then take it."""
        self.optimizer.lr = float(self.base_lr * self.schedule(self.optimizer.steps))
        self.optimizer.step()

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Array]:
        """The optimiser's; the schedule goes by its count of steps and has no state of its own."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """The optimiser's; the schedule goes on from its count of steps."""
        self.optimizer.load_state_dict(state)

    @property
    def lr(self) -> float:
        """The rate of the last step (before the first: the rate that the factors multiply)."""
        return self.optimizer.lr

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return self.optimizer.steps
