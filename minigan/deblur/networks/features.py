"""Networks whose features say how alike two pictures look: VGG's kind, from a safetensors file.

A file holds such a network under the names that PyTorch gives the layers of a sequence: N.weight and
N.bias of the N-th layer, with or without something before it ("features.14.weight", as in torchvision's
VGG19). Layers without weights leave gaps in the numbers, and these tell what they are:

    convolution, ReLU                 the next convolution is two numbers on
    convolution, ReLU, max-pooling    three
    with batch norm                   its weights have a number, too
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from typing import NamedTuple

import numpy as np

from minigan import nn, serialize
from minigan.core.errors import ModelFileError
from minigan.core.tensor import Array, Tensor

# What torchvision's networks are trained with, by colour: mean and deviation of ImageNet's pictures.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NORM_EPS = 1e-5  # of PyTorch's batch norm


class Standardize(nn.Module):
    """Pictures (N, 3, H, W) in [0, 1] -> mean 0 and deviation 1 in each colour, over ImageNet."""

    buffers = ("mean", "std")

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.std = (Tensor(_by_colour(values)) for values in (MEAN, STD))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> the same shape."""
        return (x - self.mean) / self.std


class FeatureNetwork(nn.Module):
    """The first layers of a network: pictures (N, 3, H, W) in [0, 1] -> features (N, C, h, w).

    arrays  of a trained network, by the names above
    layer   the convolution that gives the features, before its ReLU (with batch norm: after that), by
            VGG's names: "conv3_2" is the second convolution after two poolings

    Its weights do not learn. Raises ModelFileError for arrays that are no such network, and for a layer
    that it has not.
    """

    def __init__(self, arrays: Mapping[str, Array], layer: str):
        super().__init__()
        stages = _stages(arrays)
        names = [stage.name for stage in stages]
        if layer not in names:
            raise ModelFileError(f"it has no layer {layer!r}; it has {', '.join(names)}")
        layers: list[nn.Module] = []
        for stage in stages[: names.index(layer) + 1]:
            out, channels, *kernel = stage.weight.shape
            convolution = nn.Conv2d(
                channels, out, tuple(kernel), padding=kernel[0] // 2, relu=stage.name != layer
            )
            convolution.load_state_dict({"weight": stage.weight, "bias": stage.bias})
            layers += [nn.MaxPool2d(2), convolution] if stage.pooled else [convolution]
        self.layers = nn.Sequential(Standardize(), *layers)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, C, h, w)."""
        return self.layers(x)

    @cached_property
    def checksum(self) -> str:
        """Changes with any weight."""
        return "".join(serialize.checksum(a)[:8] for a in self.state_dict().values())


def load_features(path: str | None, layer: str) -> FeatureNetwork:
    """The network of features in a safetensors file; without one, that which minigan trained itself.

    Raises ModelFileError, which names the file.
    """
    if path is not None:
        return _named(path, serialize.load_foreign(path), layer)
    with resources.as_file(resources.files("minigan.deblur") / "weights" / OWN) as file:
        return _named(str(file), serialize.load(file)[0], layer)


OWN = "features.safetensors"  # in the package's folder `weights`


def _named(path: str, arrays: Mapping[str, Array], layer: str) -> FeatureNetwork:
    try:
        return FeatureNetwork(arrays, layer)
    except ModelFileError as error:
        raise ModelFileError(f"{path} cannot serve as a network of features: {error}") from error


def _by_colour(values: tuple[float, ...]) -> Array:
    return np.array(values, np.float32).reshape(1, 3, 1, 1)


# ---------------------------------------------------------------------- which layers there are


class _Stage(NamedTuple):
    """A convolution: VGG's name for it, whether pictures are pooled before it, and its weights."""

    name: str
    pooled: bool
    weight: Array  # (out, in, kh, kw)
    bias: Array  # (out,)


def _stages(arrays: Mapping[str, Array]) -> list[_Stage]:
    """The network's convolutions in order."""
    prefix, numbers = _convolutions(arrays)
    stages: list[_Stage] = []
    block, place, channels = 1, 0, 3
    for number, before in zip(numbers, [None, *numbers], strict=False):
        pooled = before is not None and _pooled_between(arrays, prefix, before, number)
        block, place = (block + 1, 1) if pooled else (block, place + 1)
        weight, bias = _weights(arrays, f"{prefix}{number}", channels)
        if f"{prefix}{number + 1}.running_mean" in arrays:
            weight, bias = _with_norm(arrays, f"{prefix}{number + 1}", weight, bias)
        stages.append(_Stage(f"conv{block}_{place}", pooled, weight, bias))
        channels = len(weight)
    return stages


def _convolutions(arrays: Mapping[str, Array]) -> tuple[str, list[int]]:
    """What stands before the numbers of the first sequence that has convolutions; their numbers."""
    found: dict[str, list[int]] = {}
    for name, array in arrays.items():
        match = re.fullmatch(r"(.*\.|)(\d{1,4})\.weight", name)
        if match and array.ndim == 4:
            found.setdefault(match[1], []).append(int(match[2]))
    if not found:
        raise ModelFileError(
            "no tensor of four dimensions has a name such as 'features.0.weight', as PyTorch names the "
            "convolutions of a sequence"
        )
    prefix = "features." if "features." in found else min(found)
    return prefix, sorted(found[prefix])


def _pooled_between(arrays: Mapping[str, Array], prefix: str, first: int, second: int) -> bool:
    """Whether there is a max-pooling between two convolutions, by the gap in their numbers."""
    between = second - first - 1 - (f"{prefix}{first + 1}.running_mean" in arrays)
    if between not in (1, 2):
        raise ModelFileError(
            f"between its layers {prefix}{first} and {prefix}{second} there are {between} without "
            "weights; it needs one (ReLU) or two (ReLU and max-pooling)"
        )
    return between == 2


def _weights(arrays: Mapping[str, Array], layer: str, channels: int) -> tuple[Array, Array]:
    weight = arrays[f"{layer}.weight"]
    out, found, height, width = weight.shape
    bias = arrays.get(f"{layer}.bias", np.zeros(out, np.float32))
    if found != channels or height != width or height % 2 == 0 or bias.shape != (out,):
        raise ModelFileError(
            f"{layer}.weight has shape {weight.shape} and its bias {bias.shape}; after {channels} "
            f"channels it needs (out, {channels}, k, k) with an odd k, and (out,)"
        )
    for array in (weight, bias):
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ModelFileError(f"{layer} holds values that are no finite numbers")
    return weight.astype(np.float32), bias.astype(np.float32)


def _with_norm(
    arrays: Mapping[str, Array], norm: str, weight: Array, bias: Array
) -> tuple[Array, Array]:
    """The convolution with the batch norm behind it, as one: w s and (b - m) s + c, s = g / sqrt(v)."""
    names = ("weight", "bias", "running_mean", "running_var")
    try:
        g, c, m, v = (arrays[f"{norm}.{name}"].astype(np.float32) for name in names)
    except KeyError as error:
        raise ModelFileError(f"its batch norm {norm} lacks {error}") from None
    if not all(a.shape == bias.shape and np.isfinite(a).all() for a in (g, c, m, v)) or v.min() < 0:
        raise ModelFileError(f"its batch norm {norm} needs {len(bias)} finite numbers of each kind")
    scale = g / np.sqrt(v + np.float32(_NORM_EPS))
    return weight * scale[:, None, None, None], (bias - m) * scale + c
