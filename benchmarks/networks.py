"""The networks that benchmarks train, made of minigan's layers or, word for word, of PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import nn


def generator(lib: Any, width: int = 32, blocks: int = 8) -> Any:
    """Of small DeblurGAN's kind: 7x7, two steps down, convolutions, two steps up, 7x7.

    lib  minigan.nn or torch.nn
    """

    def stage(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[Any]:
        conv = lib.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        return [conv, *normalized_relu(lib, outputs)]

    def doubled_stage(inputs: int, outputs: int) -> list[Any]:
        if lib is nn:
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, upsample=2)
            return [conv, *normalized_relu(lib, outputs)]
        return [lib.Upsample(scale_factor=2), *stage(inputs, outputs, 3)]

    w = width
    return lib.Sequential(
        *stage(3, w, 7),
        *stage(w, 2 * w, 3, 2),
        *stage(2 * w, 4 * w, 3, 2),
        *(layer for _ in range(blocks) for layer in stage(4 * w, 4 * w, 3)),
        *doubled_stage(4 * w, 2 * w),
        *doubled_stage(2 * w, w),
        lib.Conv2d(w, 3, 7, padding=3),
    )


def critic(lib: Any, width: int = 32) -> Any:
    """DeblurGAN's critic of patches (Isola et al. 2017, appendix 6.1.2), with `width` for its 64."""
    channels = [width, 2 * width, 4 * width, 8 * width]
    layers = [lib.Conv2d(3, width, 4, stride=2, padding=1), lib.LeakyReLU(0.2)]
    for inputs, outputs, stride in zip(channels, channels[1:], (2, 2, 1), strict=False):
        layers.append(lib.Conv2d(inputs, outputs, 4, stride=stride, padding=1))
        layers += [lib.InstanceNorm2d(outputs), lib.LeakyReLU(0.2)]
    return lib.Sequential(*layers, lib.Conv2d(channels[-1], 1, 4, padding=1))


def normalized_relu(lib: Any, channels: int) -> list[Any]:
    """Instance norm, then ReLU: one layer where the library has both in one."""
    if lib is nn:
        return [lib.InstanceNorm2d(channels, relu=True)]
    return [lib.InstanceNorm2d(channels), lib.ReLU()]


def weights(network: Any) -> list[np.ndarray]:
    """Copies of all parameters, in order."""
    return [p.numpy().copy() for p in network.parameters()]


def load(network: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The PyTorch network, with these parameters."""
    import torch

    with torch.no_grad():
        for p, array in zip(network.parameters(), arrays, strict=True):
            p.copy_(torch.from_numpy(array))
    return network
