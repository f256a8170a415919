"""Kernels on dense arrays: linear algebra, stencils, reductions, scans, sorting, pipelines."""

import numpy as np
from devices.emulator.labelled.cases import (
    Case,
    Launch,
    floats,
    in_any_order,
    integers,
    table,
    zeros,
)

Rng = np.random.Generator
CASES: list[Case] = []
case = table(CASES)

# ---------------------------------------------------------------- matmul.cu


def _matmul(rng: Rng, n: int) -> Launch:
    a, b = floats(rng, 2, n, n)
    return [a, b, zeros(n, n, dtype="f4"), n], {2: a @ b}


@case(
    "matmul.cu",
    (3, 3),
    (8, 8),
    {
        "MISSING_BARRIER": "shared-race",
        "MISSING_SECOND_BARRIER": "shared-race",
        "OFF_BY_ONE": "out-of-bounds",
        "MISSING_GUARD": "global-race out-of-bounds",
    },
)
def matmul_tiled(rng: Rng) -> Launch:
    return _matmul(rng, 20)


@case(
    "matmul.cu",
    (2, 2),
    (64,),
    {
        "MISSING_BARRIER": "shared-race",
        "MISSING_SECOND_BARRIER": "shared-race",
        "WRONG_INDEX": "shared-race",
    },
)
def matmul_register(rng: Rng) -> Launch:
    return _matmul(rng, 32)


@case(
    "matmul.cu",
    (2, 2),
    (8, 8),
    {"OFF_BY_ONE": "out-of-bounds", "CONDITIONAL_BARRIER": "barrier-divergence"},
    kernel="matmul_dynamic<8>",
    shared_mem=2 * 8 * 8 * 4,
)
def matmul_dynamic(rng: Rng) -> Launch:
    return _matmul(rng, 16)


# ---------------------------------------------------------------- transpose.cu


@case(
    "transpose.cu",
    (2, 3),
    (16, 4),
    {
        "MISSING_BARRIER": "shared-race uninitialised",
        "WRONG_INDEX": "uninitialised",
        "MISSING_GUARD": "out-of-bounds global-race",
    },
)
def transpose_tile(rng: Rng) -> Launch:
    x = floats(rng, 37, 29)
    return [zeros(29, 37, dtype="f4"), x, 37, 29], {0: x.T}


@case("transpose.cu", (3, 3), (8, 8), {"BOTH_BLOCKS": "global-race"})
def transpose_in_place(rng: Rng) -> Launch:
    m = integers(rng, 0, 99, 21, 21)
    return [m, 21], {0: m.T.copy()}


@case(
    "transpose.cu",
    (2, 2),
    (8, 8),
    {"OFF_BY_ONE": "out-of-bounds", "WRONG_STORE": "global-race"},
    shared_mem=8 * 8 * 8,
)
def transpose_flat(rng: Rng) -> Launch:
    x = rng.standard_normal((16, 16))
    return [zeros(16, 16, dtype="f8"), x, 16], {0: x.T}


# ---------------------------------------------------------------- stencil.cu


@case(
    "stencil.cu",
    (3,),
    (64,),
    {
        "MISSING_BARRIER": "shared-race",
        "MISSING_HALO": "uninitialised",
        "FIRST_ELEMENT": "out-of-bounds",
        "LAST_ELEMENT": "out-of-bounds",
        "OFF_BY_ONE": "out-of-bounds",
    },
)
def stencil_halo(rng: Rng) -> Launch:
    x = floats(rng, 129)
    return [x, zeros(129, dtype="f4"), 129], {1: np.convolve(x, np.ones(5), "same")}


@case(
    "stencil.cu",
    (3, 2),
    (8, 8),
    {
        "FIRST_ELEMENT": "out-of-bounds",
        "LAST_ELEMENT": "out-of-bounds",
        "IN_PLACE": "global-race const-write",
    },
)
def heat_step(rng: Rng) -> Launch:
    x = floats(rng, 15, 18)
    y = x.copy()
    y[1:-1, 1:-1] += 0.25 * (
        x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:] - 4 * x[1:-1, 1:-1]
    )
    return [x, zeros(15, 18, dtype="f4"), 15, 18], {1: y}


