"""Which algorithm convolves on the CPU: a choice by shape, that `use_kernels` and `exact` overrule.

    unfold     a side with up to 4 channels, as in a network's first and last layer
    winograd   3 x 3 kernels at stride 1 in float32: a quarter of the multiplications, some more rounding
    direct     every other call

Each has a file of its own; conv.py runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minigan.core.errors import ShapeError
from minigan.devices import Array
from minigan.devices.choice import Choice, asked_for, enter, record, wishes
from minigan.devices.cpu import direct, winograd

Pair = tuple[int, int]


class Call(NamedTuple):
    """What the choice depends on. A data gradient at stride 1 is the convolution that computes it."""

    x_shape: tuple[int, ...]  # (N, C, H, W), after upsampling
    o: int  # channels of output
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    dtype: str
    # "convolution"; "folding", a data gradient that is none; or "weights", their gradient
    kind: str = "convolution"

    @property
    def out_size(self) -> Pair:
        height, width = (
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip(
                self.x_shape[2:], self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return height, width


def of_conv2d(
    x: Array, weight: Array, bias: Array | None = None, *, upsample: Pair, **how: Any
) -> Call:
    """A call of conv2d."""
    o, _, kh, kw = weight.shape
    x_shape = *x.shape[:2], *enlarged(x.shape[2:], upsample)
    return Call(x_shape, o, (kh, kw), **how, dtype=np.result_type(x, weight).name)


def of_conv2d_dw(x: Array, grad: Array, *, kernel_size: Pair, upsample: Pair, **how: Any) -> Call:
    """A call of conv2d_dw."""
    x_shape, dtype = (*x.shape[:2], *enlarged(x.shape[2:], upsample)), np.result_type(x, grad).name
    return Call(x_shape, grad.shape[1], kernel_size, **how, dtype=dtype, kind="weights")


def of_conv2d_dx(
    grad: Array,
    weight: Array,
    *,
    input_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    upsample: Pair,
) -> Call:
    """A call of conv2d_dx: at stride 1 a convolution of `grad` with the kernel turned round."""
    (o, c, kh, kw), dtype = weight.shape, np.result_type(grad, weight).name
    border = direct.adjoint_padding(weight, padding, dilation)
    c *= groups
    if stride == (1, 1) and min(border) >= 0:
        return Call(grad.shape, c, (kh, kw), stride, border, dilation, groups, dtype)
    x_shape = len(grad), c, *enlarged(input_size, upsample)
    return Call(x_shape, o, (kh, kw), stride, padding, dilation, groups, dtype, kind="folding")


def enlarged(size: Sequence[int], upsample: Pair) -> Pair:
    """(H, W) of images whose pixels have been repeated."""
    return size[0] * upsample[0], size[1] * upsample[1]


CALLS: dict[str, Callable[..., Call]] = {
    "conv2d": of_conv2d,
    "conv2d_relu": of_conv2d,
    "conv2d_dx": of_conv2d_dx,
    "conv2d_dw": of_conv2d_dw,
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
    if call.kind == "folding":
        return _FOLDS
    if call.groups > 1 or call.dilation != (1, 1):
        return "it is for one group and no dilation"
    return ""


def _unfold_unwise(call: Call) -> str:
    if call.kernel == (1, 1):
        return "a 1 x 1 kernel is one matrix product as it is"
    few_inputs, few_outputs = call.x_shape[1] <= 4, call.o <= 4 and call.stride == (1, 1)
    return "" if few_inputs or few_outputs else "it is for up to 4 channels on one side"


# Measured on one thread: from so many tiles on, Winograd's algorithm is faster than the direct one. A
# weight of more than 256 x 256 channels, four times as large when transformed, leaves the cache.
_TILES, _TILES_FOR_LARGE, _LARGE_WEIGHT = 8, 32, 256 * 256


def _winograd_cannot(call: Call) -> str:
    if call.kind == "folding":
        return _FOLDS
    if (call.kernel, call.stride, call.dilation, call.groups) != ((3, 3), (1, 1), (1, 1), 1):
        return "it is for 3 x 3 kernels at stride 1, one group, no dilation"
    if call.x_shape[0] == 0:
        return "there is no image"
    return "" if call.dtype == "float32" else f"it computes in float32, not in {call.dtype}"


def _winograd_unwise(call: Call) -> str:
    if min(call.x_shape[1], call.o) < 16:
        return "with few channels its transforms take longer than its products"
    if min(call.out_size) < winograd.OUTPUTS:
        return "its tiles would be mostly empty"
    down, across = (-(-size // winograd.OUTPUTS) for size in call.out_size)
    large = call.x_shape[1] * call.o > _LARGE_WEIGHT
    if call.x_shape[0] * down * across < (_TILES_FOR_LARGE if large else _TILES):
        return "with few tiles, transforming the weight takes longer than its products save"
    return ""


def _never(call: Call) -> str:
    return ""


ALGORITHMS = (
    Algorithm("unfold", _unfold_cannot, _unfold_unwise),
    Algorithm("winograd", _winograd_cannot, _winograd_unwise, exact=False),
    Algorithm("direct", _never, _never),
)
_CHOSEN_AS = {"conv2d_relu": "conv2d"}  # what chooses for another operation
for _operation in CALLS.keys() - _CHOSEN_AS.keys():
    enter("cpu", _operation, [a.name for a in ALGORITHMS])


def choose(operation: str, call: Call) -> Choice[Algorithm]:
    """The algorithm asked for by `use_kernels`; or the first that can, is not unwise, and may be taken.

    Raises ShapeError if the one asked for cannot.
    """
    operation = _CHOSEN_AS.get(operation, operation)
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
