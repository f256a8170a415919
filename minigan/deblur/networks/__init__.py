"""The networks of the deblurring GAN: a small U-Net and critic of our own, and those of DeblurGAN."""

from __future__ import annotations

from minigan import nn
from minigan.deblur.networks.critics import ConditionalCritic, Critic, PatchCritic
from minigan.deblur.networks.parts import fixed_noise
from minigan.deblur.networks.resnet import ResnetGenerator
from minigan.deblur.networks.settings import SCALE, CriticSettings, GeneratorSettings
from minigan.deblur.networks.unet import UnetGenerator

__all__ = [
    "SCALE",
    "ConditionalCritic",
    "Critic",
    "CriticSettings",
    "GeneratorSettings",
    "PatchCritic",
    "ResnetGenerator",
    "UnetGenerator",
    "fixed_noise",
    "new_critic",
    "new_generator",
]


def new_generator(settings: GeneratorSettings) -> nn.Module:
    """An untrained generator: blurry (N, 3, H, W) in [0, 1] -> restored, the same shape.

    H and W are multiples of `SCALE`. With noise channels it takes them as a second argument, (N,
    noise_channels, H, W). Its first weights are drawn from the library's default random generator.
    """
    return (
        ResnetGenerator(settings) if settings.architecture == "resnet" else UnetGenerator(settings)
    )


def new_critic(settings: CriticSettings) -> Critic:
    """An untrained critic: (blurry, candidate), (N, 3, H, W) each -> a number a patch, (N, 1, h, w)."""
    return (
        PatchCritic(settings) if settings.architecture == "patch" else ConditionalCritic(settings)
    )
