"""Our generator: a small residual U-Net.

It learns what to add to the blurry picture (global skip), and works on three scales: two convolutions
of stride 2 lead down, residual blocks work on the coarsest scale, where a pixel sees far at little cost,
and upsampling followed by convolution leads back up, with skips between equal scales.
"""

from __future__ import annotations

import numpy as np

from minigan import nn
from minigan.core.tensor import Tensor
from minigan.deblur.networks.parts import ResidualBlock, doubling, start, with_noise
from minigan.deblur.networks.settings import GeneratorSettings


class UnetGenerator(nn.Module):
    """Blurry (N, 3, H, W) in [0, 1] -> restored, the same shape; H and W are multiples of 4.

    The result is not clipped: a clipped pixel would pass no gradient. Clip it before use.
    """

    def __init__(self, settings: GeneratorSettings | None = None):
        super().__init__()
        self.settings = settings = settings or GeneratorSettings()
        w = settings.width
        self.enter = nn.Conv2d(3 + settings.noise_channels, w, 3, padding=1, relu=True)
        self.down1 = nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, relu=True)
        self.down2 = nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1, relu=True)
        blocks = [ResidualBlock(4 * w, settings) for _ in range(settings.blocks)]
        self.blocks = nn.Sequential(*blocks)
        self.up1 = doubling(4 * w, 2 * w, settings, relu=True)
        self.up2 = doubling(2 * w, w, settings, relu=True)
        self.leave = nn.Conv2d(w, 3, 3, padding=1)
        start(self)
        # The network begins as the identity: what it adds is 0, and every block adds little.
        self.leave.weight.copy_(np.zeros(self.leave.weight.shape))
        for block in blocks:
            block.conv2.weight.copy_(block.conv2.weight * 0.1)

    def forward(self, blurry: Tensor, noise: Tensor | None = None) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        fine = self.enter(with_noise(blurry - 0.5, noise, self.settings))
        middle = self.down1(fine)
        coarse = self.blocks(self.down2(middle))
        middle = self.up1(coarse) + middle
        fine = self.up2(middle) + fine
        return blurry + self.leave(fine)
