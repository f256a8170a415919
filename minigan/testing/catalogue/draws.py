"""Hypothesis strategies that the whole suite shares.

Hypothesis draws shapes, settings and a seed; NumPy fills in the values, which makes examples small to
draw and to shrink. Values are spaced: no two are closer than finite differences can tell apart, and
none lies near 0, so that kinks and ties are never met by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class Call:
    """One call of an operation: raw arrays (float64 where they are floating), and keywords."""

    arrays: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)


def shapes(min_axes: int = 0, max_axes: int = 3, max_side: int = 4, min_side: int = 1):
    return st.lists(st.integers(min_side, max_side), min_size=min_axes, max_size=max_axes).map(
        tuple
    )


def spaced(seed: int, *wanted: Sequence[int], low: float = -2, high: float = 2) -> list[np.ndarray]:
    """Arrays of the wanted shapes with shuffled, evenly spaced, distinct values, none near 0."""
    sizes = [int(np.prod(shape)) for shape in wanted]
    n = sum(sizes)
    values = low + (high - low) * (np.arange(n) + 0.37) / max(n, 1)
    values = np.where(np.abs(values) < 0.003, 0.003, values)
    values = np.random.default_rng(seed).permutation(values)
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, wanted, strict=True)]


@st.composite
def broadcastable(draw, count: int) -> list[tuple[int, ...]]:
    """`count` shapes that broadcast together: some lose leading axes, some have sizes of 1."""
    full = draw(shapes(0, 3))
    result = []
    for _ in range(count):
        kept = full[draw(st.integers(0, len(full))) :]
        result.append(tuple(draw(st.sampled_from([n, 1])) for n in kept))
    return result


@st.composite
def elementwise(draw, count: int = 1, low: float = -2, high: float = 2, **params: Any) -> Call:
    """`count` broadcasting arguments with values in [low, high]; params are strategies or values."""
    wanted = draw(broadcastable(count))
    arrays = spaced(draw(seeds), *wanted, low=low, high=high)
    return Call(tuple(arrays), draw_all(draw, params))


def draw_all(draw: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    return {
        name: draw(value) if isinstance(value, st.SearchStrategy) else value
        for name, value in params.items()
    }


@st.composite
def reduction(draw, one_axis: bool = False, min_side: int = 1, **params: Any) -> Call:
    """One argument, and an axis, several axes or (unless one_axis) all of them."""
    shape = draw(shapes(1, 4, max_side=3, min_side=min_side))
    axis = st.integers(-len(shape), len(shape) - 1)
    if not one_axis:
        several = st.sets(st.integers(0, len(shape) - 1), min_size=1).map(
            lambda s: tuple(sorted(s))
        )
        axis = st.one_of(st.none(), axis, several)
    (x,) = spaced(draw(seeds), shape)
    return Call((x,), {"axis": draw(axis), **draw_all(draw, params)})


def images(max_n: int = 2, max_c: int = 3, min_side: int = 1, max_side: int = 6):
    side = st.integers(min_side, max_side)
    return st.tuples(st.integers(1, max_n), st.integers(1, max_c), side, side)


def pairs(low: int, high: int):
    """(vertical, horizontal) settings, which differ as often as not."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


@dataclass(frozen=True)
class Convolution:
    """The shapes and settings of one convolution."""

    x: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    y: tuple[int, int, int, int]
    how: dict[str, Any]


@st.composite
def convolutions(draw) -> Convolution:
    """Small convolutions of every kind: odd sizes, strides, paddings, dilations, groups, upsampling."""
    groups = draw(st.integers(1, 3))
    c, o = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel, stride = draw(pairs(1, 3)), draw(pairs(1, 3))
    padding, dilation = draw(pairs(0, 2)), draw(pairs(1, 2))
    upsample = draw(st.one_of(st.just((1, 1)), pairs(1, 2)))
    size = []
    for k, p, d, u in zip(kernel, padding, dilation, upsample, strict=True):
        least = max(1, -(-(d * (k - 1) + 1 - 2 * p) // u))
        size.append(draw(st.integers(least, least + 3)))
    n = draw(st.integers(1, 2))
    out = [
        (m * u + 2 * p - d * (k - 1) - 1) // s + 1
        for m, k, s, p, d, u in zip(size, kernel, stride, padding, dilation, upsample, strict=True)
    ]
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    how["upsample"] = upsample
    return Convolution((n, groups * c, *size), (groups * o, c, *kernel), (n, groups * o, *out), how)


@dataclass(frozen=True)
class Windows:
    """The shapes and settings of one pooling."""

    x: tuple[int, int, int, int]
    y: tuple[int, int, int, int]
    how: dict[str, Any]


@st.composite
def windows(draw) -> Windows:
    """Small poolings: windows that overlap, touch or leave gaps, with and without padding."""
    kernel, stride = draw(pairs(1, 3)), draw(pairs(1, 3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(
        draw(st.integers(max(1, k - 2 * p), max(1, k - 2 * p) + 4))
        for k, p in zip(kernel, padding, strict=True)
    )
    out = tuple(
        (m + 2 * p - k) // s + 1 for m, k, s, p in zip(size, kernel, stride, padding, strict=True)
    )
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    how = {"kernel_size": kernel, "stride": stride, "padding": padding}
    return Windows((n, c, *size), (n, c, *out), how)
