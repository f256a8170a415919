"""The host side of kernels/conv2d_thin.cu and conv2d_dw_thin.cu: few channels on one side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minigan.devices.launch import conv_problem
from minigan.devices.launch.conv_problem import (
    STRUCTURE,
    Problem,
    filters,
    is_dense_stride_one,
    structure,
)
from minigan.devices.launch.kernel import Array, Device, Kernel
from minigan.devices.launch.variants import Sizes, Variant

_FEW = 4  # channels
_TILE_W, _TILE_H = 64, 8  # as in kernels/conv2d_thin.cu
_ROWS = 32  # of a stripe, as in kernels/conv2d_dw_thin.cu
_SIZES = (3, 5, 7, 9)  # of kernels


def variant(turned: bool) -> Variant:
    """The variant of conv2d, or, turned, of conv2d_dx."""
    kernel = Kernel("conv2d_thin.cu", "conv2d_thin", f"r:R r:R r:R w:R {STRUCTURE} i4 i4 b1")

    def own(p: Problem) -> Problem:
        return conv_problem.turned(p) if turned else p

    def grid(p: Problem) -> Sizes:
        q = own(p)
        across, down = -(-q.out_width // _TILE_W), -(-q.out_height // _TILE_H)
        return across, down, q.images * -(-q.out_channels // _outputs(q))

    def macros(p: Problem) -> Mapping[str, str]:
        return {"KERNEL": str(p.kernel_h), "OUTPUTS": str(_outputs(own(p)))}

    def run(
        self: Variant, device: Device, p: Problem, dtype: np.dtype, args: Sequence[Array]
    ) -> None:
        x, weight, bias, y = (args[0], args[1], None, args[2]) if turned else args[:4]
        all_args = (x, weight, bias, y, structure(own(p)), *filters(own(p), turned))
        self.launch_once(device, p, dtype, all_args)

    return Variant("v7_thin", kernel, grid, (16, 8), _cannot, _unwise, macros=macros, host=run)


def weight_gradient() -> Variant:
    """The variant of conv2d_dw."""
    kernel = Kernel("conv2d_dw_thin.cu", "conv2d_dw_thin", f"r:R r:R w:R {STRUCTURE}")

    def cannot(p: Problem) -> str:
        if p.out_channels > _FEW:
            return f"it is for at most {_FEW} output channels"
        return _cannot(p)

    def grid(p: Problem) -> Sizes:
        return p.channels, parts(p)

    def parts(p: Problem) -> int:
        return p.images * -(-p.out_height // _ROWS)

    def macros(p: Problem) -> Mapping[str, str]:
        return {"KERNEL": str(p.kernel_h), "OUTPUTS": str(p.out_channels)}

    def run(
        self: Variant, device: Device, p: Problem, dtype: np.dtype, args: Sequence[Array]
    ) -> None:
        self.launch_once(device, p, dtype, args[:4])

    def block(p: Problem) -> Sizes:
        return (32 * p.kernel_h,)  # a warp for each row of the kernel

    return Variant(
        "v7_thin", kernel, grid, block, cannot, _unwise, macros=macros, parts=parts, host=run
    )


def _outputs(p: Problem) -> int:
    """Output channels of a thread."""
    return p.out_channels if p.out_channels <= _FEW else 16


def _cannot(p: Problem) -> str:
    if p.kernel_h != p.kernel_w or p.kernel_h not in _SIZES or not is_dense_stride_one(p):
        sizes = ", ".join(map(str, _SIZES))
        return f"it is for square kernels of {sizes} with stride 1, dilation 1 and one group"
    return ""


def _unwise(p: Problem) -> str:
    if min(p.channels, p.out_channels) > _FEW:
        return f"it is for layers with at most {_FEW} channels on one side"
    return ""