@case(
    "stencil.cu",
    (1,),
    (96,),
    {"MISSING_BARRIER": "shared-race", "MISSING_BUFFER": "shared-race"},
)
def smooth_many(rng: Rng) -> Launch:
    x = floats(rng, 96)
    y = x
    for _ in range(4):
        padded = np.pad(y, 1, "edge")
        y = (padded[:-2] + y + padded[2:]) / 3
    return [x, 4], {0: y}


# ---------------------------------------------------------------- reduce.cu


@case(
    "reduce.cu",
    (3,),
    (128,),
    {
        "MISSING_BARRIER": "shared-race",
        "LAST_BARRIER": "shared-race",
        "CONDITIONAL_BARRIER": "barrier-divergence",
        "MISSING_ATOMIC": "global-race",
    },
)
def sum_tree(rng: Rng) -> Launch:
    x = floats(rng, 300)
    return [x, zeros(1, dtype="f4"), 300], {1: x.sum()}


@case(
    "reduce.cu",
    (2,),
    (128,),
    {
        "MISSING_BARRIER": "shared-race",
        "WRONG_MASK": "warp-divergence",
        "DIVERGENT": "warp-divergence",
        "UNINITIALISED": "uninitialised",
    },
)
def sum_shuffle(rng: Rng) -> Launch:
    x = floats(rng, 256)
    return [x, zeros(2, dtype="f4"), 256], {1: x.reshape(2, 128).sum(1)}


@case(
    "reduce.cu",
    (2,),
    (32, 4),
    {
        "MISSING_SYNCWARP": "shared-race",
        "SHUFFLE_ONLY": "shared-race",
        "WRONG_MASK": "shared-race",
    },
)
def sum_rows(rng: Rng) -> Launch:
    x = integers(rng, -9, 9, 7, 64)
    return [x, zeros(7), 7], {1: x.sum(1)}


@case(
    "reduce.cu",
    (4,),
    (64,),
    {
        "MISSING_BARRIER": "shared-race",
        "MISSING_ATOMIC": "global-race",
        "MISSING_FENCE": "global-race",
        "EARLY_FENCE": "global-race",
    },
)
def sum_last_block(rng: Rng) -> Launch:
    x = floats(rng, 500)
    return [x, zeros(4, dtype="f4"), zeros(1, dtype="f4"), 500], {2: x.sum()}


@case(
    "reduce.cu",
    (3,),
    (64,),
    {
        "OFF_BY_ONE": "out-of-bounds",
        "MISSING_ATOMIC": "shared-race",
        "MISSING_BARRIER": "shared-race",
    },
)
def max_stride(rng: Rng) -> Launch:
    x = integers(rng, 0, 9999, 400)
    return [x, zeros(1), 400], {1: x.max()}


# ---------------------------------------------------------------- scan.cu


@case(
    "scan.cu",
    (2,),
    (64,),
    {"MISSING_BARRIER": "shared-race", "ONE_BUFFER": "shared-race"},
    shared_mem=2 * 64 * 4,
)
def scan_hillis(rng: Rng) -> Launch:
    x = integers(rng, 0, 9, 2, 64)
    return [x, zeros(2, 64)], {1: x.cumsum(1)}


@case(
    "scan.cu",
    (1,),
    (64,),
    {
        "MISSING_BARRIER": "shared-race",
        "CONDITIONAL_BARRIER": "barrier-divergence",
        "OFF_BY_ONE": "out-of-bounds",
    },
)
def scan_blelloch(rng: Rng) -> Launch:
    x = integers(rng, 0, 9, 128).astype("u4")
    return [x, zeros(128, dtype="u4")], {1: x.cumsum() - x}


@case(
    "scan.cu",
    (1,),
    (128,),
    {
        "DIVERGENT": "warp-divergence",
        "MISSING_BARRIER": "shared-race",
        "OFF_BY_ONE": "out-of-bounds",
        "MISSING_GUARD": "out-of-bounds",
    },
)
def scan_shuffle(rng: Rng) -> Launch:
    x = integers(rng, 0, 9, 120)
    return [x, zeros(120), 120], {1: x.cumsum()}


# ---------------------------------------------------------------- histogram.cu


@case(
    "histogram.cu",
    (2,),
    (64,),
    {
        "UNINITIALISED": "uninitialised",
        "MISSING_ATOMIC": "shared-race",
        "MISSING_BARRIER": "shared-race uninitialised",
        "MISSING_SECOND_BARRIER": "shared-race",
    },
)
def histogram_shared(rng: Rng) -> Launch:
    x = integers(rng, 0, 40, 300).astype("u1")
    return [x, zeros(40, dtype="u4"), 300], {1: np.bincount(x, minlength=40)}


