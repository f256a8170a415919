"""Layers under PyTorch's names, with PyTorch's initial values and, where an argument exists there,
its name and place (but for Upsample, which takes the scale factor first, and no size).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigan import ops
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import mode
from minigan.core.tensor import Tensor
from minigan.devices.cpu.layout import taps_first, taps_last
from minigan.nn import init
from minigan.nn.module import Module, parameter
from minigan.ops.checks import pair
from minigan.ops.random import Generator

Size = int | tuple[int, int]


class Sequential(Module):
    """Layers one after the other; named "0", "1", ... in the state."""

    def __init__(self, *layers: Module):
        super().__init__()
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise ArgumentError(
                    f"Sequential: layer {i} is of type {type(layer).__name__}; it needs a Module"
                )
            setattr(self, str(i), layer)

    def __iter__(self) -> Iterator[Module]:
        return (layer for _, layer in self.children())

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __getitem__(self, index: int) -> Module:
        return [layer for _, layer in self.children()][index]

    def forward(self, x: Tensor) -> Tensor:
        """Each layer applied to the result of the one before."""
        for layer in self:
            x = layer(x)
        return x


class Linear(Module):
    """y = W x + b for x (..., in_features)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        _check_positive("Linear", in_features=in_features, out_features=out_features)
        shape = (out_features, in_features)
        self.weight = parameter(init.default_uniform(shape, in_features))
        self.bias = parameter(init.default_uniform((out_features,), in_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return ops.linear(x, self.weight, self.bias)

    def describe(self) -> str:
        out_features, in_features = self.weight.shape
        return f"{in_features}, {out_features}, bias={self.bias is not None}"


def _convolution_weight(shape: Sequence[int], fan: int) -> Tensor:
    """(out, in, kh, kw), which lies in memory tap by tap: so the CPU multiplies by it without a copy."""
    values = init.default_uniform(shape, fan)
    return Tensor(taps_last(taps_first(values))).requires_grad_()


class Conv2d(Module):
    """Convolution of images; see minigan.ops.conv.

    With `upsample`, of images made larger first, as by Upsample(upsample); with `relu`, rectified: each
    time one operation for both.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        upsample: Size = 1,
        relu: bool = False,
    ):
        super().__init__()
        _check_groups("Conv2d", in_channels, out_channels, groups)
        shape = (out_channels, in_channels // groups, *pair("Conv2d", "kernel_size", kernel_size))
        fan = init.fan_in(shape)
        self.weight = _convolution_weight(shape, fan)
        self.bias = parameter(init.default_uniform((out_channels,), fan)) if bias else None
        self.how: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "upsample": upsample,
        }
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H', W')."""
        convolve = ops.conv2d_relu if self.relu else ops.conv2d
        return convolve(x, self.weight, self.bias, **self.how)

    def describe(self) -> str:
        o, c, kh, kw = self.weight.shape
        ours = {"upsample": 1, "relu": False}  # not PyTorch's: shown where they are in use
        settings = {**self.how, "relu": self.relu}.items()
        shown = {name: value for name, value in settings if ours.get(name) != value}
        settings = ", ".join(f"{name}={value}" for name, value in shown.items())
        sizes = f"{c * self.how['groups']}, {o}, kernel_size=({kh}, {kw})"
        return f"{sizes}, {settings}, bias={self.bias is not None}"


class ConvTranspose2d(Module):
    """Transposed convolution: the adjoint of Conv2d with the same settings."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
    ):
        super().__init__()
        _check_groups("ConvTranspose2d", in_channels, out_channels, groups)
        kernel = pair("ConvTranspose2d", "kernel_size", kernel_size)
        shape = (in_channels, out_channels // groups, *kernel)
        fan = init.fan_in(shape)
        self.weight = _convolution_weight(shape, fan)
        self.bias = parameter(init.default_uniform((out_channels,), fan)) if bias else None
        self.how: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "groups": groups,
            "dilation": dilation,
        }

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H', W')."""
        return ops.conv_transpose2d(x, self.weight, self.bias, **self.how)

    def describe(self) -> str:
        c, o, kh, kw = self.weight.shape
        settings = ", ".join(f"{name}={value}" for name, value in self.how.items())
        sizes = f"{c}, {o * self.how['groups']}, kernel_size=({kh}, {kw})"
        return f"{sizes}, {settings}, bias={self.bias is not None}"


def _check_groups(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    _check_positive(layer, in_channels=in_channels, out_channels=out_channels, groups=groups)
    if in_channels % groups or out_channels % groups:
        raise ArgumentError(
            f"{layer}: got {in_channels} input and {out_channels} output channels in {groups} groups; "
            "it needs numbers of channels that the groups divide"
        )


def _check_positive(layer: str, **sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise ArgumentError(f"{layer}: {name} is {size!r}; it needs a positive integer")


class _Pool2d(Module):
    """What the poolings share: their windows."""

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0):
        super().__init__()
        self.how: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
        }

    def describe(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.how.items())


class MaxPool2d(_Pool2d):
    """The largest element of each window."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return ops.max_pool2d(x, **self.how)


class AvgPool2d(_Pool2d):
    """The mean of each window, padding counting as zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return ops.avg_pool2d(x, **self.how)


class Upsample(Module):
    """Images made larger by a whole factor; mode "nearest" or "bilinear" (align_corners=False)."""

    def __init__(self, scale_factor: Size = 2, mode: str = "nearest"):
        super().__init__()
        if mode not in ("nearest", "bilinear"):
            raise ArgumentError(f"Upsample: mode is {mode!r}; it needs 'nearest' or 'bilinear'")
        self.scale_factor = pair("Upsample", "scale_factor", scale_factor)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H sh, W sw)."""
        if self.mode == "nearest":
            return ops.upsample_nearest2d(x, scale_factor=self.scale_factor)
        (sh, sw), (h, w) = self.scale_factor, x.shape[-2:]
        return ops.upsample_bilinear2d(x, size=(h * sh, w * sw))

    def describe(self) -> str:
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"


class _Pad2d(Module):
    """What the paddings share: one number, or (left, right, top, bottom)."""

    def __init__(self, padding: int | tuple[int, int, int, int]):
        super().__init__()
        self.padding = padding

    def describe(self) -> str:
        return f"{self.padding}"


class ReflectionPad2d(_Pad2d):
    """Images continued by their mirror image; padding is one number or (left, right, top, bottom)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + top + bottom, W + left + right)."""
        return ops.reflection_pad2d(x, padding=self.padding)


class ZeroPad2d(_Pad2d):
    """Images with zeros around them; padding is one number or (left, right, top, bottom)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H + top + bottom, W + left + right)."""
        return ops.zero_pad2d(x, padding=self.padding)


class InstanceNorm2d(Module):
    """Each channel of each image normalised over its pixels; `affine` adds a weight and a bias.

    With `relu` the result is rectified; without an affine part, all is one operation.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, *, affine: bool = False, relu: bool = False
    ):
        super().__init__()
        _check_positive("InstanceNorm2d", num_features=num_features)
        self.num_features, self.eps, self.relu = num_features, eps, relu
        self.weight = parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = parameter(np.zeros(num_features, np.float32)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return ops.instance_norm(x, self.weight, self.bias, eps=self.eps, relu=self.relu)

    def describe(self) -> str:
        affine = self.weight is not None
        relu = ", relu=True" if self.relu else ""
        return f"{self.num_features}, eps={self.eps}, affine={affine}{relu}"


class BatchNorm2d(Module):
    """Each channel normalised over the batch when training, by running statistics otherwise.

    Of a batch in shards (minigan.core.parallel) each shard has statistics of its own.
    """

    buffers = ("running_mean", "running_var", "num_batches_tracked")

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True
    ):
        super().__init__()
        _check_positive("BatchNorm2d", num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = parameter(np.zeros(num_features, np.float32)) if affine else None
        self.running_mean = Tensor(np.zeros(num_features, np.float32))
        self.running_var = Tensor(np.ones(num_features, np.float32))
        self.num_batches_tracked = Tensor(np.zeros((), np.int64))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape; training also updates the running statistics."""
        y = ops.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        # After the statistics, because a batch that was refused does not count.
        if self.training and mode.shard == 0:
            self.num_batches_tracked.copy_(self.num_batches_tracked + 1)
        return y

    def describe(self) -> str:
        affine = self.weight is not None
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={affine}"


class Dropout(Module):
    """Elements set to 0 with probability p, when training; masks come from `generator`."""

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None):
        super().__init__()
        if not isinstance(p, int | float) or not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: p is {p!r}; it needs a probability from 0 to 1")
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return ops.dropout(x, p=self.p, training=self.training, generator=self.generator)

    def describe(self) -> str:
        return f"p={self.p}"


class Flatten(Module):
    """All axes from `start_dim` to `end_dim` as one."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C H W) by default."""
        return ops.flatten(x, self.start_dim, self.end_dim)

    def describe(self) -> str:
        return f"{self.start_dim}, {self.end_dim}"


class Unflatten(Module):
    """The axis `dim` split into axes of the given sizes, one of which may be -1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C H W) -> (N, C, H, W) for dim = 1."""
        if not -x.ndim <= self.dim < x.ndim:
            raise ShapeError(f"Unflatten: axis {self.dim} does not exist in shape {x.shape}")
        axis = self.dim % x.ndim
        return x.reshape(*x.shape[:axis], *self.unflattened_size, *x.shape[axis + 1 :])

    def describe(self) -> str:
        return f"{self.dim}, {self.unflattened_size}"


class ReLU(Module):
    """max(0, x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return ops.relu(x)


class LeakyReLU(Module):
    """x where x > 0, negative_slope x elsewhere."""

    def __init__(self, negative_slope: float = 0.01):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return ops.leaky_relu(x, negative_slope=self.negative_slope)

    def describe(self) -> str:
        return f"{self.negative_slope}"


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return ops.tanh(x)
