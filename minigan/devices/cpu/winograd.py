"""Convolution with 3 x 3 kernels at stride 1 in a quarter of the multiplications: Winograd's F(4x4, 3x3).

The idea. A row of 4 outputs of a 3-tap filter takes 12 multiplications; polynomials show that 6 are
enough (Winograd 1980; for convolutional networks Lavin & Gray 2016). Read the taps g and the 6 inputs d
as polynomials: their product is known once its values at 6 points are, and at a point it is one
multiplication. Transposed, that multiplication becomes a filter:

    y = A^T [(G g) * (B^T d)]        d: 6 inputs, g: 3 taps, y: 4 outputs; * elementwise

In two dimensions each tile of 6 x 6 inputs gives 4 x 4 outputs by 36 multiplications instead of 144; the
transforms are applied along one axis, then along the other. Over channels the elementwise product
becomes 36 matrix products, one for each of the 36 values, and these are most of the work:

    V = B^T d B        for each tile of the image and each channel
    U = G g G^T        for each pair of channels
    M = V U            36 products (tiles, C) (C, O)
    y = A^T M A        for each tile and each output channel

The weight gradient is the same read from the other end: dw = G^T [sum over tiles of V (A g A^T)] G.

Which points? Textbooks take 0, 1, -1, 2, -2 and infinity, so that the transforms are sums of few terms.
Here they are matrices for BLAS anyway, and the points can be those that round least: c, -c, 1 / c and
-1 / c (Alam et al. 2022), with c = sqrt(1/2), are five times as accurate. What remains is some 3.5 times
the rounding of the direct form, so `mg.exact()` and float64 never come here.

A doubled image, each of its pixels repeated in both directions, need not exist: with a border of 1 the 6
inputs of a tile are a b b c c d along each axis, so B^T times the matrix R that repeats (6, 4) transforms
the tiles of 4 x 4 of the small image, 2 pixels apart. Its gradient is summed over blocks of 2 x 2 by the
transposed step: each two rows of A^T are added, and a tile gives 2 x 2 outputs. Where the image is large
beside the weight, another way takes less: an output in an even row sees the rows a b b, one in an odd row
b b c, so that each of the four parities has a kernel of its own on the small image, with 0 and two taps
added. These four times as many outputs come of a quarter of the tiles.

Cost: 2 * 36 / 16 N H W C O FLOPs for the products, a quarter of the direct form's, and some
60 N H W (C + O) for the transforms. The image's tiles, 2.25 times its size, pass through the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache, reduce
from math import prod
from typing import NamedTuple

import numpy as np

from minigan.devices import Array
from minigan.devices.cpu.layout import taps_first, taps_last
from minigan.devices.cpu.rectify import finish
from minigan.devices.cpu.threads import FLOPS_PER_SECOND, share_out

Pair = tuple[int, int]

OUTPUTS, TAPS = 4, 3  # of a tile, along one axis
INPUTS = OUTPUTS + TAPS - 1
VALUES = INPUTS * INPUTS  # of a transformed tile

_CHUNK_BYTES = (
    1 << 21
)  # of transformed tiles; fewer and larger calls beat smaller ones nearer to the core
_CHUNK_TILES = 32  # at least so many, or the products are too thin for BLAS
_TILES_FOR_PARITIES = 32  # for each output, see _is_large
_COLUMNS = 1024  # of a transform at a time: its operands then stay in the cache


class Transforms(NamedTuple):
    """Along one axis."""

    at: Array  # A^T (4, 6): values of the product -> outputs
    g: Array  # G (6, 3): taps -> values
    bt: Array  # B^T (6, 6): inputs -> values
    bt_doubled: Array  # B^T R (6, 4): inputs of the small image -> values of the doubled one
    at_halved: Array  # (2, 6): values of the product -> outputs, each two of them added


@cache
def transforms() -> Transforms:
    """For the points 0, +-sqrt(1/2), +-sqrt(2) and infinity, in float32.

    A polynomial of `size` coefficients is evaluated at all points by E(size): the powers of each point,
    and at infinity the highest coefficient. A product of polynomials with 4 and 3 coefficients is
    E(6)^-1 [(E(4) a) * (E(3) g)]; the filter is the transpose of that in a.
    """
    c = np.sqrt(0.5)
    points = np.array([0, c, -c, 1 / c, -1 / c])

    def evaluation(size: int) -> Array:
        finite = points[:, None] ** np.arange(size)
        return np.vstack([finite, np.eye(size)[-1]])

    at, g, bt = evaluation(OUTPUTS).T, evaluation(TAPS), np.linalg.inv(evaluation(INPUTS)).T
    repeats = np.repeat(np.eye(4), [1, 2, 2, 1], axis=0)  # R: a b c d -> a b b c c d
    pair_sums = np.repeat(np.eye(2), 2, axis=1)
    matrices = at, g, bt, bt @ repeats, pair_sums @ at
    return Transforms(*(m.astype(np.float32) for m in matrices))


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    padding: Pair,
    *,
    doubled: bool = False,
    halved: bool = False,
    rectified: bool = False,
) -> Array:
    """x (N, C, H, W), weight (O, C, 3, 3) -> (N, O, H', W'), float32; its channels innermost in memory.

    doubled    x is doubled first: its size is (2 H, 2 W) then; the padding is (1, 1)
    halved     blocks of 2 x 2 of the result are summed: the adjoint of doubling
    rectified  max(0, ...) of the result

    Raises FloatingPointError where a result is not finite, here and in conv2d_dw: an infinity or NaN
    would have spread over its whole tile.
    """
    times = 2 if doubled and _is_large(x, weight) else 1
    if times == 2:
        weight, doubled = _of_parities(weight), False
        bias = None if bias is None else np.tile(bias, times)
    o, c = weight.shape[:2]
    plan = _plan(x.shape, padding, max(o, c), doubled)
    kernel = _transformed_kernel(weight)
    back = transforms().at_halved if halved else transforms().at
    each = len(back)  # of a tile's outputs, along one axis
    size = plan.down * each, plan.across * each
    y = np.empty((len(x), size[0], times, size[1], o // times), np.float32)

    def part(i: int) -> None:
        chunk = plan.chunks[i]
        products = np.matmul(chunk.transformed(x), kernel)
        result = _along_both(back, products.reshape(INPUTS, INPUTS, -1))
        target = y[chunk.images, chunk.pixels(each)]
        _spread(_finite(result), target, bias)
        finish(target, None, rectified)

    share_out(part, len(plan.chunks), _seconds(plan, c, o))
    out_h, out_w = (n * each // OUTPUTS * times for n in plan.out_size)
    whole = y.reshape(len(x), size[0] * times, size[1] * times, -1)
    return whole[:, :out_h, :out_w].transpose(0, 3, 1, 2)


def conv2d_dw(x: Array, grad: Array, padding: Pair, *, doubled: bool = False) -> Array:
    """x (N, C, H, W), grad (N, O, H', W') -> the gradient (O, C, 3, 3) of the weight, float32."""
    c, o = x.shape[1], grad.shape[1]
    plan = _plan(x.shape, padding, max(c, o), doubled)
    sums: list[Array | None] = [None] * _groups(len(plan.chunks))

    def part(group: int) -> None:
        for chunk in plan.chunks[group :: len(sums)]:
            q = _along_both(transforms().at.T, chunk.gathered(grad))
            v = chunk.transformed(x)
            found = np.matmul(v.transpose(0, 2, 1), q.reshape(VALUES, -1, o))
            total = sums[group]
            sums[group] = found if total is None else np.add(total, found, out=total)

    share_out(part, len(sums), _seconds(plan, c, o))
    total = reduce(np.add, [found for found in sums if found is not None])
    taps = _along_both(transforms().g.T, _finite(total).reshape(INPUTS, INPUTS, -1))
    return taps_last(taps.reshape(TAPS, TAPS, c, o))


def _seconds(plan: _Plan, c: int, o: int) -> float:
    """What the products take on one thread, and the transforms about as much, roughly."""
    tiles = sum(prod(chunk.tiles) for chunk in plan.chunks)
    return 2 * 2 * VALUES * tiles * c * o / FLOPS_PER_SECOND


def _groups(chunks: int) -> int:
    """How many sums of weight gradients are computed apart: each takes as much memory as U does."""
    return 2 if chunks >= 4 else 1


# ---------------------------------------------------------------------- the image's tiles


@dataclass(frozen=True)
class _Chunk:
    """Tiles that are transformed together: whole images, or some rows of tiles of one image."""

    images: slice
    rows: slice  # of tiles
    tiles: tuple[int, int, int]  # images, down, across
    step: int  # pixels from a tile of the image to the next: 4, or 2 where it is doubled
    padding: Pair

    def pixels(self, each: int) -> slice:
        """The rows of pixels that these rows of tiles are, where each is so many."""
        return slice(self.rows.start * each, self.rows.stop * each)

    def transformed(self, x: Array) -> Array:
        """V: (36, tiles, C), for x (N, C, H, W)."""
        (_, c, h, w), (n, down, across), step = x.shape, self.tiles, self.step
        side, (ph, pw) = step + TAPS - 1, self.padding
        padded = np.zeros((n, down * step + TAPS - 1, across * step + TAPS - 1, c), np.float32)
        top = self.rows.start * step - ph
        begin, end = max(top, 0), max(min(top + padded.shape[1], h), max(top, 0))
        source = x[self.images, :, begin:end].transpose(0, 2, 3, 1)
        padded[:, begin - top : end - top, pw : pw + w] = source
        in_image, in_row, in_pixel, _ = padded.strides
        strides = (in_row, in_pixel, in_image, step * in_row, step * in_pixel, 4)
        windows = np.ndarray((side, side, *self.tiles, c), np.float32, padded, 0, strides)
        gathered = windows.reshape(side, side, -1)  # a copy: windows overlap
        matrix = transforms().bt if step == OUTPUTS else transforms().bt_doubled
        return _along_both(matrix, gathered).reshape(VALUES, -1, c)

    def gathered(self, grad: Array) -> Array:
        """The tiles' pixels of grad (N, O, H', W'): (4, 4, tiles O), zeros beyond the border."""
        image = grad[self.images, :, self.pixels(OUTPUTS)].transpose(0, 2, 3, 1)
        (n, h, w, o), (_, down, across) = image.shape, self.tiles
        if (h, w) != (down * OUTPUTS, across * OUTPUTS):
            whole = np.zeros((n, down * OUTPUTS, across * OUTPUTS, o), np.float32)
            whole[:, :h, :w] = image
            image = whole
        split = image.reshape(n, down, OUTPUTS, across, OUTPUTS, o)
        return split.transpose(2, 4, 0, 1, 3, 5).reshape(OUTPUTS, OUTPUTS, -1)


