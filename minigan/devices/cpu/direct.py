"""Convolution of any kind: unfold the rows of windows, then a few matrix products.

The idea. Keep the channels innermost in memory (NHWC; on the CPU strides are free, so tensors stay
logically NCHW). Copy, for every row of the padded image and every output column, the kw x C values that
a kernel row sees there, side by side: a matrix U. Kernel row i then meets the rows of U from i on,

    y = sum over i of U[rows i, i + s, ...] @ W_i          W_i: (kw C, O)

so kh matrix products do all the work. A full unfolding (im2col) would copy kh kw times the image; this
copies kw times. With a stride s, the rows of U are stored by their remainder modulo s, so that each
product still reads consecutive rows.

Cost: 2 N O C kh kw H' W' FLOPs in BLAS, which dominate once O is above some 16 channels; kw N C H W'
values copied, and kh - 1 additions of the result.
"""

from __future__ import annotations

from functools import cached_property, partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.devices import Array
from minigan.devices.cpu.layout import taps_first, taps_last
from minigan.devices.cpu.threads import FLOPS_PER_SECOND, share_out

Pair = tuple[int, int]

_UNFOLDED_BYTES = 4 << 20  # images are unfolded together up to this size, which a cache still holds


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
    """minigan.ops.conv.conv2d; the result has its channels innermost in memory."""
    n, c, h, w = x.shape
    o, _, kh, kw = weight.shape
    out_h, out_w = _output_size((h, w), (kh, kw), stride, padding, dilation)
    y = np.empty((n, out_h, out_w, o), np.result_type(x, weight))
    for inputs, outputs in _channels_of_groups(c, o, groups):
        taps = _kernel_rows(weight[outputs])
        rows = _PaddedRows(x[:, inputs], kw, out_w, stride, padding, dilation)
        offset = None if bias is None else bias[outputs]
        part = partial(_products, rows, taps, offset, y[..., outputs])
        share_out(part, len(rows.chunks), 2 * y.size * weight[0].size / groups / FLOPS_PER_SECOND)
    return y.transpose(0, 3, 1, 2)