@case(
    "histogram.cu",
    (5,),
    (64,),
    {
        "MISSING_GUARD": "out-of-bounds",
        "MISSING_ATOMIC": "global-race",
        "OFF_BY_ONE": "out-of-bounds",
    },
)
def histogram_global(rng: Rng) -> Launch:
    x = integers(rng, 0, 16, 300)
    x[7] = 15
    return [x, zeros(16), 300], {1: np.bincount(x, minlength=16)}


@case(
    "histogram.cu",
    (1,),
    (64,),
    {"WRONG_INDEX": "shared-race", "MISSING_BARRIER": "shared-race"},
)
def histogram_bytes(rng: Rng) -> Launch:
    x = integers(rng, 0, 8, 500).astype("u1")
    return [x, zeros(8), 500], {1: np.bincount(x, minlength=8)}


# ---------------------------------------------------------------- convolution.cu


@case(
    "convolution.cu",
    (3, 2),
    (8, 8),
    {
        "NEGATIVE_INDEX": "out-of-bounds",
        "MISSING_BARRIER": "shared-race uninitialised",
        "CONDITIONAL_BARRIER": "barrier-divergence",
        "ROW_OVERRUN": "out-of-bounds",
    },
)
def blur_tile(rng: Rng) -> Launch:
    x = floats(rng, 13, 20)
    line = np.array([1, 2, 1]) / 4
    y = np.apply_along_axis(np.convolve, 0, x, line, "same")
    y = np.apply_along_axis(np.convolve, 1, y, line, "same")
    return [x, zeros(13, 20, dtype="f4"), 13, 20], {1: y}


@case(
    "convolution.cu",
    (2, 3),
    (32,),
    {
        "MISSING_WAIT": "async-copy",
        "MISSING_BARRIER": "shared-race async-copy",
        "MISSING_GUARD": "global-race out-of-bounds",
    },
)
def blur_row_async(rng: Rng) -> Launch:
    x = floats(rng, 3, 50)
    y = np.apply_along_axis(np.convolve, 1, x, np.ones(5) / 5, "same")
    return [x, zeros(3, 50, dtype="f4"), 50], {1: y}


@case(
    "convolution.cu",
    (1, 6),
    (32,),
    {"MISSING_ATOMIC": "global-race", "CONST_WRITE": "const-write"},
)
def weight_gradient(rng: Rng) -> Launch:
    x, g = floats(rng, 2, 6, 20)
    padded = np.pad(x, 1)
    dw = [[(padded[i : i + 6, j : j + 20] * g).sum() for j in range(3)] for i in range(3)]
    return [x, g, zeros(3, 3, dtype="f4"), 6, 20], {2: np.array(dw)}


# ---------------------------------------------------------------- rows.cu


@case(
    "rows.cu",
    (3,),
    (64,),
    {"REUSED_TOO_SOON": "shared-race", "OFF_BY_ONE": "out-of-bounds shared-race"},
)
def softmax_block(rng: Rng) -> Launch:
    x = floats(rng, 3, 100)
    e = np.exp(x - x.max(1, keepdims=True))
    return [x, zeros(3, 100, dtype="f4"), 100], {1: e / e.sum(1, keepdims=True)}


@case(
    "rows.cu",
    (2,),
    (128,),
    {"MISSING_GUARD": "out-of-bounds", "WRONG_MASK": "warp-divergence"},
)
def normalise_warp(rng: Rng) -> Launch:
    x = floats(rng, 7, 50)
    y = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return [x, zeros(7, 50, dtype="f4"), 7, 50], {1: y}


@case(
    "rows.cu",
    (2,),
    (64,),
    {"MISSING_SYNCWARP": "shared-race", "RACING_STORE": "global-race shared-race"},
)
def statistics_tiles(rng: Rng) -> Launch:
    x = floats(rng, 7, 30)
    args = [x, zeros(7, dtype="f4"), zeros(7, dtype="f4"), 7, 30]
    return args, {1: x.mean(1), 2: x.var(1)}


# ---------------------------------------------------------------- sort.cu


