"""Convolution on the CPU: which algorithm computes a call.

    unfold     a side with up to 4 channels, as in a network's first and last layer; weight gradients of
               layers with more weights than pixels
    winograd   3 x 3 kernels at stride 1 in float32: a quarter of the multiplications, a little more
    rounding direct     every other call, and every call that shall be exact

Each has a file of its own. A result of Winograd's that is not finite is computed again directly: where an
infinity or NaN stands in the image, it would have spread over a tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigan.core.errors import ShapeError
from minigan.devices import Array
from minigan.devices.choice import Choice, asked_for, enter, record, wishes
from minigan.devices.cpu import direct, unfold, winograd

Pair = tuple[int, int]


class Call(NamedTuple):
    """What the choice depends on: x (N, C, H, W), O channels of output, and the settings."""

    n: int
    c: int
    h: int
    w: int
    o: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    dtype: str
    folds: bool = False  # a data gradient that is no convolution with the kernel turned round
    gradient_of_weight: bool = False

    @property
    def out_size(self) -> Pair:
        height, width = (
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip(
                (self.h, self.w), self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return height, width

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


# ---------------------------------------------------------------------- the algorithms


@dataclass(frozen=True)
class Algorithm:
    """One way to convolve.

    cannot  why it cannot compute a call; an empty text where it can
    unwise  why another should, though this one could
    """

    name: str
    cannot: Callable[[Call], str]
    unwise: Callable[[Call], str]
    exact: bool = True


_FOLDS = (
    "a data gradient with a stride, or with more padding than the kernel reaches, is for direct"
)


def _unfold_cannot(call: Call) -> str:
    if call.folds:
        return _FOLDS
    if call.groups > 1 or call.dilation != (1, 1):
        return "it is for one group and no dilation"
    return ""


def _unfold_unwise(call: Call) -> str:
    if call.kernel == (1, 1):
        return "a 1 x 1 kernel is one matrix product as it is"
    if call.c <= 4 or (call.o <= 4 and call.stride == (1, 1)):
        return ""
    pixels = call.n * call.out_size[0] * call.out_size[1]
    if call.gradient_of_weight and pixels <= call.o:
        return ""
    return "both sides have more than 4 channels, and the columns would be larger than the weight"


def _winograd_cannot(call: Call) -> str:
    if call.folds:
        return _FOLDS
    if (call.kernel, call.stride, call.dilation, call.groups) != ((3, 3), (1, 1), (1, 1), 1):
        return "it is for 3 x 3 kernels at stride 1, one group, no dilation"
    if call.n == 0:
        return "there is no image"
    return "" if call.dtype == "float32" else f"it computes in float32, not in {call.dtype}"


def _winograd_unwise(call: Call) -> str:
    if min(call.c, call.o) < 16:
        return "with few channels its transforms take longer than its products"
    if min(call.out_size) < winograd.OUTPUTS:
        return "its tiles would be mostly empty"
    return ""


def _never(call: Call) -> str:
    return ""


ALGORITHMS = (
    Algorithm("unfold", _unfold_cannot, _unfold_unwise),
    Algorithm("winograd", _winograd_cannot, _winograd_unwise, exact=False),
    Algorithm("direct", _never, _never),
)
for _operation in ("conv2d", "conv2d_dx", "conv2d_dw"):
    enter("cpu", _operation, [a.name for a in ALGORITHMS])


def choose(operation: str, call: Call) -> Choice[Algorithm]:
    """The algorithm asked for by `use_kernels`, or the first that can, is not unwise, and exact if need
    be.

    Raises ShapeError if the one asked for cannot.
    """
    choice = _by_shape(operation, call, asked_for("cpu", operation), wishes().exact)
    record(choice)
    return choice


@lru_cache(maxsize=4096)
def _by_shape(operation: str, call: Call, asked: str | None, exact: bool) -> Choice[Algorithm]:
    if asked is None:
        reasons = {
            a.name: a.cannot(call)
            or ("exact() forbids it" if exact and not a.exact else a.unwise(call))
            for a in ALGORITHMS
        }
    else:
        reasons = {a.name: f"{asked} is asked for" for a in ALGORITHMS}
        reasons[asked] = next(a for a in ALGORITHMS if a.name == asked).cannot(call)
        if reasons[asked]:
            raise ShapeError(f"{operation}: {asked} cannot compute {call}: {reasons[asked]}")
    taken = next(a for a in ALGORITHMS if not reasons[a.name])
    others = {n: r or f"{taken.name} is preferred" for n, r in reasons.items() if n != taken.name}
    return Choice(operation, taken, others)


# ---------------------------------------------------------------------- the operations


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """minigan.ops.conv.conv2d; the result mostly has its channels innermost in memory."""
    return _convolve("conv2d", x, weight, bias, stride, padding, dilation, groups)


def _convolve(
    operation: str,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    o, _, kh, kw = weight.shape
    dtype = np.result_type(x, weight).name
    n, c, h, w = x.shape
    call = Call(n, c, h, w, o, (kh, kw), stride, padding, dilation, groups, dtype)
    algorithm = choose(operation, call).taken.name
    if algorithm == "unfold":
        return unfold.conv2d(x, weight, bias, stride, padding, call.out_size)
    if algorithm == "winograd":
        try:
            return winograd.conv2d(x, weight, bias, padding)
        except FloatingPointError:
            pass
    return direct.conv2d(x, weight, bias, **call.settings)


def conv2d_dw(
    x: Array,
    grad: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """minigan.ops.conv.conv2d_dw."""
    dtype = np.result_type(x, grad).name
    (n, c, h, w), o = x.shape, grad.shape[1]
    call = Call(
        n,
        c,
        h,
        w,
        o,
        kernel_size,
        stride,
        padding,
        dilation,
        groups,
        dtype,
        gradient_of_weight=True,
    )
    algorithm = choose("conv2d_dw", call).taken.name
    if algorithm == "unfold":
        return unfold.conv2d_dw(x, grad, kernel_size, stride, padding, call.out_size)
    if algorithm == "winograd":
        try:
            return winograd.conv2d_dw(x, grad, padding)
        except FloatingPointError:
            pass
    return direct.conv2d_dw(x, grad, kernel_size=kernel_size, **call.settings)


def conv2d_dx(
    grad: Array,
    weight: Array,
    *,
    input_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """minigan.ops.conv.conv2d_dx: at stride 1 a convolution with the kernel turned round."""
    (kh, kw), (h, w) = weight.shape[2:], input_size
    border = dilation[0] * (kh - 1) - padding[0], dilation[1] * (kw - 1) - padding[1]
    if stride == (1, 1) and min(border) >= 0:
        turned = _turned(weight, groups)
        return _convolve("conv2d_dx", grad, turned, None, stride, border, dilation, groups)
    n, o = grad.shape[:2]
    dtype, c = np.result_type(grad, weight).name, weight.shape[1] * groups
    call = Call(n, c, h, w, o, (kh, kw), stride, padding, dilation, groups, dtype, folds=True)
    choose("conv2d_dx", call)
    return direct.conv2d_dx(grad, weight, input_size=input_size, **call.settings)


def _turned(weight: Array, groups: int) -> Array:
    """The kernel of the adjoint at stride 1: rotated by 180 degrees, inputs and outputs exchanged."""
    o, c, kh, kw = weight.shape
    grouped = weight.reshape(groups, o // groups, c, kh, kw)[..., ::-1, ::-1]
    return grouped.transpose(0, 2, 1, 3, 4).reshape(groups * c, o // groups, kh, kw)
