"""Optimisers, schedules of their rates, and steps for games of several players."""

from minigan.optim.games import Extragradient, Optimistic
from minigan.optim.optimizers import SGD, Adam, Momentum, Optimizer, RMSprop
from minigan.optim.schedules import (
    Schedule,
    Scheduled,
    constant,
    cosine_decay,
    linear_decay,
)

__all__ = [
    "SGD",
    "Adam",
    "Extragradient",
    "Momentum",
    "Optimistic",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "Scheduled",
    "constant",
    "cosine_decay",
    "linear_decay",
]
