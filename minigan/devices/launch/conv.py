"""The host side of convolution and its two gradients: kernels/conv2d.cu and its relatives.

Upsampling comes before, in a kernel of its own, as summing over its blocks comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigan.devices.launch import thin, winograd
from minigan.devices.launch.conv_problem import STRUCTURE, Pair, Problem, problem_of, structure
from minigan.devices.launch.elementwise import contiguous, unary
from minigan.devices.launch.kernel import (
    REAL_TYPES,
    Array,
    Device,
    Kernel,
    blocks_for,
    launch,
)
from minigan.devices.launch.pool import sum_pool2d
from minigan.devices.launch.resize import upsample_nearest2d
from minigan.devices.launch.variants import (
    Sizes,
    Variant,
    choose,
    mostly_empty,
    register,
    rounds,
    too_few,
)

# ---------------------------------------------------------------------- implicit GEMMs

Shape = tuple[int, int, int]  # M, N of the implicit GEMM, and what blockIdx.z counts


def _forward(p: Problem) -> Shape:
    return p.out_channels, p.out_pixels, p.groups


def _data_gradient(p: Problem) -> Shape:
    pixels = p.images * -(-p.height // p.stride_h) * -(-p.width // p.stride_w)
    return p.channels, pixels, p.groups * p.phases


def _weight_gradient(p: Problem) -> Shape:
    return p.out_channels, p.taps, p.groups


def _parts(tile: int) -> Callable[[Problem], int]:
    """Into how many parts conv2d_dw's sum over pixels is divided: enough to keep a GPU's blocks busy."""

    def parts(p: Problem) -> int:
        tiles = -(-p.out_channels // tile) * -(-p.taps // tile) * p.groups
        wanted = -(-264 // tiles)  # two blocks for each of 132 multiprocessors (H100)
        return max(1, min(wanted, p.out_pixels // 256))

    return parts


def _one_part(p: Problem) -> int:
    return 1


class _Gemm:
    """The variants of one operation as an implicit GEMM."""

    def __init__(self, operation: str, signature: str, shape: Callable[[Problem], Shape]):
        self.operation, self.signature, self.shape = operation, signature, shape

    def small(self, p: Problem) -> str:
        m, n, _ = self.shape(p)
        return mostly_empty(m, n)

    def few(self, p: Problem) -> str:
        m, n, z = self.shape(p)
        return too_few(m, n, z * self.parts(128)(p))

    def parts(self, tile: int) -> Callable[[Problem], int]:
        return _parts(tile) if self.operation == "conv2d_dw" else _one_part

    def variant(
        self,
        name: str,
        version: str,
        tile: tuple[int, int],
        block: Sizes,
        file: str = "conv2d.cu",
        types: Sequence[str] = REAL_TYPES,
        **more: Any,
    ) -> Variant:
        kernel = Kernel(file, f"{self.operation}_{version}", self.signature, types)
        parts = self.parts(max(tile))

        def grid(p: Problem) -> Sizes:
            m, n, z = self.shape(p)
            return -(-n // tile[1]), -(-m // tile[0]), z * parts(p)

        return Variant(name, kernel, grid, block, parts=parts, **more)

    def tensor_cores(self, version: str, tile: int) -> Variant:
        return self.variant(
            f"v5_tf32{version}",
            f"v5{version}",
            (tile, tile),
            (256,),
            "conv2d_tf32.cu",
            ("float32",),
            unwise=rounds,
            tolerance="tf32",
            capability=80,
        )

    def register(self, *special: Variant) -> None:
        """All of them, and those made for special shapes, which are preferred."""
        register(
            self.operation,
            *special,
            self.variant("v4_pipelined", "v4", (128, 128), (256,), unwise=self.few),
            self.variant("v4_pipelined_small", "v4_small", (64, 64), (256,), unwise=self.small),
            self.variant("v3_registers", "v3", (64, 64), (256,), unwise=self.small),
            self.variant("v2_shared", "v2", (16, 16), (16, 16)),
            self.variant("v1_naive", "v1", (8, 32), (32, 8)),
            self.tensor_cores("", 128),
            self.tensor_cores("_small", 64),
        )


_Gemm("conv2d", f"r:R r:R r:R w:R {STRUCTURE}", _forward).register(
    thin.variant(turned=False), winograd.variant(turned=False)
)
_Gemm("conv2d_dx", f"r:R r:R w:R {STRUCTURE}", _data_gradient).register(
    thin.variant(turned=True), winograd.variant(turned=True)
)
_Gemm("conv2d_dw", f"r:R r:R w:R {STRUCTURE} i4", _weight_gradient).register(thin.weight_gradient())

# ---------------------------------------------------------------------- the operations

_relu = unary("relu", "arithmetic.cu")
_SUM_PARTS = Kernel("conv2d.cu", "sum_parts", "r:R w:R i4 i4")


def conv2d(
    device: Device,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    upsample: Pair,
    **how: Any,
) -> Array:
    """y[n,o,p,q] = bias[o] + sum over c, r, s of x[n, c, p S + r D - P, q S + s D - P] w[o,c,r,s]."""
    x, weight = _upsampled(device, x, upsample), contiguous(device, weight)
    bias = None if bias is None else contiguous(device, bias)
    p = problem_of("conv2d", x.shape, weight.shape, **how)
    y = device.empty((p.images, p.out_channels * p.groups, p.out_height, p.out_width), x.dtype)

    def run(variant: Variant) -> None:
        variant.run(device, p, x.dtype, (x, weight, bias, y, structure(p)))

    if y.size:
        run(choose("conv2d", p, device, x.dtype, run).taken)
    return y


def conv2d_relu(device: Device, *arrays: Array | None, **how: Any) -> Array:
    """max(0, conv2d(...)), by two kernels."""
    return _relu(device, conv2d(device, *arrays, **how))  # type: ignore[arg-type]  # x and weight are there


def conv2d_dx(
    device: Device, grad: Array, weight: Array, *, input_size: Pair, upsample: Pair, **how: Any
) -> Array:
    """conv2d's adjoint in x."""
    grad, weight = contiguous(device, grad), contiguous(device, weight)
    (h, w), (uh, uw), groups = input_size, upsample, how["groups"]
    shape = (grad.shape[0], weight.shape[1] * groups, h * uh, w * uw)
    p = problem_of("conv2d_dx", shape, weight.shape, out_size=grad.shape[2:], **how)
    x = device.empty(shape, grad.dtype)

    def run(variant: Variant) -> None:
        variant.run(device, p, grad.dtype, (grad, weight, x, structure(p)))

    if x.size:
        run(choose("conv2d_dx", p, device, grad.dtype, run).taken)
    if upsample == (1, 1):
        return x
    return sum_pool2d(device, x, kernel_size=upsample, stride=upsample, padding=(0, 0))


