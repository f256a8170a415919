"""The generator of "DeblurGAN" (Kupyn et al., CVPR 2018, section 3.2), as its code builds it.

    mirrored 7x7 convolution  3 -> w      then instance norm, ReLU
    3x3, stride 2             w -> 2w     then instance norm, ReLU
    3x3, stride 2            2w -> 4w     then instance norm, ReLU
    residual blocks          4w           9 of them: mirrored 3x3, norm, ReLU, dropout, mirrored 3x3, norm
    doubled 3x3              4w -> 2w     then instance norm, ReLU
    doubled 3x3              2w -> w      then instance norm, ReLU
    mirrored 7x7              w -> 3      then tanh
    added to the blurry picture, and clipped

It works on pictures in [-1, 1]. With w = 64 and 9 blocks it has 11,378,179 parameters.
"""

from __future__ import annotations

from minigan import nn, ops
from minigan.core.tensor import Tensor
from minigan.deblur.networks.parts import ResidualBlock, doubling, start, with_noise
from minigan.deblur.networks.settings import GeneratorSettings

STD = 0.02  # of the first weights, as in the published code


class ResnetGenerator(nn.Module):
    """Blurry (N, 3, H, W) in [0, 1] -> restored in [0, 1], the same shape; H and W multiples of 4."""

    def __init__(self, settings: GeneratorSettings):
        super().__init__()
        self.settings = settings
        w, relu = settings.width, settings.norm == "none"

        def norm(channels: int) -> list[nn.Module]:
            return [] if relu else [nn.InstanceNorm2d(channels, relu=True)]

        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(3 + settings.noise_channels, w, 7, relu=relu),
            *norm(w),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, relu=relu),
            *norm(2 * w),
            nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1, relu=relu),
            *norm(4 * w),
            *(ResidualBlock(4 * w, settings, reflect=True) for _ in range(settings.blocks)),
            doubling(4 * w, 2 * w, settings, relu),
            *norm(2 * w),
            doubling(2 * w, w, settings, relu),
            *norm(w),
            nn.ReflectionPad2d(3),
            nn.Conv2d(w, 3, 7),
            nn.Tanh(),
        )
        start(self, std=STD)

    def forward(self, blurry: Tensor, noise: Tensor | None = None) -> Tensor:
        """(N, 3, H, W) -> (N, 3, H, W)."""
        centred = 2 * blurry - 1
        change = self.layers(with_noise(centred, noise, self.settings))
        return (ops.clip(centred + change, min=-1.0, max=1.0) + 1) / 2
