"""Initial values of weights, as float32 arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minigan.core.tensor import Array
from minigan.ops.random import Generator, default_generator


def fan_in(shape: Sequence[int]) -> int:
    """How many inputs one output of a weight (out, in, ...) sums over."""
    return math.prod(shape[1:])


def normal(shape: Sequence[int], std: float, generator: Generator | None = None) -> Array:
    """Normal with mean 0; DeblurGAN's networks begin with std = 0.02."""
    return (generator or default_generator).normal(shape, std)


def kaiming_normal(
    shape: Sequence[int], negative_slope: float = 0.0, generator: Generator | None = None
) -> Array:
    """Normal with std sqrt(2 / ((1 + a^2) fan_in)): keeps variance through (leaky) ReLU layers.

    He et al. 2015, "Delving deep into rectifiers", equations 10 and 15.
    """
    return normal(shape, math.sqrt(2 / ((1 + negative_slope**2) * fan_in(shape))), generator)


def default_uniform(shape: Sequence[int], fan: int, generator: Generator | None = None) -> Array:
    """Uniform in +-1 / sqrt(fan): how PyTorch begins its linear and convolution layers."""
    bound = 1 / math.sqrt(max(fan, 1))
    return (generator or default_generator).uniform(shape, -bound, bound)
