"""The host side of kernels/winograd.cu: 3x3 convolution with stride 1, and its data gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigan.devices.launch import conv_problem
from minigan.devices.launch.conv_problem import (
    STRUCTURE,
    Problem,
    filters,
    is_dense_stride_one,
    structure,
)
from minigan.devices.launch.kernel import THREADS, Array, Device, Kernel, blocks_for, launch
from minigan.devices.launch.matmul import stacked_product
from minigan.devices.launch.variants import Sizes, Variant

_FILTER = Kernel("winograd.cu", "winograd_filter", "r:R w:R i4 i4 i4 i4 b1")
_INPUT = Kernel("winograd.cu", "winograd_input", f"r:R w:R {STRUCTURE}")
_OUTPUT = Kernel("winograd.cu", "winograd_output", f"r:R r:R w:R {STRUCTURE}")

_MOST_ELEMENTS = 2**27  # of the workspace: 512 MiB of floats


def variant(turned: bool) -> Variant:
    """The variant of conv2d, or, turned, of conv2d_dx."""

    def own(p: Problem) -> Problem:
        return conv_problem.turned(p) if turned else p

    def grid(p: Problem) -> Sizes:
        return blocks_for(own(p).channels * _tiles(own(p)))

    def run(
        self: Variant, device: Device, p: Problem, dtype: np.dtype, args: Sequence[Array]
    ) -> None:
        x, weight, bias, y = (args[0], args[1], None, args[2]) if turned else args[:4]
        _convolve(device, own(p), dtype, x, weight, bias, y, turned)

    return Variant("v6_winograd", _INPUT, grid, (THREADS,), _cannot, _unwise, host=run)


def _tiles(p: Problem) -> int:
    """How many tiles of 2x2 outputs there are."""
    return p.images * -(-p.out_height // 2) * -(-p.out_width // 2)


def _workspace(p: Problem) -> int:
    return 16 * (p.channels * p.out_channels + (p.channels + p.out_channels) * _tiles(p))


def _cannot(p: Problem) -> str:
    if (p.kernel_h, p.kernel_w) != (3, 3) or not is_dense_stride_one(p):
        return "it is for kernels of 3x3 with stride 1, dilation 1 and one group"
    if _workspace(p) > _MOST_ELEMENTS:
        return f"its workspace of {_workspace(p)} elements would be larger than {_MOST_ELEMENTS}"
    return ""


def _unwise(p: Problem) -> str:
    if min(p.channels, p.out_channels) < 32:
        return "with few channels its passes over memory cost more than the products that it saves"
    return ""


def _convolve(
    device: Device,
    p: Problem,
    dtype: np.dtype,
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Array,
    turned: bool,
) -> None:
    tiles = _tiles(p)
    u = device.empty((16, p.out_channels, p.channels), dtype)
    v = device.empty((16, p.channels, tiles), dtype)
    m = device.empty((16, p.out_channels, tiles), dtype)
    # winograd_filter wants the strides that Filters reads by.
    args = (weight, u, p.out_channels, p.channels, *filters(p, turned))
    launch(device, _FILTER, dtype, blocks_for(p.out_channels * p.channels), args)
    launch(device, _INPUT, dtype, blocks_for(p.channels * tiles), (x, v, structure(p)))
    stacked_product(device, u, v, m)
    launch(device, _OUTPUT, dtype, blocks_for(p.out_channels * tiles), (m, bias, y, structure(p)))