@case(
    "sort.cu",
    (2,),
    (128,),
    {
        "MISSING_BARRIER": "shared-race",
        "CONDITIONAL_BARRIER": "barrier-divergence",
        "BOTH_PARTNERS": "shared-race",
    },
)
def bitonic(rng: Rng) -> Launch:
    x = integers(rng, 0, 999, 2, 128)
    return [x], {0: np.sort(x, axis=1)}


@case("sort.cu", (2,), (64,), {"WRONG_PARTNER": "global-race"})
def exchange_step(rng: Rng) -> Launch:
    x = floats(rng, 128)
    pairs = x.reshape(32, 2, 2)  # i and i ^ 2, in ascending order where bit 2 of i is not set
    low, high = pairs.min(1), pairs.max(1)
    up = (np.arange(32) % 2 == 0)[:, None]
    y = np.stack([np.where(up, low, high), np.where(up, high, low)], axis=1)
    return [x, 128, 2, 4], {0: y.reshape(128)}


@case(
    "sort.cu",
    (1,),
    (64,),
    {"OFF_BY_ONE": "out-of-bounds", "MISSING_BARRIER": "shared-race"},
    shared_mem=100 * 2,
)
def odd_even(rng: Rng) -> Launch:
    x = integers(rng, 0, 999, 100).astype("i2")
    return [x, 100], {0: np.sort(x)}


# ---------------------------------------------------------------- vectors.cu


@case("vectors.cu", (2,), (16,), {"MISALIGNED": "misaligned", "MISSING_GUARD": "out-of-bounds"})
def scale4(rng: Rng) -> Launch:
    x = floats(rng, 103)
    return [x, 3.0, 103], {0: 3 * x}


@case(
    "vectors.cu",
    (2,),
    (32,),
    {"MISALIGNED": "misaligned", "LAST_ELEMENT": "out-of-bounds", "OVERLAPPING": "global-race"},
)
def invert_bytes(rng: Rng) -> Launch:
    x = integers(rng, 0, 256, 203).astype("u1")
    y = zeros(203, dtype="u1")
    return [x, y, 203], {1: ~x}


PARTICLE = np.dtype([("position", "f4", 3), ("cell", "i4"), ("momentum", "f4", 2)])


@case(
    "vectors.cu",
    (2,),
    (32,),
    {"WRONG_INDEX": "global-race", "MISSING_ATOMIC": "global-race"},
)
def move_particles(rng: Rng) -> Launch:
    p = zeros(50, dtype=PARTICLE)
    p["position"], p["momentum"] = floats(rng, 50, 3) * 9, floats(rng, 50, 2)
    x = p["position"][:, 0] + p["momentum"][:, 0]
    return [p, zeros(8), 50], {1: np.bincount(np.floor(x).astype(int) & 7, minlength=8)}


@case(
    "vectors.cu",
    (2,),
    (48,),
    {"MISSING_BARRIER": "shared-race uninitialised", "OFF_BY_ONE": "out-of-bounds"},
)
def conjugate_reverse(rng: Rng) -> Launch:
    x = rng.standard_normal((2, 48, 2))
    return [x, zeros(2, 48, 2, dtype="f8")], {1: x[:, ::-1] * [1, -1]}


# ---------------------------------------------------------------- pipeline.cu


@case(
    "pipeline.cu",
    (2,),
    (32,),
    {
        "MISSING_WAIT": "async-copy",
        "WAIT_TOO_FEW": "async-copy",
        "MISSING_BARRIER": "shared-race",
    },
)
def dot_async(rng: Rng) -> Launch:
    a, x = floats(rng, 64, 128), floats(rng, 128)
    return [a, x, zeros(64, dtype="f4"), 128], {2: a @ x}


@case(
    "pipeline.cu",
    (1,),
    (64,),
    {
        "ONE_BUFFER": "shared-race",
        "OFF_BY_ONE": "out-of-bounds",
        "MISSING_BARRIER": "shared-race",
    },
)
def moving_maximum(rng: Rng) -> Launch:
    x = integers(rng, 0, 999, 5, 64)
    y = np.maximum.accumulate(np.maximum(x, x[:, ::-1]), axis=0)
    return [x, zeros(5, 64), 5 * 64], {1: y}


# ---------------------------------------------------------------- locks.cu


