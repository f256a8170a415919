"""Convolution of any kind: windows as rows of a matrix, then one matrix product.

The idea (im2col). Keep the channels innermost in memory (NHWC; on the CPU strides are free, so tensors
stay logically NCHW). Copy what each output pixel sees, its kh kw C values, side by side into a row of a
matrix U. Then

    y  = U W                 U: (pixels, kh kw C), W: the weight as (kh kw C, O)
    dw = U^T g               g: (pixels, O), what flows back
    dU = g W^T               whose values are then added up where they came from

U would be kh kw times as large as the image. So it is made some rows of pixels at a time, of a size that
the cache still holds when BLAS reads it.

Cost: 2 N O C kh kw H' W' FLOPs in BLAS, which dominate once O is above some 16 channels, and kh kw N C
H' W' values copied; for dU as many additions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.devices import Array
from minigan.devices.cpu.layout import taps_first, taps_last
from minigan.devices.cpu.rectify import finish
from minigan.devices.cpu.threads import FLOPS_PER_SECOND, share_out

Pair = tuple[int, int]
Chunk = tuple[slice, slice]  # some images, and rows of their pixels

_UNFOLDED_BYTES = 1 << 21  # of U at a time
_FEW_PIXELS = 256  # to divide these among threads would be to read the weight twice
_CHEAP_TURN = 4  # to turn a weight round pays from so many pixels for each of its outputs


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    rectified: bool = False,
) -> Array:
    """minigan.ops.conv.conv2d, or conv2d_relu; the result has its channels innermost in memory."""
    (n, c), (o, _, *kernel) = x.shape[:2], weight.shape
    dtype = np.result_type(x, weight)
    windows = _Windows(x.shape, kernel, stride, padding, dilation, groups, dtype)
    image = windows.padded(x)
    matrices = [_matrix(weight[outputs], dtype) for _, outputs in _groups(c, o, groups)]
    y = np.empty((n, *windows.out_size, o), dtype)

    def part(i: int) -> None:
        chunk = windows.chunks[i]
        for (inputs, outputs), matrix in zip(_groups(c, o, groups), matrices, strict=True):
            seen, target = windows.unfolded(image[..., inputs], chunk), y[chunk][..., outputs]
            if groups == 1:
                np.matmul(seen, matrix, out=target.reshape(len(seen), o))
            else:
                target[...] = np.matmul(seen, matrix).reshape(target.shape)
            finish(target, None if bias is None else bias[outputs], rectified)

    share_out(part, len(windows.chunks), _seconds(y.size * weight[0].size))
    return y.transpose(0, 3, 1, 2)


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
    """minigan.ops.conv.conv2d_dw: U^T g, summed over the chunks in order."""
    c, o = x.shape[1], grad.shape[1]
    dtype = np.result_type(x, grad)
    windows = _Windows(x.shape, kernel_size, stride, padding, dilation, groups, dtype)
    image, g = windows.padded(x), _channels_last(grad, dtype)
    shape = *kernel_size, c // groups, o // groups
    of_groups = []
    for inputs, outputs in _groups(c, o, groups):
        total = None
        for chunk in windows.chunks:
            seen, arriving = windows.unfolded(image[..., inputs], chunk), g[chunk][..., outputs]
            share = np.matmul(seen.T, arriving.reshape(len(seen), -1))
            total = share if total is None else np.add(total, share, out=total)
        of_groups.append(np.zeros(shape, dtype) if total is None else total.reshape(shape))
    return taps_last(of_groups[0] if groups == 1 else np.concatenate(of_groups, axis=-1))


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
    """minigan.ops.conv.conv2d_dx: every window's values are added where they came from.

    At stride 1 this is also a convolution by the kernel turned round, which reads where this one adds;
    it is computed so where the weight is small beside the image.
    """
    (n, o, *out_size), (c, *kernel) = grad.shape, weight.shape[1:]
    border = adjoint_padding(weight, padding, dilation)
    if stride == (1, 1) and min(border) >= 0 and n * math.prod(out_size) > _CHEAP_TURN * o:
        how = {"stride": stride, "padding": border, "dilation": dilation, "groups": groups}
        return conv2d(grad, turned(weight, groups), **how)
    c *= groups
    dtype = np.result_type(grad, weight)
    windows = _Windows((n, c, *input_size), kernel, stride, padding, dilation, groups, dtype)
    g = _channels_last(grad, dtype)
    matrices = [_matrix(weight[outputs], dtype).T for _, outputs in _groups(c, o, groups)]
    x = np.empty((n, *windows.padded_size, c), dtype)

    def part(i: int) -> None:
        images, chunks = windows.of_images[i]
        x[images] = 0
        for chunk in chunks:
            for (inputs, outputs), matrix in zip(_groups(c, o, groups), matrices, strict=True):
                arriving = g[chunk][..., outputs]
                values = np.matmul(arriving.reshape(-1, matrix.shape[0]), matrix)
                windows.fold(values, x[..., inputs], chunk)

    share_out(part, len(windows.of_images), _seconds(grad.size * weight[0].size))
    (h, w), (ph, pw) = input_size, padding
    return x[:, ph : ph + h, pw : pw + w].transpose(0, 3, 1, 2)


def turned(weight: Array, groups: int = 1) -> Array:
    """The kernel of the adjoint at stride 1: rotated by 180 degrees, inputs and outputs exchanged."""
    o, c, kh, kw = weight.shape
    grouped = weight.reshape(groups, o // groups, c, kh, kw)[..., ::-1, ::-1]
    return grouped.transpose(0, 2, 1, 3, 4).reshape(groups * c, o // groups, kh, kw)


def adjoint_padding(weight: Array, padding: Pair, dilation: Pair) -> Pair:
    """The padding with which the adjoint at stride 1 is a convolution; negative where it is none."""
    kh, kw = weight.shape[2:]
    return dilation[0] * (kh - 1) - padding[0], dilation[1] * (kw - 1) - padding[1]


def _seconds(products: int) -> float:
    return 2 * products / FLOPS_PER_SECOND


# ---------------------------------------------------------------------- the windows


class _Windows:
    """What the pixels of an output see of images (N, C, H, W), zero-padded; C of one group."""

    def __init__(
        self,
        x_shape: tuple[int, ...],
        kernel: Sequence[int],
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
        dtype: np.dtype,
    ):
        self.n, channels, *self.size = x_shape
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        self.c, self.dtype = channels // groups, dtype
        self.out_size = [
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip(self.size, kernel, stride, padding, dilation, strict=True)
        ]
        self.padded_size = [size + 2 * p for size, p in zip(self.size, padding, strict=True)]

    def padded(self, x: Array) -> Array:
        """The images (N, H, W, all C) with a border of zeros; no copy where that is how they lie."""
        (h, w), (ph, pw) = self.size, self.padding
        if self.padded_size == [h, w]:
            return _channels_last(x, self.dtype)
        image = np.zeros((self.n, *self.padded_size, x.shape[1]), self.dtype)
        image[:, ph : ph + h, pw : pw + w] = x.transpose(0, 2, 3, 1)
        return image

    @cached_property
    def chunks(self) -> list[Chunk]:
        """All pixels in order, as many at a time as shall be unfolded together."""
        return [chunk for _, chunks in self.of_images for chunk in chunks]

    @cached_property
    def of_images(self) -> list[tuple[slice, list[Chunk]]]:
        """The same by images: several in one chunk, or one in several; two parts, of many pixels."""
        out_h, out_w = self.out_size
        row = max(1, out_w * self.kernel[0] * self.kernel[1] * self.c * self.dtype.itemsize)
        rows = max(1, _UNFOLDED_BYTES // row)
        together = max(1, min(rows // max(1, out_h), self.n))
        if together == self.n and self.n * out_h * out_w > _FEW_PIXELS:
            together = -(-self.n // 2)
        return [
            (
                images := slice(first, min(first + together, self.n)),
                [(images, slice(y, min(y + rows, out_h))) for y in range(0, out_h, rows)],
            )
            for first in range(0, self.n, together)
        ]

    def unfolded(self, image: Array, chunk: Chunk) -> Array:
        """U of a chunk: (pixels, kh kw C); a view of the images where the kernel is 1 x 1."""
        (images, rows), (kh, kw), (sh, sw), (dh, dw) = (
            chunk,
            self.kernel,
            self.stride,
            self.dilation,
        )
        seen = image[images, rows.start * sh :]
        sn, sy, sx, sc = seen.strides
        shape = (len(seen), rows.stop - rows.start, self.out_size[1], kh, kw, self.c)
        strides = (sn, sh * sy, sw * sx, dh * sy, dw * sx, sc)
        return as_strided(seen, shape, strides, writeable=False).reshape(-1, kh * kw * self.c)

    def fold(self, values: Array, image: Array, chunk: Chunk) -> None:
        """Add the rows of a dU into the images they were unfolded from."""
        (images, rows), (kh, kw), (sh, sw), (dh, dw) = (
            chunk,
            self.kernel,
            self.stride,
            self.dilation,
        )
        count, out_w = rows.stop - rows.start, self.out_size[1]
        values = values.reshape(-1, count, out_w, kh, kw, self.c)
        for i in range(kh):
            top = rows.start * sh + i * dh
            for j in range(kw):
                down, across = (
                    slice(first, first + s * size, s)
                    for first, s, size in ((top, sh, count), (j * dw, sw, out_w))
                )
                image[images, down, across] += values[:, :, :, i, j]


def _matrix(weight: Array, dtype: np.dtype) -> Array:
    """weight (O, C, kh, kw) as (kh kw C, O)."""
    return taps_first(weight).reshape(-1, len(weight)).astype(dtype, copy=False)


def _groups(c: int, o: int, groups: int) -> list[tuple[slice, slice]]:
    """For each group, its slice of the input channels and of the output channels."""
    ci, co = c // groups, o // groups
    return [(slice(k * ci, k * ci + ci), slice(k * co, k * co + co)) for k in range(groups)]


def _channels_last(x: Array, dtype: np.dtype) -> Array:
    """(N, C, H, W) as a contiguous (N, H, W, C); no copy if it already lies so in memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1), dtype)