def _products(rows: _PaddedRows, taps: Array, bias: Array | None, y: Array, chunk: int) -> None:
    """One chunk's images into y (N, H', W', O): a product for each row of the kernel, added up."""
    images = rows.chunks[chunk]
    target, unfolded = y[images], rows.unfold(images)
    whole = target.flags.c_contiguous  # one group: the first product can go where the sum is wanted
    for i, row_of_taps in enumerate(taps):
        seen = rows.seen_by(unfolded, i, y.shape[1])
        if i == 0 and whole:
            np.matmul(seen, row_of_taps, out=target.reshape(*seen.shape[:2], -1))
        elif i == 0:
            target[...] = np.matmul(seen, row_of_taps).reshape(target.shape)
        else:
            target += np.matmul(seen, row_of_taps).reshape(target.shape)
    if bias is not None:
        target += bias


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
    """minigan.ops.conv.conv2d_dw: U^T g for each kernel row, summed over the images in order."""
    n, c = x.shape[:2]
    o, out_h, out_w = grad.shape[1:]
    kh, kw = kernel_size
    g = _channels_last(grad).reshape(n, out_h * out_w, o)
    dtype = np.result_type(x, grad)
    dw = np.empty((kh, kw, c // groups, o), dtype)
    for inputs, outputs in _channels_of_groups(c, o, groups):
        rows = _PaddedRows(x[:, inputs], kw, out_w, stride, padding, dilation)
        width = outputs.stop - outputs.start
        sums = np.zeros((kh, kw * (c // groups), width), dtype)
        for images in rows.chunks:
            unfolded = rows.unfold(images)
            for i in range(kh):
                seen = rows.seen_by(unfolded, i, out_h)
                sums[i] += np.matmul(seen.transpose(0, 2, 1), g[images, :, outputs]).sum(axis=0)
        dw[..., outputs] = sums.reshape(kh, kw, c // groups, width)
    return taps_last(dw)


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
    """minigan.ops.conv.conv2d_dx: every window's values are added where they came from."""
    n, o, out_h, out_w = grad.shape
    c, kh, kw = weight.shape[1:]
    (h, w), (ph, pw), (sh, sw), (dh, dw) = input_size, padding, stride, dilation
    g = _channels_last(grad).reshape(n, out_h * out_w, o)
    padded_h = max(h + 2 * ph, (kh - 1) * dh + sh * out_h)
    padded_w = max(w + 2 * pw, (kw - 1) * dw + sw * out_w)
    x = np.empty((n, padded_h, padded_w, groups * c), np.result_type(grad, weight))
    kernels = [
        (inputs, outputs, _kernel_rows(weight[outputs]))
        for inputs, outputs in _channels_of_groups(groups * c, o, groups)
    ]

    def part(image: int) -> None:
        target = x[image]
        target[...] = 0
        for inputs, outputs, taps in kernels:
            for i in range(kh):
                product = np.matmul(g[image, :, outputs], taps[i].T)
                product = product.reshape(out_h, out_w, kw, c)
                rows = slice(i * dh, i * dh + sh * out_h, sh)
                for j in range(kw):
                    columns = slice(j * dw, j * dw + sw * out_w, sw)
                    target[rows, columns, inputs] += product[:, :, j]

    share_out(part, n, 2 * grad.size * weight[0].size / FLOPS_PER_SECOND)
    return x[:, ph : ph + h, pw : pw + w].transpose(0, 3, 1, 2)


# ---------------------------------------------------------------------- the rows of windows


class _PaddedRows:
    """Zero-padded images (N, H, W, C), whose kernel rows can be unfolded, some images at a time."""

    def __init__(self, x: Array, kw: int, out_w: int, stride: Pair, padding: Pair, dilation: Pair):
        n, c, h, w = x.shape
        (ph, pw), (sh, sw), dw = padding, stride, dilation[1]
        self.stride, self.dilation = stride, dilation
        self.rows_per_phase = -(-(h + 2 * ph) // sh)
        columns = max(w + 2 * pw, (kw - 1) * dw + sw * out_w)
        if (sh, ph, pw) == (1, 0, 0) and columns == w:
            self.padded = _channels_last(x)
        else:
            self.padded = np.zeros((n, self.rows_per_phase * sh, columns, c), x.dtype)
            self.padded[:, ph : ph + h, pw : pw + w] = x.transpose(0, 2, 3, 1)
        self.kw, self.out_w = kw, out_w

    @cached_property
    def chunks(self) -> list[slice]:
        """The images in order, as many at a time as shall be unfolded together."""
        n, h, _, c = self.padded.shape
        each = h * self.out_w * self.kw * c * self.padded.itemsize
        count = max(1, min(_UNFOLDED_BYTES // max(each, 1), -(-n // 2)))
        return [slice(first, min(first + count, n)) for first in range(0, n, count)]

    def unfold(self, images: slice) -> Array:
        """U of these images: (N, sh, rows / sh, out_w, kw C), rows by remainder modulo the stride."""
        p = self.padded[images]
        n, _, _, c = p.shape
        (sh, sw), q = self.stride, self.rows_per_phase
        sn, sy, sx, sc = p.strides
        windows = as_strided(
            p,
            (n, sh, q, self.out_w, self.kw, c),
            (sn, sy, sh * sy, sw * sx, self.dilation[1] * sx, sc),
            writeable=False,
        )
        return windows.reshape(n, sh, q, self.out_w, self.kw * c)  # copies unless kw is 1

    def seen_by(self, unfolded: Array, i: int, out_h: int) -> Array:
        """The rows of U that kernel row i meets: (N, out_h out_w, kw C)."""
        first, phase = divmod(i * self.dilation[0], self.stride[0])
        rows = unfolded[:, phase, first : first + out_h]
        return rows.reshape(len(rows), out_h * self.out_w, -1)


def _kernel_rows(weight: Array) -> Array:
    """weight (O, C, kh, kw) as one matrix for each kernel row: (kh, kw C, O)."""
    o, c, kh, kw = weight.shape
    return taps_first(weight).reshape(kh, kw * c, o)


def _channels_of_groups(c: int, o: int, groups: int) -> list[tuple[slice, slice]]:
    """For each group, its slice of the input channels and of the output channels."""
    ci, co = c // groups, o // groups
    return [(slice(k * ci, k * ci + ci), slice(k * co, k * co + co)) for k in range(groups)]


def _channels_last(x: Array) -> Array:
    """(N, C, H, W) as a contiguous (N, H, W, C); no copy if it already lies so in memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def _output_size(
    size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> list[int]:
    return [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    ]
