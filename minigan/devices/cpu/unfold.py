"""Convolution with few channels on one side, by unfolding that side.

The idea. One side of a network's first layer (3 -> C) and of its last (C -> 3) is an image of a few
planes, the other a wide one, whose every pixel has C channels. To unfold the thin side (each window of
kh x kw pixels as a column) is cheap, and then one matrix product does all:

    expand     wide (pixels, C) = columns^T (pixels, K) @ taps (K, C)       K = planes kh kw
    correlate  taps (K, C)      = columns (K, pixels)   @ wide (pixels, C)
    reduce     columns (K, pixels) = taps (K, C) @ wide^T (C, pixels), then folded into the planes

To unfold the wide side, as direct.py does, would copy C / planes times as much, and its products would be
only a few columns wide.

Cost: 2 K C FLOPs for each pixel of the wide side, as for any direct form, and K values for each that pass
through the cache once. Rounding is that of the direct form.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.devices import Array
from minigan.devices.cpu.layout import taps_first, taps_last
from minigan.devices.cpu.rectify import finish
from minigan.devices.cpu.threads import FLOPS_PER_SECOND, share_out

Pair = tuple[int, int]

_COLUMN_BYTES = (
    1 << 19
)  # of columns at a time, which stay in the cache until the product reads them


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    out_size: Pair,
    rectified: bool = False,
) -> Array:
    """x (N, C, H, W), weight (O, C, kh, kw) -> (N, O, H', W')."""
    o, c, kh, kw = weight.shape
    dtype = np.result_type(x, weight)
    if c <= o or stride != (1, 1):
        thin = _Unfolded(x, (kh, kw), stride, padding, out_size, dtype)
        return _expand(thin, weight, bias, rectified).transpose(0, 3, 1, 2)
    return _reduce(x, weight, bias, rectified, padding, out_size)


def conv2d_dw(
    x: Array, grad: Array, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair
) -> Array:
    """x (N, C, H, W), grad (N, O, H', W') -> (O, C, kh, kw), of which either C or O is small."""
    (kh, kw), c, o = kernel, x.shape[1], grad.shape[1]
    dtype = np.result_type(x, grad)
    if c <= o or stride != (1, 1):
        taps = _correlate(_Unfolded(x, kernel, stride, padding, out_size, dtype), grad)
        return taps_last(taps.reshape(kh, kw, c, o))
    # The pixel of grad that pixel q of x meets under tap (i, j) is q - (i, j) + padding: unfolded with
    # the kernel turned round.
    turned = kh - 1 - padding[0], kw - 1 - padding[1]
    size = x.shape[2], x.shape[3]
    taps = _correlate(_Unfolded(grad, kernel, (1, 1), turned, size, dtype), x)
    return taps_last(np.ascontiguousarray(taps.reshape(kh, kw, o, c)[::-1, ::-1].swapaxes(2, 3)))


# ---------------------------------------------------------------------- the thin side


class _Unfolded:
    """The windows of a thin image (N, planes, H, W) as columns; padding may be negative: a border cut
    off."""

    def __init__(
        self, x: Array, kernel: Pair, stride: Pair, padding: Pair, out_size: Pair, dtype: np.dtype
    ):
        n, planes, h, w = x.shape
        sides = [(out - 1) * s + k for out, s, k in zip(out_size, stride, kernel, strict=True)]
        self.padded = np.zeros((n, planes, *sides), dtype)
        (ty, sy), (tx, sx) = (_overlap(*a) for a in zip(padding, (h, w), sides, strict=True))
        self.padded[:, :, ty, tx] = x[:, :, sy, sx]
        self.kernel, self.stride, self.out_size = kernel, stride, out_size
        self.count = planes * kernel[0] * kernel[1]

    def strips(self) -> list[tuple[int, slice]]:
        """Images and rows of the output whose columns the cache holds."""
        out_h, out_w = self.out_size
        rows = max(1, _COLUMN_BYTES // (self.count * out_w * self.padded.itemsize))
        return [
            (image, slice(first, min(first + rows, out_h)))
            for image in range(len(self.padded))
            for first in range(0, out_h, rows)
        ]

    def columns(self, image: int, strip: slice) -> Array:
        """The windows of a strip: (K, rows W'), K in the order kh, kw, planes."""
        (kh, kw), (sh, sw), out_w = self.kernel, self.stride, self.out_size[1]
        planes = self.padded[image]
        sc, sy, sx = planes.strides
        windows = as_strided(
            planes[:, strip.start * sh :],
            (kh, kw, len(planes), strip.stop - strip.start, out_w),
            (sy, sx, sc, sh * sy, sw * sx),
            writeable=False,
        )
        return windows.reshape(self.count, -1)


def _overlap(padding: int, size: int, side: int) -> tuple[slice, slice]:
    """Where in a padded side the image lies, and which part of the image that is."""
    first, last = max(padding, 0), min(padding + size, side)
    last = max(first, last)
    return slice(first, last), slice(first - padding, last - padding)


# ---------------------------------------------------------------------- the three products


def _expand(thin: _Unfolded, weight: Array, bias: Array | None, rectified: bool) -> Array:
    """(N, H', W', O)."""
    o = len(weight)
    taps = taps_first(weight).reshape(-1, o).astype(thin.padded.dtype, copy=False)
    y = np.empty((len(thin.padded), *thin.out_size, o), taps.dtype)
    strips = thin.strips()

    def part(i: int) -> None:
        image, rows = strips[i]
        target = y[image, rows].reshape(-1, o)
        finish(np.matmul(thin.columns(image, rows).T, taps, out=target), bias, rectified)

    share_out(part, len(strips), 2 * y.size * thin.count / FLOPS_PER_SECOND)
    return y


def _correlate(thin: _Unfolded, wide: Array) -> Array:
    """(K, C) for wide (N, C, H', W'), summed over the strips in order."""
    c = wide.shape[1]
    pixels = np.ascontiguousarray(wide.transpose(0, 2, 3, 1), thin.padded.dtype)
    total = np.zeros((thin.count, c), pixels.dtype)
    for image, rows in thin.strips():
        total += np.matmul(thin.columns(image, rows), pixels[image, rows].reshape(-1, c))
    return total


def _reduce(
    x: Array, weight: Array, bias: Array | None, rectified: bool, padding: Pair, out_size: Pair
) -> Array:
    """(N, O, H', W') for few O, at stride 1: what each pixel of x gives to each window, then the sums."""
    (n, c, h, w), (o, _, kh, kw) = x.shape, weight.shape
    dtype = np.result_type(x, weight)
    pixels = np.ascontiguousarray(x.transpose(0, 2, 3, 1), dtype)
    # Tap (i, j) brings pixel q to q - (i, j): to q + (kh - 1 - i, ...) of an image with a border.
    taps = weight[:, :, ::-1, ::-1].transpose(2, 0, 3, 1).reshape(kh * o * kw, c)
    rows_at_once = max(1, _COLUMN_BYTES // (len(taps) * w * pixels.itemsize))
    y = np.zeros((n, o, *out_size), dtype)
    (ty, sy), (tx, sx) = (
        _overlap(p - k + 1, size + k - 1, out)
        for p, k, size, out in zip(padding, (kh, kw), (h, w), out_size, strict=True)
    )

    def part(image: int) -> None:
        by_row = np.zeros((o * kw, h + kh - 1, w), dtype)  # summed over the kernel's rows
        for first in range(0, h, rows_at_once):
            strip = pixels[image, first : first + rows_at_once]
            values = np.matmul(taps, strip.reshape(-1, c).T).reshape(kh, o * kw, len(strip), w)
            for i in range(kh):
                by_row[:, first + i : first + i + len(strip)] += values[i]
        columns = by_row.reshape(o, kw, h + kh - 1, w)
        whole = np.zeros((o, h + kh - 1, w + kw - 1), dtype)
        for j in range(kw):
            whole[:, :, j : j + w] += columns[:, j]
        y[image, :, ty, tx] = whole[:, sy, sx]
        finish(y[image], None if bias is None else bias[:, None, None], rectified)

    share_out(part, n, 2 * pixels.size * len(taps) / FLOPS_PER_SECOND)
    return y
