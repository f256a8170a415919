"""Reductions: each version of the kernels at the shapes that choose it, and what numbers can go wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from emulated import assert_same_bits_in_every_order, run

from minigan import ops
from minigan.core.errors import ShapeError
from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.emulator.module import Module
from minigan.devices.launch.kernel import kernels_folder, launches
from minigan.devices.launch.reduce import WARP, rows_of

# (shape, axis, the versions that are launched)
SHAPES = [
    ((), (), ["by_thread"]),
    ((7,), 0, ["by_thread"]),
    ((5, 16), 1, ["by_thread"]),
    ((300, 3), 1, ["by_thread"]),
    ((66000, 17), 1, ["by_warp"]),
    ((17, 66000), 0, ["by_thread"]),
    ((5, 17), 1, ["by_warp"]),
    ((17, 5), 0, ["by_warp"]),
    ((3, 1024), 1, ["by_warp"]),
    ((2, 3, 333), (0, 2), ["by_warp"]),
    ((3, 1025), 1, ["by_block"]),
    ((2, 3, 31, 33), (0, 2, 3), ["by_block"]),
    ((2, 8191), 1, ["by_block"]),
    ((20, 33), 0, ["by_columns"]),
    ((5, 3, 100), (0, 1), ["by_thread"]),
    ((5, 5, 100), (0, 1), ["by_columns"]),
    ((127, 70), 0, ["by_columns"]),
    ((128, 70), 0, ["by_columns", "of_parts"]),
    ((1000, 65), 0, ["by_columns", "of_parts"]),
    ((100003,), 0, ["by_block", "of_parts"]),
    ((2, 3, 30011), (0, 2), ["by_block", "of_parts"]),
]
REDUCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "var": np.var,
    "logsumexp": lambda x, axis, **how: np.log(np.exp(x.astype(float)).sum(axis, **how)),
}
SETTINGS = {"var": {"correction": 0}}
SYMBOLS = {"mean": "sum"}  # a sum with a divisor

each_reduction = pytest.mark.parametrize("name", REDUCTIONS)


def numbers(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def reduced(name, array, axis=None, **settings):
    x = Tensor(array, device="emulator")
    return getattr(ops, name)(x, axis=axis, **SETTINGS.get(name, {}), **settings).numpy()


def close(name, result, array, axis, keepdims=False):
    """To float32's accuracy for a sum of that length in parts."""
    exact = REDUCTIONS[name](array.astype(np.float64), axis=axis, keepdims=keepdims)
    length = array.size / max(exact.size, 1)
    assert result.shape == exact.shape
    atol = 3e-7 * (np.sqrt(length) if name == "sum" else 1) * (1 + np.log2(length + 1))
    np.testing.assert_allclose(result, exact, rtol=2e-6, atol=atol)


@each_reduction
@pytest.mark.parametrize(("shape", "axis", "versions"), SHAPES)
def test_each_version_at_the_shapes_that_choose_it(name, shape, axis, versions):
    x = numbers(shape)
    with launches() as log:
        result = reduced(name, x, axis=axis)
    symbol = SYMBOLS.get(name, name)
    assert [launch.symbol for launch in log] == [f"{symbol}_{version}" for version in versions]
    close(name, result, x, axis)


@each_reduction
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((3, 5), 1), ((5, 37), 1), ((2, 1300), 1), ((30, 40), 0), ((300, 33), 0), ((8200,), 0)],
)
def test_the_checker_finds_nothing(name, shape, axis):
    x = numbers(shape)
    with checking() as reports:
        close(name, reduced(name, x, axis=axis), x, axis)
    assert [str(f) for _, report in reports for f in report.findings] == []


