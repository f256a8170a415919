"""Pooling on the CPU: one pass over the image for each position inside the window.

A window of kh x kw is visited as kh kw strided slices of the whole image, each as large as the result,
so every pass is one NumPy call over all windows at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minigan.devices import Array
from minigan.devices.cpu.layout import channels_last
from minigan.devices.cpu.threads import share_out

Pair = tuple[int, int]

_SECONDS_EACH = 1e-9  # for a number, on one thread


def _taps(kernel: Pair, stride: Pair, out: Pair) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """For each position (i, j) in the window, row by row: the slice it meets in the padded image."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            yield (
                i,
                j,
                (
                    slice(i, i + stride[0] * (out[0] - 1) + 1, stride[0]),
                    slice(j, j + stride[1] * (out[1] - 1) + 1, stride[1]),
                ),
            )


def _padded(x: Array, padding: Pair, value: float) -> Array:
    if padding == (0, 0):
        return x
    (ph, pw), (n, c, h, w) = padding, x.shape
    out = np.full((n, c, h + 2 * ph, w + 2 * pw), value, x.dtype)
    out[:, :, ph : ph + h, pw : pw + w] = x
    return out


def _output_size(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    h, w = (
        (n + 2 * p - k) // s + 1
        for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True)
    )
    return h, w


def max_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> tuple[Array, Array]:
    """minigan.ops.pool.max_pool2d: the maxima, and the index row W + column of each in x."""
    out = _output_size(x, kernel, stride, padding)
    lowest = _lowest(x.dtype)
    padded = _padded(x, padding, lowest)
    corners = _corners(x.shape[3], stride, padding, out)
    (_, _, first), *taps = _taps(kernel, stride, out)
    if len(taps) >= 1 << 16:  # places beyond what 16 bits can count
        return _max_pool2d_with_care(x, padded, corners, kernel, stride, padding)
    i, j = np.divmod(np.arange(len(taps) + 1), kernel[1])
    steps = i * x.shape[3] + j  # from a window's first element to its others
    best = padded[:, :, *first].copy("K")
    indices = np.empty_like(best, steps.dtype)

    def part(n: int) -> None:
        maxima = best[n]
        place = np.zeros_like(maxima, np.uint16)  # in its window, counted row by row
        for k, (_, _, (rows, columns)) in enumerate(taps, 1):
            candidate = padded[n, :, rows, columns]
            better = candidate > maxima  # the first of equal elements keeps its place
            np.maximum(maxima, candidate, out=maxima)
            np.maximum(place, np.multiply(better, k, dtype=np.uint16), out=place)
        np.add(corners, steps[place], out=indices[n])

    share_out(part, len(x), padded.size * _SECONDS_EACH)
    if not (best.size and best.min() > lowest):
        return _max_pool2d_with_care(x, padded, corners, kernel, stride, padding)
    return best, indices


def _corners(width: int, stride: Pair, padding: Pair, out: Pair) -> Array:
    """The index of each window's first position: (H', W')."""
    rows = (np.arange(out[0]) * stride[0] - padding[0]) * width
    return rows[:, None] + (np.arange(out[1]) * stride[1] - padding[1])


def _max_pool2d_with_care(
    x: Array, padded: Array, corners: Array, kernel: Pair, stride: Pair, padding: Pair
) -> tuple[Array, Array]:
    """The same where a window holds NaN, or nothing above the value that the padding has."""
    out, width = (corners.shape[0], corners.shape[1]), x.shape[3]
    best = padded[:, :, *next(_taps(kernel, stride, out))[2]].copy()
    # A corner that lies in the padding may not win by default: begin where the window enters x.
    indices = np.broadcast_to(corners, best.shape).copy()
    claimed = np.broadcast_to(_inside(0, 0, out, stride, padding, x.shape[2:]), best.shape).copy()
    for i, j, (rows, columns) in list(_taps(kernel, stride, out))[1:]:
        candidate = padded[:, :, rows, columns]
        inside = _inside(i, j, out, stride, padding, x.shape[2:])
        # NaN wins over everything but an earlier NaN.
        better = (candidate > best) | (np.isnan(candidate) & ~np.isnan(best)) | ~claimed
        better &= inside
        np.copyto(best, candidate, where=better)
        np.copyto(indices, corners + (i * width + j), where=better)
        claimed |= inside
    return best, indices


def _lowest(dtype: np.dtype) -> float:
    """The value that nothing of this type lies below."""
    if dtype.kind == "f":
        return -np.inf
    return np.iinfo(dtype).min if dtype.kind in "iu" else False


def _inside(i: int, j: int, out: Pair, stride: Pair, padding: Pair, size: tuple[int, ...]) -> Array:
    """Which windows have their position (i, j) inside the image: (H', W')."""
    rows = np.arange(out[0]) * stride[0] - padding[0] + i
    columns = np.arange(out[1]) * stride[1] - padding[1] + j
    rows_inside = (rows >= 0) & (rows < size[0])
    return rows_inside[:, None] & (columns >= 0) & (columns < size[1])


def scatter2d(grad: Array, indices: Array, size: Pair) -> Array:
    """minigan.ops.pool.scatter2d, summing in a fixed order where an index occurs more than once."""
    n, c = grad.shape[:2]
    out = np.zeros((n, *size, c), grad.dtype)  # with channels innermost, as images mostly lie
    channels = np.arange(c)

    def part(i: int) -> None:
        places = indices[i].transpose(1, 2, 0).astype(np.intp) * c  # of a first channel
        places += channels
        values = grad[i].transpose(1, 2, 0)
        np.add.at(out[i].reshape(-1), places.reshape(-1), values.reshape(-1))

    share_out(part, n, grad.size * _SECONDS_EACH)
    return out.transpose(0, 3, 1, 2)


def sum_pool2d(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """minigan.ops.pool.sum_pool2d."""
    last = channels_last(x)
    if last is not None and stride == kernel and padding == (0, 0):
        return _block_sums(last, kernel).transpose(0, 3, 1, 2)
    out = _output_size(x, kernel, stride, padding)
    padded = _padded(x, padding, 0)
    total: Array | None = None
    for _, _, (rows, columns) in _taps(kernel, stride, out):
        part = padded[:, :, rows, columns]
        total = part.copy("K") if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def _block_sums(last: Array, kernel: Pair) -> Array:
    """The sums over blocks of (N, H, W, C): rows first, in long runs, then columns."""
    n, h, w, c = last.shape
    down, across = h // kernel[0], w // kernel[1]
    out = np.empty((n, down, across, c), last.dtype)

    def part(image: int) -> None:
        rows = last[image, : down * kernel[0]].reshape(down, kernel[0], w, c)
        total = rows[:, 0].copy()
        for i in range(1, kernel[0]):
            total += rows[:, i]
        pairs = total[:, : across * kernel[1]].reshape(down, across, kernel[1], c)
        out[image] = pairs[:, :, 0]
        for j in range(1, kernel[1]):
            out[image] += pairs[:, :, j]

    share_out(part, n, last.size * _SECONDS_EACH)
    return out


def sum_pool2d_dx(
    grad: Array, input_size: Pair, kernel: Pair, stride: Pair, padding: Pair
) -> Array:
    """minigan.ops.pool.sum_pool2d_dx."""
    n, c, *out = grad.shape
    (h, w), (ph, pw) = input_size, padding
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), grad.dtype)
    for _, _, (rows, columns) in _taps(kernel, stride, (out[0], out[1])):
        padded[:, :, rows, columns] += grad
    return padded[:, :, ph : ph + h, pw : pw + w]
