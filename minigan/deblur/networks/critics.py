"""The critics: each gives a number to every patch of a picture, high where it looks sharp."""

from __future__ import annotations

from minigan import nn, ops
from minigan.core.tensor import Tensor
from minigan.deblur.networks.parts import start
from minigan.deblur.networks.resnet import STD
from minigan.deblur.networks.settings import CriticSettings

LEAK = 0.2  # slope of the leaky ReLUs below 0: Radford et al. 2016, section 3


class ConditionalCritic(nn.Module):
    """Judges a candidate beside the blurry picture, (N, 3, H, W) each -> (N, 1, H / 8, W / 8).

    Each number sees a patch of 38 x 38 pixels. A candidate has to look sharp and also to fit its blurry
    picture, which keeps the generator from inventing texture.
    """

    def __init__(self, settings: CriticSettings | None = None):
        super().__init__()
        w = (settings or CriticSettings()).width
        self.layers = nn.Sequential(
            nn.Conv2d(6, w, 4, stride=2, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(w, 2 * w, 4, stride=2, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(2 * w, 4 * w, 4, stride=2, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(4 * w, 1, 3, padding=1),
        )
        start(self, negative_slope=LEAK)

    def forward(self, blurry: Tensor, candidate: Tensor) -> Tensor:
        """(N, 3, H, W) twice -> (N, 1, H / 8, W / 8)."""
        return self.layers(ops.concatenate(blurry, candidate, axis=1) - 0.5)


class PatchCritic(nn.Module):
    """The critic of "DeblurGAN" (Kupyn et al. 2018), as its code builds it; 70 x 70 pixels a number.

    4x4 convolutions with padding 2, of w, 2w, 4w (stride 2), 8w and 1 channels (stride 1), each but the
    first and the last with instance norm. It sees the candidate only. With w = 64 it has 2,764,737
    parameters.
    """

    def __init__(self, settings: CriticSettings):
        super().__init__()
        w = settings.width

        def normed(channels: int, out: int, stride: int) -> list[nn.Module]:
            convolution = nn.Conv2d(channels, out, 4, stride=stride, padding=2)
            return [convolution, nn.InstanceNorm2d(out), nn.LeakyReLU(LEAK)]

        self.layers = nn.Sequential(
            nn.Conv2d(3, w, 4, stride=2, padding=2),
            nn.LeakyReLU(LEAK),
            *normed(w, 2 * w, 2),
            *normed(2 * w, 4 * w, 2),
            *normed(4 * w, 8 * w, 1),
            nn.Conv2d(8 * w, 1, 4, padding=2),
        )
        start(self, std=STD)

    def forward(self, blurry: Tensor, candidate: Tensor) -> Tensor:
        """(N, 3, H, W) twice -> (N, 1, h, w), h and w about an eighth of H and W."""
        return self.layers(2 * candidate - 1)


Critic = ConditionalCritic | PatchCritic
