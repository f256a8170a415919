"""A convolution as its kernels are told it: the structure Conv of kernels/conv2d.cuh."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from minigan.core.errors import ShapeError

Pair = tuple[int, int]


@dataclass(frozen=True)
class Problem:
    """A convolution, in the order of the structure Conv of kernels/conv2d.cuh; channels of one group."""

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


CONV = np.dtype([(name, "i4") for name in Problem.__dataclass_fields__])
STRUCTURE = f"s{CONV.itemsize}"


def problem_of(
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
    """The convolution of these shapes; raises ShapeError for arrays larger than a kernel counts."""
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


def structure(p: Problem) -> np.ndarray:
    """The structure itself."""
    return np.array(tuple(getattr(p, name) for name in Problem.__dataclass_fields__), CONV)


def turned(p: Problem) -> Problem:
    """The convolution that is the data gradient of `p`, which has stride 1: from y's shape to x's."""
    return replace(
        p,
        channels=p.out_channels,
        height=p.out_height,
        width=p.out_width,
        out_channels=p.channels,
        out_height=p.height,
        out_width=p.width,
        padding_h=p.dilation_h * (p.kernel_h - 1) - p.padding_h,
        padding_w=p.dilation_w * (p.kernel_w - 1) - p.padding_w,
    )


def filters(p: Problem, is_turned: bool) -> tuple[int, int, bool]:
    """How Filters of kernels/conv2d.cuh reads the weight (out, in, height, width) of the problem `p`.

    For a turned problem the weight is still that of the convolution whose gradient it is.
    """
    taps = p.kernel_h * p.kernel_w
    return (taps, p.out_channels * taps, True) if is_turned else (p.channels * taps, taps, False)


def is_dense_stride_one(p: Problem) -> bool:
    """Whether stride and dilation are 1 and there is one group."""
    return (p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, p.groups) == (1, 1, 1, 1, 1)