@each_reduction
@pytest.mark.parametrize("length", [3, 40, 3000, 9000])
def test_strided_arrays_are_reduced_without_a_copy(name, length):
    base = numbers((4, length, 6))
    for view, axis in (
        (base.transpose(2, 0, 1), 2),
        (base[::-1, ::-1, 1::2], 1),
        (np.broadcast_to(base[:, :, :1], (4, length, 5)), (0, 1)),
        (base[:, : length // 2].transpose(1, 2, 0), (0, 2)),
        (base[:, :, 2], None),
    ):
        with checking() as reports, launches() as log:
            result = reduced(name, view, axis)
        assert {launch.file for launch in log} <= {"reduce.cu", "statistics.cu"}
        assert [str(f) for _, report in reports for f in report.findings] == []
        close(name, result, view, axis)
        close(name, reduced(name, view, axis, keepdims=True), view, axis, keepdims=True)


@pytest.mark.parametrize("shape", [(4, 5), (4, 500), (4, 5000), (5000, 40), (1, 20000)])
@pytest.mark.parametrize("name", ["max", "logsumexp"])
def test_infinities_and_nan_go_through(name, shape):
    x = numbers(shape)
    x[0, 1], x[0, -1] = np.inf, -np.inf
    if shape[0] > 1:
        x[1] = -np.inf
        x[2, 2], x[2, 3] = np.nan, np.inf
        x[3, 0] = -np.inf
    with np.errstate(invalid="ignore"):
        expected = getattr(np, name)(x, axis=1) if name == "max" else lse(x)
    np.testing.assert_allclose(reduced(name, x, 1), expected, rtol=2e-6)


def lse(x):
    return ops.logsumexp(Tensor(x), axis=1).numpy()


@pytest.mark.parametrize("shape", [(3, 5), (3, 500), (3, 5000), (1, 50000), (2000, 40)])
def test_large_numbers_close_together_keep_their_variance(shape):
    x = (numbers(shape) + 1000).astype(np.float32)
    axis = int(shape[1] > 40)
    exact = np.var(x.astype(np.float64), axis=axis)
    np.testing.assert_allclose(reduced("var", x, axis), exact, rtol=2e-5)


@pytest.mark.parametrize("shape", [(3, 5), (3, 500), (3, 5000), (1, 50000), (2000, 40)])
def test_exponentials_that_would_overflow_do_not(shape):
    x = 1000 * numbers(shape)
    axis = int(shape[1] > 40)
    np.testing.assert_allclose(
        reduced("logsumexp", x, axis), scipy.special.logsumexp(x.astype(float), axis), rtol=1e-6
    )


def test_the_variance_without_a_spread_is_nan():
    x = Tensor(np.ones((2, 1), np.float32), device="emulator")
    with pytest.raises(ShapeError):
        ops.var(x, axis=1)


def test_of_no_elements_the_sum_is_zero():
    for shape, axis in (((3, 0), 1), ((0, 40), 0), ((0,), None), ((2, 0, 3), (1, 2))):
        with checking() as reports:
            result = reduced("sum", np.ones(shape, np.float32), axis)
        np.testing.assert_array_equal(result, np.zeros(np.ones(shape).sum(axis).shape))
        assert [f for _, report in reports for f in report.findings] == []
    assert reduced("sum", np.ones((0, 4)), 1).shape == (0,)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_integers_and_booleans(dtype):
    x = np.random.default_rng(0).integers(0, 100, (3, 700)).astype(dtype)
    for name in ("sum", "max"):
        result = reduced(name, x, 1)
        expected = REDUCTIONS[name](x, axis=1)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == expected.dtype
    assert reduced("mean", x).dtype == np.float32
    np.testing.assert_allclose(reduced("mean", x), x.mean(), rtol=1e-6)
    np.testing.assert_allclose(reduced("logsumexp", x), lse(x.reshape(1, -1))[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["sum", "max", "var", "logsumexp", "log_softmax", "normalize"])
def test_rows_can_be_more_than_a_grid_has_warps(name):
    """One block takes all rows, one after the other, by warps and by threads."""
    settings = SETTINGS.get(name, {}) | ({"eps": 1e-5} if name == "normalize" else {})
    for shape in ((40, 33), (600, 3)):
        assert_same_bits_in_every_order(name, numbers(shape), axis=1, **settings)
    if name == "normalize":
        _, mean, r = run("normalize", numbers((40, 33)), axis=1, **settings)
        gradient, x = numbers((40, 33), seed=1), numbers((40, 33))
        assert_same_bits_in_every_order("normalize_grad", gradient, x, mean, r, axis=(1,))


def test_the_same_call_gives_the_same_bits():
    x = numbers((1_000_001,))
    assert len({reduced(name, x).tobytes() for name in ["sum"] * 5}) == 1
    np.testing.assert_allclose(reduced("sum", x), x.astype(float).sum(), rtol=1e-5, atol=1e-3)


# ---------------------------------------------------------------------- log_softmax


@pytest.mark.parametrize(
    ("shape", "axis", "version"),
    [
        ((3, 4), 1, "by_thread"),
        ((4, 30), 0, "by_thread"),
        ((20, 4100), 0, "by_thread"),
        ((3, 17), -1, "by_warp"),
        ((2, 33, 5), 1, "by_warp"),
        ((3, 1024), 1, "by_warp"),
        ((3, 1025), 1, "by_block"),
        ((2, 1500, 3), 1, "by_block"),
    ],
)
def test_each_version_of_log_softmax(shape, axis, version):
    x = 30 * numbers(shape) + 1e4
    for view in (x.astype(np.float32), x.astype(np.float32)[..., ::-1]):
        with checking() as reports, launches() as log:
            result = ops.log_softmax(Tensor(view, device="emulator"), axis=axis).numpy()
        assert [launch.symbol for launch in log] == [f"log_softmax_{version}"]
        assert [str(f) for _, report in reports for f in report.findings] == []
        exact = scipy.special.log_softmax(view.astype(np.float64), axis=axis)
        np.testing.assert_allclose(result, exact, rtol=2e-6, atol=2e-6)


def test_a_librarys_first_launch_keeps_what_its_threads_hold_in_registers():
    x = numbers((64, 5000))
    rows = rows_of("sum", x, (1,))
    y = np.zeros(rows.count, np.float32)
    module = Module(kernels_folder() / "reduce.cu", "fast", ["REAL=float", "LOADED_ANEW=1"])
    module["sum_by_block"]((rows.count, 1), (8 * WARP,), (x, y, None, rows.packed, 1.0))
    close("sum", y, x, 1)
