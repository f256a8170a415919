"""Pooling of images: the largest, the sum or the mean over windows.

Max-pooling remembers the index of each window's maximum; its vjp scatters by that index, and the
scatter's vjp gathers by it. Sum-pooling and its adjoint are each other's vjps in the same way, and
average pooling is a sum divided by the window's size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.op import Op, op
from minigan.core.operands import as_operand
from minigan.core.tensor import Array, Tensor
from minigan.devices.capture import is_capturing
from minigan.devices.cpu import pool as cpu
from minigan.ops.checks import check_image, pair, windows_along

Pair = tuple[int, int]


def _window_settings(
    name: str, kernel_size: Any, stride: Any, padding: Any
) -> tuple[Pair, Pair, Pair]:
    kernel = pair(name, "kernel_size", kernel_size)
    step = kernel if stride is None else pair(name, "stride", stride)
    border = pair(name, "padding", padding, at_least=0)
    if any(2 * b > k for b, k in zip(border, kernel, strict=True)):
        raise ArgumentError(
            f"{name}: padding is {border}; it needs to be at most half of the kernel size {kernel}"
        )
    return kernel, step, border


def _check_fits(name: str, size: Sequence[int], kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    out = tuple(
        windows_along(n, k, s, p) for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    )
    if min(*out, *size) < 1:
        raise ShapeError(
            f"{name}: x is {size[0]} x {size[1]}; windows of {kernel[0]} x {kernel[1]} with padding "
            f"{padding} need more"
        )
    return out  # type: ignore[return-value]


def _checks_windows(pooling: Op) -> None:
    @pooling.check
    def _(x: Array, kernel_size: Any, stride: Any, padding: Any) -> dict[str, Any]:
        check_image(pooling.name, "x", x)
        kernel, step, border = _window_settings(pooling.name, kernel_size, stride, padding)
        _check_fits(pooling.name, x.shape[2:], kernel, step, border)
        return {"kernel_size": kernel, "stride": step, "padding": border}


# ---------------------------------------------------------------------- the largest


@op(aux=("indices",))
def max_pool2d(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> tuple[Array, Array]:
    """The largest element of each window: x (N, C, H, W) -> (N, C, H', W').

    `stride` is the window's size unless given; padding never wins. Among equal elements the first, row
    by row, is taken. The auxiliary `indices` (N, C, H', W') say which: row W + column, in x.
    """
    return cpu.max_pool2d(x, kernel_size, stride, padding)  # type: ignore[arg-type]


_checks_windows(max_pool2d)
max_pool2d.vjps(x=lambda g, indices, x_shape: scatter2d(g, indices, input_size=x_shape[2:]))


@op(linear=True)
def scatter2d(grad: Array, indices: Array, *, input_size: Pair) -> Array:
    """Zeros (N, C, H, W) with each `grad` (N, C, H', W') added at its index row W + column."""
    return cpu.scatter2d(grad, indices, input_size)


scatter2d.vjps(grad=lambda g, indices: gather2d(g, indices), indices=None)


@op(linear=True)
def gather2d(x: Array, indices: Array) -> Array:
    """The elements of x (N, C, H, W) at `indices` (N, C, H', W'), each row W + column."""
    n, c, h, w = x.shape
    flat = indices.reshape(n, c, math.prod(indices.shape[2:]))
    return np.take_along_axis(x.reshape(n, c, h * w), flat, axis=2).reshape(indices.shape)


gather2d.vjps(
    x=lambda g, x_shape, indices: scatter2d(g, indices, input_size=x_shape[2:]),
    indices=None,
)


def _checks_indices(operation: Op, data: str) -> None:
    @operation.check
    def _(x: Array, indices: Array, **size: Any) -> dict[str, Any]:
        check_image(operation.name, data, x)
        check_image(operation.name, "indices", indices)
        if indices.dtype.kind not in "iu":
            raise ArgumentError(
                f"{operation.name}: indices have dtype {indices.dtype}; they need to be integers"
            )
        same = x.shape if size else x.shape[:2]
        if indices.shape[: len(same)] != same:
            raise ShapeError(
                f"{operation.name}: indices have shape {indices.shape}; for {data} of shape "
                f"{x.shape} they need {(*same, 'H', 'W')[:4]}"
            )
        height, width = pair(operation.name, "input_size", size.get("input_size", x.shape[2:]), 0)
        # (Where they are not to be had, kernels leave out an index that is outside.)
        known = isinstance(indices, Array) and indices.size and not is_capturing()
        if known and not 0 <= indices.min() <= indices.max() < height * width:
            raise ArgumentError(
                f"{operation.name}: indices run from {indices.min()} to {indices.max()}; an image of "
                f"{height} x {width} needs 0 to {height * width - 1}"
            )
        return {"input_size": (height, width)} if size else {}


_checks_indices(scatter2d, "grad")
_checks_indices(gather2d, "x")

# ---------------------------------------------------------------------- the sum and the mean


@op(linear=True)
def sum_pool2d(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Array:
    """The sum over each window: x (N, C, H, W) -> (N, C, H', W'); padding counts as zero."""
    return cpu.sum_pool2d(x, kernel_size, stride, padding)  # type: ignore[arg-type]


_checks_windows(sum_pool2d)
sum_pool2d.vjps(
    x=lambda g, x_shape, **windows: sum_pool2d_dx(g, input_size=x_shape[2:], **windows),
)


@op(linear=True)
def sum_pool2d_dx(
    grad: Array, *, input_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair
) -> Array:
    """sum_pool2d's adjoint: each gradient (N, C, H', W') goes to all of its window in (N, C, H, W)."""
    return cpu.sum_pool2d_dx(grad, input_size, kernel_size, stride, padding)


@sum_pool2d_dx.check
def _(grad: Array, input_size: Any, kernel_size: Any, stride: Any, padding: Any) -> dict[str, Any]:
    name = "sum_pool2d_dx"
    check_image(name, "grad", grad)
    kernel, step, border = _window_settings(name, kernel_size, stride, padding)
    size = pair(name, "input_size", input_size)
    out = _check_fits(name, size, kernel, step, border)
    if grad.shape[2:] != out:
        raise ShapeError(
            f"{name}: grad has shape {grad.shape}; an input of {size} needs (N, C, {out[0]}, {out[1]})"
        )
    return {"input_size": size, "kernel_size": kernel, "stride": step, "padding": border}


sum_pool2d_dx.vjps(
    grad=lambda g, input_size, **windows: sum_pool2d(g, **windows),
)


@says_what_it_takes
def avg_pool2d(
    x: Tensor, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Tensor:
    """The mean over each window: x (N, C, H, W) -> (N, C, H', W'); padding counts as zeros."""
    x = as_operand("avg_pool2d", "x", x)
    check_image("avg_pool2d", "x", x._array)
    kernel, step, border = _window_settings("avg_pool2d", kernel_size, stride, padding)
    _check_fits("avg_pool2d", x.shape[2:], kernel, step, border)
    total = sum_pool2d(x, kernel_size=kernel, stride=step, padding=border)
    return total * (1.0 / (kernel[0] * kernel[1]))
