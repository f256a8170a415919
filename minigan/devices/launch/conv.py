"""The host side of kernels/conv2d.cu: convolution and its two gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.core.errors import ShapeError
from minigan.devices.launch.elementwise import contiguous
from minigan.devices.launch.kernel import Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.variants import Sizes, Variant, choose, register

Pair = tuple[int, int]


@dataclass(frozen=True)
class Problem:
    """A convolution, in the order of the structure Conv of kernels/conv2d.cu; channels of one group."""

    images: int
    channels: int
    height: int
    width: int
    out_channels: int
    out_height: int
    out_width: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    padding_h: int
    padding_w: int
    dilation_h: int
    dilation_w: int
    groups: int

    @property
    def out_pixels(self) -> int:
        """Pixels of all outputs together."""
        return self.images * self.out_height * self.out_width

    @property
    def taps(self) -> int:
        """Products in the sum for one output."""
        return self.channels * self.kernel_h * self.kernel_w

    @property
    def phases(self) -> int:
        """Remainders of pixels by the stride."""
        return self.stride_h * self.stride_w

    @property
    def flops(self) -> int:
        """Multiplications and additions, of any of the three operations."""
        return 2 * self.out_pixels * self.out_channels * self.groups * self.taps

    @property
    def elements(self) -> int:
        """Elements that have to be read and written at least once."""
        x = self.images * self.channels * self.height * self.width
        y = self.out_pixels * self.out_channels
        return self.groups * (x + y + self.out_channels * self.taps)


_CONV = np.dtype([(name, "i4") for name in Problem.__dataclass_fields__])
_STRUCTURE = f"s{_CONV.itemsize}"

# ---------------------------------------------------------------------- the variants

Shape = tuple[int, int, int]  # M, N of the implicit GEMM, and what blockIdx.z counts


def _forward(p: Problem) -> Shape:
    return p.out_channels, p.out_pixels, p.groups


def _data_gradient(p: Problem) -> Shape:
    pixels = p.images * -(-p.height // p.stride_h) * -(-p.width // p.stride_w)
    return p.channels, pixels, p.groups * p.phases


def _weight_gradient(p: Problem) -> Shape:
    return p.out_channels, p.taps, p.groups * _parts(p)


def _parts(p: Problem) -> int:
    """Into how many parts conv2d_dw's sum over pixels is divided: enough to keep a GPU's blocks busy."""
    tiles = -(-p.out_channels // 64) * -(-p.taps // 64) * p.groups
    wanted = -(-264 // tiles)  # two blocks for each of 132 multiprocessors (H100)
    return max(1, min(wanted, p.out_pixels // 256))


def _grid(
    shape: Callable[[Problem], Shape], block_m: int, block_n: int
) -> Callable[[Problem], Sizes]:
    def grid(p: Problem) -> Sizes:
        m, n, z = shape(p)
        return -(-n // block_n), -(-m // block_m), z

    return grid


def _small(shape: Callable[[Problem], Shape]) -> Callable[[Problem], str]:
    def refuses(p: Problem) -> str:
        m, n, _ = shape(p)
        return "its tiles would be mostly empty" if m < 8 or n < 8 or m * n < 32 * 32 else ""

    return refuses


def _register(operation: str, signature: str, shape: Callable[[Problem], Shape]) -> None:
    def kernel(version: str) -> Kernel:
        return Kernel("conv2d.cu", f"{operation}_{version}", signature)

    register(
        operation,
        Variant("v3_registers", kernel("v3"), _grid(shape, 64, 64), (256,), _small(shape)),
        Variant("v2_shared", kernel("v2"), _grid(shape, 16, 16), (16, 16)),
        Variant("v1_naive", kernel("v1"), _grid(shape, 8, 32), (32, 8)),
    )


_register("conv2d", f"r:R r:R r:R w:R {_STRUCTURE}", _forward)
_register("conv2d_dx", f"r:R r:R w:R {_STRUCTURE}", _data_gradient)
_register("conv2d_dw", f"r:R r:R w:R {_STRUCTURE} i4", _weight_gradient)

# ---------------------------------------------------------------------- the operations


def conv2d(device: Device, x: Array, weight: Array, bias: Array | None = None, **how: Any) -> Array:
    """y[n,o,p,q] = bias[o] + sum over c, r, s of x[n, c, p S + r D - P, q S + s D - P] w[o,c,r,s]."""
    x, weight = contiguous(device, x), contiguous(device, weight)
    bias = None if bias is None else contiguous(device, bias)
    p = _problem("conv2d", x.shape, weight.shape, **how)
    y = device.empty((p.images, p.out_channels * p.groups, p.out_height, p.out_width), x.dtype)
    if y.size:
        variant = choose("conv2d", p).taken
        variant.run(device, p, x.dtype, (x, weight, bias, y, _structure(p)))
    return y


def conv2d_dx(device: Device, grad: Array, weight: Array, *, input_size: Pair, **how: Any) -> Array:
    """conv2d's adjoint in x."""
    grad, weight = contiguous(device, grad), contiguous(device, weight)
    groups = how["groups"]
    shape = (grad.shape[0], weight.shape[1] * groups, *input_size)
    p = _problem("conv2d_dx", shape, weight.shape, out_size=grad.shape[2:], **how)
    x = device.empty(shape, grad.dtype)
    if x.size:
        variant = choose("conv2d_dx", p).taken
        variant.run(device, p, grad.dtype, (grad, weight, x, _structure(p)))
    return x


def conv2d_dw(device: Device, x: Array, grad: Array, *, kernel_size: Pair, **how: Any) -> Array:
    """conv2d's adjoint in w: the sum over pixels in parts, then the parts added up."""
    x, grad = contiguous(device, x), contiguous(device, grad)
    shape = (grad.shape[1], x.shape[1] // how["groups"], *kernel_size)
    p = _problem("conv2d_dw", x.shape, shape, out_size=grad.shape[2:], **how)
    weight = device.empty(shape, x.dtype)
    if not weight.size:
        return weight
    parts = _parts(p)
    sums = weight if parts == 1 else device.empty((parts, *shape), x.dtype)
    variant = choose("conv2d_dw", p).taken
    variant.run(device, p, x.dtype, (x, grad, sums, _structure(p), -(-p.out_pixels // parts)))
    if parts > 1:
        second = Kernel("conv2d.cu", "sum_parts", "r:R w:R i4 i4")
        launch(device, second, x.dtype, blocks_for(weight.size), (sums, weight, weight.size, parts))
    return weight


def _problem(
    operation: str,
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    out_size: tuple[int, ...] | None = None,
) -> Problem:
    images, channels, height, width = x_shape
    out_channels, _, kernel_h, kernel_w = weight_shape
    if out_size is None:
        out_size = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                (height, width), (kernel_h, kernel_w), stride, padding, dilation, strict=True
            )
        )
    largest = max(math.prod(x_shape), images * out_channels * math.prod(out_size))
    if largest >= 2**31:
        raise ShapeError(
            f"{operation}: an array of {largest} elements is too large; a kernel counts to {2**31 - 1}"
        )
    out_height, out_width = out_size
    per_group = (images, channels // groups, height, width)
    outputs = (out_channels // groups, out_height, out_width)
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    return Problem(*per_group, *outputs, kernel_h, kernel_w, sh, sw, ph, pw, dh, dw, groups)


def _structure(p: Problem) -> np.ndarray:
    return np.array(tuple(getattr(p, name) for name in Problem.__dataclass_fields__), _CONV)
