"""The host side of kernels/matmul.cu: stacks of matrix products, and the fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minigan.devices.launch.elementwise import contiguous
from minigan.devices.launch.kernel import REAL_TYPES, Array, Device, Kernel
from minigan.devices.launch.layout import count_of, memory
from minigan.devices.launch.variants import (
    Sizes,
    Variant,
    choose,
    mostly_empty,
    register,
    rounds,
    too_few,
)

# The structure Gemm of kernels/matmul.cu.
_FIELDS = ("m", "n", "k", "a_row", "a_column", "b_row", "b_column", "a_matrix", "b_matrix")
_GEMM = np.dtype([(name, "i4") for name in _FIELDS])
_MOST_MATRICES = 65535  # what blockIdx.z counts to
_MOST_ROWS = 65535 * 8  # what blockIdx.y counts to, with the smallest tiles


@dataclass(frozen=True)
class Problem:
    """A stack of products (m, k) x (k, n)."""

    matrices: int
    m: int
    n: int
    k: int

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.matrices * self.m * self.n * self.k

    @property
    def elements(self) -> int:
        """Elements that have to be read and written at least once."""
        return self.matrices * (self.m * self.k + self.k * self.n + self.m * self.n)


def _tiles(block_m: int, block_n: int):
    def grid(p: Problem) -> Sizes:
        return -(-p.n // block_n), -(-p.m // block_m), p.matrices

    return grid


def _kernel(symbol: str, file: str = "matmul.cu", types: Sequence[str] = REAL_TYPES) -> Kernel:
    return Kernel(file, symbol, f"r:R r:R r:R w:R s{_GEMM.itemsize}", types)


def _small(p: Problem) -> str:
    return mostly_empty(p.m, p.n)


def _few(p: Problem) -> str:
    return too_few(p.m, p.n, p.matrices)


def _tensor_cores(version: str, tile: int) -> Variant:
    return Variant(
        f"v5_tf32{version}",
        _kernel(f"matmul_v5{version}", "matmul_tf32.cu", ("float32",)),
        _tiles(tile, tile),
        (256,),
        unwise=rounds,
        tolerance="tf32",
        capability=80,
    )


register(
    "matmul",
    Variant("v4_pipelined", _kernel("matmul_v4"), _tiles(128, 128), (256,), unwise=_few),
    Variant(
        "v4_pipelined_small", _kernel("matmul_v4_small"), _tiles(64, 64), (256,), unwise=_small
    ),
    Variant("v3_registers", _kernel("matmul_v3"), _tiles(64, 64), (256,), unwise=_small),
    Variant("v2_shared", _kernel("matmul_v2"), _tiles(16, 16), (16, 16)),
    Variant("v1_naive", _kernel("matmul_v1"), _tiles(8, 32), (32, 8)),
    _tensor_cores("", 128),
    _tensor_cores("_small", 64),
)


def stacked_product(device: Device, a: Array, b: Array, c: Array) -> None:
    """c = a b for contiguous stacks of matrices (S, M, K), (S, K, N) and (S, M, N)."""
    _multiply(device, a, b, None, c, len(a))


def matrix_product(device: Device, a: Array, b: Array) -> Array:
    """a (..., M, K) times b (..., K, N); leading axes broadcast."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*leading, a.shape[-2], b.shape[-1])
    count_of("matrix_product", shape)
    c = device.empty(shape, a.dtype)
    if c.size:
        a, b = (_stacked(device, x, leading) for x in (a, b))
        _multiply(device, a, b, None, c, math.prod(leading))
    return c


def linear(device: Device, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """y = x W^T + bias: x (..., in), weight (out, in), bias (out)."""
    shape = (*x.shape[:-1], weight.shape[0])
    count_of("linear", shape)
    y = device.empty(shape, x.dtype)
    if y.size:
        rows = contiguous(device, x).reshape(-1, x.shape[-1])
        bias = None if bias is None else contiguous(device, bias)
        _multiply(device, rows, weight.T, bias, y, 1)
    return y


def _multiply(
    device: Device, a: Array, b: Array, bias: Array | None, c: Array, matrices: int
) -> None:
    """c = a b + bias, for a stack of matrices that each have one stride from one to the next."""
    a, b = (_addressable(device, x) for x in (a, b))
    problem = Problem(matrices, a.shape[-2], b.shape[-1], a.shape[-1])

    c = c.reshape(matrices, problem.m, problem.n)

    def run(variant: Variant) -> None:
        for stack, rows in _portions(problem):
            a_part = a[stack] if a.ndim == 3 and a.strides[0] else a
            b_part = b[stack] if b.ndim == 3 and b.strides[0] else b
            a_part, c_part = a_part[..., rows, :], c[stack, rows]
            part = Problem(len(c_part), c_part.shape[1], problem.n, problem.k)
            strides = _strides(part, a_part, b_part)
            args = (memory(a_part), memory(b_part), bias, c_part, strides)
            variant.run(device, part, c.dtype, args)

    run(choose("matmul", problem, device, c.dtype, run).taken)


def _portions(p: Problem) -> Iterator[tuple[slice, slice]]:
    """Which matrices and which of their rows a launch takes: a grid counts to 65535 in y and in z."""
    if p.m <= _MOST_ROWS:
        for first in range(0, p.matrices, _MOST_MATRICES):
            yield slice(first, first + _MOST_MATRICES), slice(None)
        return
    for matrix in range(p.matrices):
        for first in range(0, p.m, _MOST_ROWS):
            yield slice(matrix, matrix + 1), slice(first, first + _MOST_ROWS)


def _stacked(device: Device, x: Array, leading: Sequence[int]) -> Array:
    """x as (matrices, rows, columns), or as one matrix (rows, columns) that all places share."""
    if math.prod(x.shape[:-2]) == 1:
        return x.reshape(x.shape[-2:])
    if x.shape[:-2] != tuple(leading):
        x = np.broadcast_to(x, (*leading, *x.shape[-2:]))
    if x.ndim > 3 or 0 in x.strides:
        x = contiguous(device, x).reshape(-1, *x.shape[-2:])
    return x


def _addressable(device: Device, x: Array) -> Array:
    """x, or a contiguous copy where a stride is negative: kernels begin at the first element."""
    return contiguous(device, x) if any(s < 0 for s in x.strides) else x


def _strides(problem: Problem, a: Array, b: Array) -> np.ndarray:
    of = [[s // x.itemsize for s in x.strides] for x in (a, b)]
    (*a_stack, a_row, a_column), (*b_stack, b_row, b_column) = of
    gemm = np.zeros((), _GEMM)
    values = (problem.m, problem.n, problem.k, a_row, a_column, b_row, b_column)
    for name, value in zip(_FIELDS, (*values, *(a_stack or [0]), *(b_stack or [0])), strict=True):
        gemm[name] = value
    return gemm
