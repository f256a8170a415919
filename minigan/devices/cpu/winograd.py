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

Cost: 2 * 36 / 16 N H W C O FLOPs for the products, a quarter of the direct form's, and some
60 N H W (C + O) for the transforms. The image's tiles, 2.25 times its size, pass through the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from minigan.devices import Array

Pair = tuple[int, int]

OUTPUTS, TAPS = 4, 3  # of a tile, along one axis
INPUTS = OUTPUTS + TAPS - 1
VALUES = INPUTS * INPUTS  # of a transformed tile

_CHUNK_BYTES = 1 << 20  # of transformed tiles, which the second-level cache holds
_CHUNK_TILES = 32  # at least so many, or the products are too thin for BLAS
_COLUMNS = 1024  # of a transform at a time: its operands then stay in the cache


class Transforms(NamedTuple):
    """Along one axis."""

    at: Array  # A^T (4, 6): values of the product -> outputs
    g: Array  # G (6, 3): taps -> values
    bt: Array  # B^T (6, 6): inputs -> values


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

    matrices = evaluation(OUTPUTS).T, evaluation(TAPS), np.linalg.inv(evaluation(INPUTS)).T
    return Transforms(*(m.astype(np.float32) for m in matrices))


def conv2d(x: Array, weight: Array, bias: Array | None, padding: Pair) -> Array:
    """x (N, C, H, W), weight (O, C, 3, 3) -> (N, O, H', W'), float32; its channels innermost in memory.

    Raises FloatingPointError where a result is not finite, here and in conv2d_dw: an infinity or NaN
    would have spread over its whole tile.
    """
    kernel = _transformed_kernel(weight)
    tiles = _Tiles(x, padding)
    out_h, out_w = tiles.out_size
    o = len(weight)
    y = np.empty((len(x), tiles.down * OUTPUTS, tiles.across * OUTPUTS, o), np.float32)
    for chunk in tiles.chunks(max(weight.shape[:2])):
        v = tiles.transformed(chunk)
        products = np.matmul(v, kernel)
        result = _finite(_along_both(transforms().at, products.reshape(INPUTS, INPUTS, -1)))
        _spread(result, y[chunk.images, chunk.pixel_rows], bias)
    return y[:, :out_h, :out_w].transpose(0, 3, 1, 2)


def conv2d_dw(x: Array, grad: Array, padding: Pair) -> Array:
    """x (N, C, H, W), grad (N, O, H', W') -> the gradient (O, C, 3, 3) of the weight, float32."""
    at, g, _ = transforms()
    tiles = _Tiles(x, padding)
    c, o = x.shape[1], grad.shape[1]
    whole = _whole_tiles(grad, tiles)
    total = np.zeros((VALUES, o, c), np.float32)
    for chunk in tiles.chunks(max(c, o)):
        v = tiles.transformed(chunk)
        q = _along_both(at.T, _gathered(whole[chunk.images, chunk.pixel_rows]))
        total += np.matmul(q.reshape(VALUES, -1, o).transpose(0, 2, 1), v)
    _finite(total)
    # Both axes at once: the result then lies in memory as weights do.
    return np.matmul(total.reshape(VALUES, -1).T, np.kron(g, g)).reshape(o, c, TAPS, TAPS)


# ---------------------------------------------------------------------- the image's tiles


class Chunk(NamedTuple):
    """Tiles that are transformed together: whole images, or some rows of tiles of one image."""

    images: slice
    rows: slice

    @property
    def pixel_rows(self) -> slice:
        """The output's rows of pixels that these tiles give."""
        return slice(self.rows.start * OUTPUTS, self.rows.stop * OUTPUTS)


class _Tiles:
    """A zero-padded image as overlapping tiles of 6 x 6, which lie 4 pixels apart."""

    def __init__(self, x: Array, padding: Pair):
        n, c, h, w = x.shape
        (ph, pw) = padding
        self.out_size = h + 2 * ph - TAPS + 1, w + 2 * pw - TAPS + 1
        self.down, self.across = (-(-size // OUTPUTS) for size in self.out_size)
        sides = (side * OUTPUTS + TAPS - 1 for side in (self.down, self.across))
        self.padded = np.zeros((n, *sides, c), np.float32)
        self.padded[:, ph : ph + h, pw : pw + w] = x.transpose(0, 2, 3, 1)

    def chunks(self, channels: int) -> Iterator[Chunk]:
        """All tiles, so many at a time that their transforms stay in the cache."""
        n = len(self.padded)
        room = max(_CHUNK_BYTES // (VALUES * channels * 4), _CHUNK_TILES)
        images = max(1, room // (self.down * self.across))
        rows = min(self.down, max(1, room // self.across))
        for first in range(0, n, images):
            for row in range(0, self.down, rows):
                yield Chunk(
                    slice(first, min(first + images, n)), slice(row, min(row + rows, self.down))
                )

    def transformed(self, chunk: Chunk) -> Array:
        """V of a chunk: (36, tiles, C)."""
        p = self.padded[chunk.images]
        n, _, _, c = p.shape
        sn, sy, sx, sc = p.strides
        rows = chunk.rows.stop - chunk.rows.start
        windows = as_strided(
            p[:, chunk.rows.start * OUTPUTS :],
            (INPUTS, INPUTS, n, rows, self.across, c),
            (sy, sx, sn, OUTPUTS * sy, OUTPUTS * sx, sc),
            writeable=False,
        )
        tiles = windows.reshape(INPUTS, INPUTS, -1)
        return _along_both(transforms().bt, tiles).reshape(VALUES, -1, c)


def _whole_tiles(grad: Array, tiles: _Tiles) -> Array:
    """(N, O, H', W') as (N, 4 down, 4 across, O): zeros where the last tiles reach over the border."""
    n, o, h, w = grad.shape
    down, across = tiles.down * OUTPUTS, tiles.across * OUTPUTS
    if (h, w) == (down, across):
        return grad.transpose(0, 2, 3, 1)
    whole = np.zeros((n, down, across, o), np.float32)
    whole[:, :h, :w] = grad.transpose(0, 2, 3, 1)
    return whole


# ---------------------------------------------------------------------- transforms


def _transformed_kernel(weight: Array) -> Array:
    """U: (36, C, O)."""
    o, c = weight.shape[:2]
    taps = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(TAPS, TAPS, c * o)
    return _along_both(transforms().g, taps).reshape(VALUES, c, o)


def _gathered(image: Array) -> Array:
    """(N, 4 rows, 4 across, O) -> (4, 4, N rows across O): the pixels of each tile."""
    n, h, w, o = image.shape
    split = image.reshape(n, h // OUTPUTS, OUTPUTS, w // OUTPUTS, OUTPUTS, o)
    return split.transpose(2, 4, 0, 1, 3, 5).reshape(OUTPUTS, OUTPUTS, -1)


def _spread(result: Array, image: Array, bias: Array | None) -> None:
    """The way back, into `image`, with the bias added."""
    n, h, w, o = image.shape
    rows, across = h // OUTPUTS, w // OUTPUTS
    source = result.reshape(OUTPUTS, OUTPUTS, n, rows, across, o).transpose(2, 3, 0, 4, 1, 5)
    target = image.reshape(n, rows, OUTPUTS, across, OUTPUTS, o)
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