def conv2d_dw(
    device: Device, x: Array, grad: Array, *, kernel_size: Pair, upsample: Pair, **how: Any
) -> Array:
    """conv2d's adjoint in w: the sum over pixels in parts, then the parts added up."""
    x, grad = _upsampled(device, x, upsample), contiguous(device, grad)
    shape = (grad.shape[1], x.shape[1] // how["groups"], *kernel_size)
    p = problem_of("conv2d_dw", x.shape, shape, out_size=grad.shape[2:], **how)
    weight = device.empty(shape, x.dtype)

    def run(variant: Variant) -> None:
        parts = variant.parts(p)
        sums = weight if parts == 1 else device.empty((parts, *shape), x.dtype)
        variant.run(device, p, x.dtype, (x, grad, sums, structure(p), -(-p.out_pixels // parts)))
        if parts > 1:
            args = (sums, weight, weight.size, parts)
            launch(device, _SUM_PARTS, x.dtype, blocks_for(weight.size), args)

    if weight.size:
        run(choose("conv2d_dw", p, device, x.dtype, run).taken)
    return weight


def _upsampled(device: Device, x: Array, upsample: Pair) -> Array:
    """The image as the kernels read it: contiguous, each pixel repeated."""
    if upsample == (1, 1):
        return contiguous(device, x)
    return upsample_nearest2d(device, x, scale_factor=upsample)