@case(
    "locks.cu",
    (5,),
    (32,),
    {
        "MISSING_LOCK": "global-race",
        "MISSING_FENCE": "global-race",
        "PLAIN_UNLOCK": "global-race",
    },
)
def add_locked(rng: Rng) -> Launch:
    x = integers(rng, 1, 99, 5)
    return [zeros(1), zeros(3), x], {1: np.array([5, x.sum(), x.max()])}


def _keep(rng: Rng) -> Launch:
    x = integers(rng, -9, 9, 150)
    kept = x[x > 0]
    return [x, zeros(len(kept)), zeros(1), 150], {1: in_any_order(kept), 2: np.array(len(kept))}


@case(
    "locks.cu",
    (3,),
    (64,),
    {
        "UNINITIALISED": "uninitialised",
        "MISSING_ATOMIC": "shared-race",
        "MISSING_BARRIER": "shared-race",
    },
)
def keep_positive(rng: Rng) -> Launch:
    return _keep(rng)


@case(
    "locks.cu",
    (3,),
    (64,),
    {
        "WRONG_MASK": "warp-divergence",
        "MISSING_ATOMIC": "global-race",
        "WRONG_INDEX": "global-race",
    },
)
def keep_by_warps(rng: Rng) -> Launch:
    return _keep(rng)


# ---------------------------------------------------------------- blocks.cu


@case(
    "blocks.cu",
    (2, 2, 2),
    (4, 4, 4),
    {
        "MISSING_GUARD": "out-of-bounds",
        "FIRST_ELEMENT": "out-of-bounds",
        "LAST_ELEMENT": "out-of-bounds",
        "WRONG_INDEX": "global-race",
    },
)
def laplacian(rng: Rng) -> Launch:
    v = floats(rng, 5, 6, 7)
    p = np.pad(v, 1)
    around = p[2:, 1:-1, 1:-1] + p[:-2, 1:-1, 1:-1] + p[1:-1, 2:, 1:-1] + p[1:-1, :-2, 1:-1]
    around = around + p[1:-1, 1:-1, 2:] + p[1:-1, 1:-1, :-2]
    return [v, zeros(5, 6, 7, dtype="f4"), 7, 6, 5], {1: around - 6 * v}


@case(
    "blocks.cu",
    (2, 2, 2),
    (4, 4, 4),
    {"WRONG_INDEX": "shared-race", "MISSING_BARRIER": "shared-race"},
)
def cube_means(rng: Rng) -> Launch:
    v = floats(rng, 8, 8, 8)
    return [v, zeros(2, 2, 2, dtype="f4"), 8], {1: v.reshape(2, 4, 2, 4, 2, 4).mean((1, 3, 5))}


@case(
    "blocks.cu",
    (1,),
    (64,),
    {
        "OVERLAP": "shared-race",
        "OFF_BY_ONE": "out-of-bounds",
        "UNINITIALISED": "uninitialised",
        "MISALIGNED": "misaligned",
    },
    shared_mem=50 * (8 + 4 + 1),
)
def count_keys(rng: Rng) -> Launch:
    keys = integers(rng, 0, 9, 50).astype("f8")
    return [keys, zeros(50), 50], {1: np.bincount(keys.astype(int))[keys.astype(int)]}


# ---------------------------------------------------------------- corners.cu


@case(
    "corners.cu",
    (1,),
    (64,),
    {"SECOND_ROUND": "shared-race", "BETWEEN_WARPS": "shared-race"},
)
def turn(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 64)
    return [x, 3], {0: np.roll(x, -3)}


@case("corners.cu", (1,), (64,), {"MISSING_BARRIER": "shared-race"})
def two_readers(rng: Rng) -> Launch:
    out = zeros(64)
    out[[0, 1, 40]] = 6, 5, 5
    return [np.array([5, 6], "i4"), zeros(64)], {1: out}


@case("corners.cu", (4,), (32,), {"LAST_BLOCK": "out-of-bounds"})
def differences(rng: Rng) -> Launch:
    x = rng.standard_normal(100)
    return [x, zeros(100, dtype="f8"), 100], {1: np.append(np.diff(x), 0)}


@case("corners.cu", (4,), (16,), {"SAME_BYTE": "global-race"})
def mark_bytes(rng: Rng) -> Launch:
    x = integers(rng, -5, 5, 61)
    return [x, zeros(61, dtype="i1"), 61], {1: x > 0}


