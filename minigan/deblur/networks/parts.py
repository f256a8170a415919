"""What the networks are built of: residual blocks, layers that double the scale, first weights."""

from __future__ import annotations

from functools import cache

import numpy as np

from minigan import nn, ops
from minigan.core.errors import ShapeError
from minigan.core.tensor import Array, Tensor
from minigan.deblur.networks.settings import GeneratorSettings
from minigan.nn import init


class ResidualBlock(nn.Module):
    """x + conv(dropout(relu(conv(x)))), with instance norm after each convolution on request.

    reflect  mirror the borders, rather than pad with zeros
    """

    def __init__(self, channels: int, settings: GeneratorSettings, reflect: bool = False):
        super().__init__()
        instance, padding = settings.norm == "instance", 0 if reflect else 1
        self.pad = nn.ReflectionPad2d(1) if reflect else None
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=padding, relu=not instance)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=padding)
        self.norm1 = nn.InstanceNorm2d(channels, relu=True) if instance else None
        self.norm2 = nn.InstanceNorm2d(channels) if instance else None
        self.dropout = nn.Dropout(settings.dropout) if settings.dropout else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y = self.conv1(x if self.pad is None else self.pad(x))
        y = y if self.norm1 is None else self.norm1(y)
        y = y if self.dropout is None else self.dropout(y)
        y = self.conv2(y if self.pad is None else self.pad(y))
        return x + (y if self.norm2 is None else self.norm2(y))


def doubling(channels: int, out: int, settings: GeneratorSettings, relu: bool) -> nn.Module:
    """A layer (N, channels, H, W) -> (N, out, 2H, 2W), followed by ReLU on request."""
    if settings.up == "upsample":
        return nn.Conv2d(channels, out, 3, padding=1, upsample=2, relu=relu)
    transposed = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(transposed, nn.ReLU()) if relu else transposed


def with_noise(blurry: Tensor, noise: Tensor | None, settings: GeneratorSettings) -> Tensor:
    """The blurry picture and the noise side by side in channels; ShapeError if they do not fit."""
    n, _, height, width = blurry.shape
    wanted = (n, settings.noise_channels, height, width)
    if settings.noise_channels == 0:
        if noise is not None and noise.numel():
            raise ShapeError(f"generator: noise has shape {noise.shape}; this one takes no noise")
        return blurry
    if noise is None or noise.shape != wanted:
        shape = None if noise is None else noise.shape
        raise ShapeError(f"generator: noise has shape {shape}; it needs {wanted}")
    return ops.concatenate(blurry, noise, axis=1)


def fixed_noise(channels: int, rows: Array, columns: Array) -> Array:
    """The noise images that a trained generator is used with, float32 (channels, rows, columns).

    rows, columns  where in the picture: a pixel gets the same noise in whatever tile it comes

    Standard normal, and repeated every `NOISE_PERIOD` pixels.
    """
    return _noise(channels)[:, (rows % NOISE_PERIOD)[:, None], columns % NOISE_PERIOD]


NOISE_PERIOD = 256


@cache
def _noise(channels: int) -> Array:
    rng = np.random.default_rng(NOISE_PERIOD)
    return rng.standard_normal((channels, NOISE_PERIOD, NOISE_PERIOD), dtype=np.float32)


def start(module: nn.Module, negative_slope: float = 0.0, std: float | None = None) -> None:
    """Biases at 0; weights normal with deviation `std`, without one by He et al.'s rule."""
    for name, t in module.named_parameters():
        if name.endswith("bias"):
            t.copy_(np.zeros(t.shape))
        elif std is not None:
            t.copy_(init.normal(t.shape, std))
        else:
            t.copy_(init.kaiming_normal(t.shape, negative_slope))