@dataclass(frozen=True)
class _Plan:
    """How images of one shape and padding are cut into tiles, each for 4 x 4 pixels of the output."""

    out_size: Pair
    down: int  # tiles
    across: int
    chunks: tuple[_Chunk, ...]


def _evenly(count: int, most: int) -> int:
    """The size of nearly equal parts of `count`, an even number of them, each of at most `most`."""
    parts = -(-count // max(1, most))
    return -(-count // (parts + parts % 2))


@lru_cache(maxsize=256)
def _plan(shape: tuple[int, ...], padding: Pair, channels: int, doubled: bool = False) -> _Plan:
    """For x of a shape, doubled before or not; `channels` are those of its wider side."""
    times, (n, _, h, w), (ph, pw) = 1 + doubled, shape, padding
    out_size = h * times + 2 * ph - TAPS + 1, w * times + 2 * pw - TAPS + 1
    down, across = (-(-size // OUTPUTS) for size in out_size)
    room = max(_CHUNK_BYTES // (VALUES * channels * 4), _CHUNK_TILES)
    images = max(_evenly(n, room // (down * across)), -(-_CHUNK_TILES // (down * across)))
    rows = down
    if images == 1 and (n == 1 or room < down * across):
        rows = min(down, max(_evenly(down, room // across), -(-_CHUNK_TILES // across)))
    chunks = []
    for first in range(0, n, images):
        for row in range(0, down, rows):
            tiles = min(images, n - first), min(rows, down - row), across
            of_images, of_rows = slice(first, first + tiles[0]), slice(row, row + tiles[1])
            chunks.append(_Chunk(of_images, of_rows, tiles, OUTPUTS // times, padding))
    return _Plan(out_size, down, across, tuple(chunks))


# ---------------------------------------------------------------------- transforms


def _transformed_kernel(weight: Array) -> Array:
    """U: (36, C, O)."""
    o, c = weight.shape[:2]
    taps = taps_first(weight).reshape(TAPS, TAPS, c * o)
    return _along_both(transforms().g, taps).reshape(VALUES, c, o)


def _is_large(x: Array, weight: Array) -> bool:
    """Whether four kernels for the parities take less time than the tiles of a doubled image."""
    tiles = x.size // (x.shape[1] * OUTPUTS**2)
    return tiles >= _TILES_FOR_PARITIES * len(weight)


# Of the taps along an axis, in rows, what an even output of a doubled image adds up for each pixel of the
# small one that it sees, in columns; then an odd output.
_PARITIES = np.array(
    [[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]], np.float32
)


def _of_parities(weight: Array) -> Array:
    """(O, C, 3, 3) -> (4 O, C, 3, 3): even rows and even columns, even and odd, odd and even, odd."""
    o, c = weight.shape[:2]
    taps = np.einsum(
        "pri,qsj,ijco->rscpqo", _PARITIES, _PARITIES, taps_first(weight), optimize=True
    )
    return taps_last(np.ascontiguousarray(taps).reshape(TAPS, TAPS, c, 4 * o))


def _spread(result: Array, image: Array, bias: Array | None) -> None:
    """The tiles' outputs to their places, with the bias added.

    result  (p, p, tiles O)
    image   (N, H, r, W, O / r), where r rows of a pixel lie below each other: 1, or 2 of parities
    """
    (n, h, r, w, o), p = image.shape, len(result)
    down, across = h // p, w // p
    source = result.reshape(p, p, n, down, across, r, o).transpose(2, 3, 0, 5, 4, 1, 6)
    target = image.reshape(n, down, p, r, across, p, o)
    if bias is None:
        target[...] = source
    else:
        np.add(source, bias, out=target)


def _finite(result: Array) -> Array:
    """The result, if all of it is finite; FloatingPointError otherwise."""
    if not np.isfinite(np.vdot(result, result)):
        raise FloatingPointError("a value is infinite or NaN, or so large that its square is")
    return result


def _along_both(matrix: Array, tiles: Array) -> Array:
    """matrix along the first axis of (p, p, columns), then along the second: (q, q, columns)."""
    q, p = matrix.shape
    half = _times(matrix, tiles.reshape(1, p, -1)).reshape(q, p, -1)
    return _times(matrix, half)


def _times(matrix: Array, stack: Array) -> Array:
    """matrix (q, p) @ each of stack (n, p, columns), some columns at a time."""
    n, _, columns = stack.shape
    out = np.empty((n, len(matrix), columns), np.float32)
    whole = columns // _COLUMNS * _COLUMNS
    if whole:
        parts = [
            a[:, :, :whole].reshape(n, a.shape[1], -1, _COLUMNS).transpose(0, 2, 1, 3)
            for a in (stack, out)
        ]
        np.matmul(matrix, parts[0], out=parts[1])
    if whole < columns:
        np.matmul(matrix, stack[:, :, whole:], out=out[:, :, whole:])
    return out
