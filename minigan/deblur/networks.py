"""The two networks of the deblurring GAN: a residual generator, and a critic that judges patches.

The generator learns what to add to the blurry picture (global skip). It works on three scales, as a
U-Net: two convolutions of stride 2 lead down, residual blocks work on the coarsest scale, where a pixel
sees far at little cost, and upsampling followed by convolution leads back up (transposed convolutions
leave checkerboards). Kupyn et al. 2018 build theirs of the same parts, without the skips between scales.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigan import nn, ops
from minigan.core.errors import ArgumentError
from minigan.core.tensor import Tensor
from minigan.nn import init

SCALE = 4  # the generator halves its input twice: sides are multiples of this


@dataclass(frozen=True)
class GeneratorSettings:
    """width: channels on the finest scale; blocks: residual blocks on the coarsest; norm: in them."""

    width: int = 16
    blocks: int = 4
    norm: str = "none"

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0:
            raise ArgumentError(
                f"GeneratorSettings: width is {self.width} and blocks {self.blocks}; it needs a "
                "positive width and no negative number of blocks"
            )
        if self.norm not in ("none", "instance"):
            raise ArgumentError(
                f"GeneratorSettings: norm is {self.norm!r}; it needs 'none' or 'instance'"
            )


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), with instance norm after each convolution on request."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        instance = norm == "instance"
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, relu=not instance)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.InstanceNorm2d(channels, relu=True) if instance else None
        self.norm2 = nn.InstanceNorm2d(channels) if instance else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y = self.conv1(x)
        y = self.conv2(y if self.norm1 is None else self.norm1(y))
        return x + (y if self.norm2 is None else self.norm2(y))


class Generator(nn.Module):
    """Blurry (N, 3, H, W) in [0, 1] -> restored, the same shape; H and W are multiples of 4.

    The result is not clipped: a clipped pixel would pass no gradient. Clip it before use.
    """

    def __init__(self, settings: GeneratorSettings | None = None):
        super().__init__()
        settings = settings or GeneratorSettings()
        w = settings.width
        self.enter = nn.Conv2d(3, w, 3, padding=1, relu=True)
        self.down1 = nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, relu=True)
        self.down2 = nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1, relu=True)
        blocks = [ResidualBlock(4 * w, settings.norm) for _ in range(settings.blocks)]
        self.blocks = nn.Sequential(*blocks)
        self.up1 = nn.Conv2d(4 * w, 2 * w, 3, padding=1, upsample=2, relu=True)
        self.up2 = nn.Conv2d(2 * w, w, 3, padding=1, upsample=2, relu=True)
        self.leave = nn.Conv2d(w, 3, 3, padding=1)
        _start(self)
        # The network begins as the identity: what it adds is 0, and every block adds little.
        self.leave.weight.copy_(np.zeros(self.leave.weight.shape))
        for block in blocks:
            block.conv2.weight.copy_(block.conv2.weight * 0.1)

    def forward(self, blurry: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        fine = self.enter(blurry - 0.5)
        middle = self.down1(fine)
        coarse = self.blocks(self.down2(middle))
        middle = self.up1(coarse) + middle
        fine = self.up2(middle) + fine
        return blurry + self.leave(fine)


class Critic(nn.Module):
    """Judges patches: the blurry picture and a candidate, (N, 3, H, W) each -> logits (N, 1, h, w).

    Each logit sees a patch of 38 x 38 pixels. It is conditional: a candidate has to look sharp and
    also to fit its blurry picture, which keeps the generator from inventing texture.
    """

    def __init__(self, width: int = 16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(6, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )
        _start(self, negative_slope=0.2)

    def forward(self, blurry: Tensor, candidate: Tensor) -> Tensor:
        """(N, 3, H, W) twice -> (N, 1, H / 8, W / 8)."""
        return self.layers(ops.concatenate(blurry, candidate, axis=1) - 0.5)


def _start(module: nn.Module, negative_slope: float = 0.0) -> None:
    """Weights by He et al.'s rule, biases at 0."""
    for name, t in module.named_parameters():
        if name.endswith("bias"):
            t.copy_(np.zeros(t.shape))
        else:
            t.copy_(init.kaiming_normal(t.shape, negative_slope))
