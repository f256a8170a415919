"""The two players: a generator that turns noise into images, and a discriminator that judges them.

Both are plain chains of layers that double or halve the side of the image twice, so the side must be
a multiple of 4. With noise images of L x K, images of S x S, a width w and s = S / 4:

    generator                                    discriminator
    noise         (N, 1, L, K)                   image         (N, 1, S, S)
    flatten       (N, L K)                       convolution   (N, w, S, S)     leaky ReLU
    linear        (N, 4w s s)       ReLU         max-pooling   (N, w, 2s, 2s)
    unflatten     (N, 4w, s, s)                  convolution   (N, 2w, 2s, 2s)  leaky ReLU
    upsampling    (N, 4w, 2s, 2s)                max-pooling   (N, 2w, s, s)
    convolution   (N, 2w, 2s, 2s)   ReLU         flatten       (N, 2w s s)
    upsampling    (N, 2w, S, S)                  linear        (N, 8w)          leaky ReLU
    convolution   (N, w, S, S)      ReLU         linear        (N, 1)
    convolution   (N, 1, S, S)      sigmoid      flatten       (N,)             one logit per image

Upsampling and then a convolution stands in place of a transposed convolution, whose overlapping
windows print a checkerboard (Odena et al. 2016). The discriminator's ReLUs leak (Radford et al. 2016,
section 3), because all that the generator learns has to come back through them.
"""

from __future__ import annotations

import math

import numpy as np

from minigan import nn
from minigan.core.errors import ArgumentError
from minigan.nn import init
from minigan.ops.random import Generator as Random

LEAK = 0.2  # slope of the discriminator's leaky ReLUs below 0: Radford et al. 2016, section 3

# The generator's last weights begin this many times larger than He's rule has them, so that its first
# images are black-and-white noise. From evenly grey images every pixel is pulled towards black at once,
# as most of a digit's picture is; the sigmoid saturates there, and no gradient leads back.
CONTRAST = 4.0


def generator(noise_shape: tuple[int, int], size: int, width: int, random: Random) -> nn.Sequential:
    """G: noise (N, 1, L, K) -> images (N, 1, size, size) in [0, 1].

    noise_shape  (L, K), the height and width of a noise image
    size         side of the images in pixels, a multiple of 4
    width        channels of the last convolution but one; the first has four times as many
    random       where the initial weights are drawn from
    """
    _check_sizes("generator", size, width)
    if min(noise_shape) < 1:
        raise ArgumentError(f"generator: noise_shape is {noise_shape}; both must be at least 1")
    side = size // 4
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(noise_shape), 4 * width * side * side),
        nn.ReLU(),
        nn.Unflatten(1, (4 * width, side, side)),
        nn.Upsample(2),
        nn.Conv2d(4 * width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(2),
        nn.Conv2d(2 * width, width, 3, padding=1),
        nn.ReLU(),
        last := nn.Conv2d(width, 1, 3, padding=1),
        nn.Sigmoid(),
    )
    _draw_weights(network, 0.0, random)
    last.weight.copy_(CONTRAST * last.weight.numpy())
    return network


def discriminator(size: int, width: int, random: Random) -> nn.Sequential:
    """D: images (N, 1, size, size) -> logits (N,); the higher, the likelier real.

    size    side of the images in pixels, a multiple of 4
    width   channels of the first convolution; the second has twice as many
    random  where the initial weights are drawn from
    """
    _check_sizes("discriminator", size, width)
    side = size // 4
    network = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.LeakyReLU(LEAK),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.LeakyReLU(LEAK),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * side * side, 8 * width),
        nn.LeakyReLU(LEAK),
        nn.Linear(8 * width, 1),
        nn.Flatten(0),
    )
    _draw_weights(network, LEAK, random)
    return network


def _draw_weights(network: nn.Module, leak: float, random: Random) -> None:
    """He's normal weights and biases of 0, in the order of the layers."""
    for name, tensor in network.named_parameters():
        if name.endswith("weight"):
            tensor.copy_(init.kaiming_normal(tensor.shape, leak, random))
        else:
            tensor.copy_(np.zeros(tensor.shape, np.float32))


def _check_sizes(network: str, size: int, width: int) -> None:
    if size < 4 or size % 4:
        raise ArgumentError(f"{network}: size is {size}; it needs a multiple of 4, as in 8 or 28")
    if width < 1:
        raise ArgumentError(f"{network}: width is {width}; it needs to be at least 1")