@case(
    "corners.cu",
    (1,),
    (32,),
    {"PAST_THE_END": "out-of-bounds", "BEFORE_THE_BEGINNING": "out-of-bounds"},
)
def side_by_side(rng: Rng) -> Launch:
    return [floats(rng, 32), floats(rng, 32)], {1: zeros(32)}


@case("corners.cu", (5,), (32,), {"PLAIN_READ": "global-race"})
def count_and_look(rng: Rng) -> Launch:
    return [zeros(1), zeros(1)], {0: np.array(5)}


@case("corners.cu", (3,), (32,), {"OTHER_BLOCK": "global-race"})
def hand_over(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 96)
    y = 2 * x
    y[[32, 64]] += 2 * x[[31, 63]]
    return [x, zeros(96)], {1: y}


@case(
    "corners.cu",
    (2,),
    (32,),
    {"ALL_BLOCKS": "global-race", "NEGATIVE_INDEX": "out-of-bounds"},
)
def squares(rng: Rng) -> Launch:
    return [zeros(50), 50], {0: (np.arange(50) % 16) ** 2}


@case("corners.cu", (1,), (64,), {"REUSED_TOO_SOON": "shared-race"})
def recycled(rng: Rng) -> Launch:
    x = floats(rng, 64)
    return [x, zeros(64)], {1: np.argsort(x)}


# ---------------------------------------------------------------- idioms.cu, all correct


@case("idioms.cu", (4,), (32,))
def different_trip_counts(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 32)
    rows = [x, x[::-1] + 1, x + 2, x[::-1] + 3]
    return [x, zeros(4, 32)], {1: np.array(rows)}


@case("idioms.cu", (1,), (64,))
def ballot_masks(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 64)
    y = zeros(64)
    for start in (0, 32):
        odd = start + np.flatnonzero(x[start : start + 32] % 2)
        y[odd[:-1]] = x[odd[1:]]
    return [x, zeros(64)], {1: y}


@case("idioms.cu", (1,), (32,))
def uneven_tiles(rng: Rng) -> Launch:
    return [zeros(32)], {0: np.where(np.arange(32) < 16, 4, 2) + 7}


@case("idioms.cu", (1,), (32,))
def exchange_stores(rng: Rng) -> Launch:
    y = np.arange(32)
    y[0] = 31
    return [zeros(32)], {0: y}


@case("idioms.cu", (1,), (32,))
def nodes(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 20, 3)
    node = np.ascontiguousarray(x).view(np.dtype([("words", "i4", 3)]))
    return [node, zeros(20), 20], {1: x[:, 0] + x[:, 1] - x[:, 2]}


@case("idioms.cu", (1,), (64,))
def cleared(rng: Rng) -> Launch:
    x = integers(rng, 0, 256, 64)
    return [x, zeros(64)], {1: x.reshape(32, 2)[:, ::-1].ravel() << 8}


@case("idioms.cu", (1,), (64,))
def opportunistic(rng: Rng) -> Launch:
    x = integers(rng, -9, 9, 64)
    kept = x[x > 0]
    return [x, zeros(len(kept)), zeros(1)], {1: in_any_order(kept), 2: np.array(len(kept))}


@case("idioms.cu", (1,), (64,))
def matched(rng: Rng) -> Launch:
    x = integers(rng, 0, 6, 64)
    return [x, zeros(6)], {1: np.bincount(x, minlength=6)}


@case("idioms.cu", (3,), (64,))
def last_thread(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 150)
    return [x, zeros(1), zeros(1), zeros(1), 150], {3: x.sum()}


@case("idioms.cu", (3,), (32,))
def everybody_fences(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 96)
    return [x, zeros(96), zeros(1), zeros(1)], {3: 2 * x.sum()}


@case("idioms.cu", (2,), (64,), shared_mem=2 * 64 * 4)
def warp_parts(rng: Rng) -> Launch:
    x = integers(rng, 0, 99, 128)
    return [x, zeros(128)], {1: x[np.arange(128) ^ 7]}


@case("idioms.cu", (2,), (64,))
def table_lookup(rng: Rng) -> Launch:
    x = integers(rng, 0, 4, 100).astype("u1")
    return [x, zeros(100, dtype="u1"), 100], {1: x[np.arange(100) ^ 1] ^ 2}
