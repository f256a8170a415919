"""Reductions: each version of the kernels at the shapes that choose it, and what numbers can go wrong."""

from __future__ import annotations

import numpy as np
import pytest

from minigan import ops
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
REDUCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max}

each_reduction = pytest.mark.parametrize("name", REDUCTIONS)


def numbers(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def reduced(name, array, **settings):
    return getattr(ops, name)(Tensor(array, device="emulator"), **settings).numpy()


def close(name, result, array, axis, keepdims=False):
    """To float32's accuracy for sums of that length, in pairs."""
    exact = REDUCTIONS[name](array.astype(np.float64), axis=axis, keepdims=keepdims)
    length = array.size / max(exact.size, 1)
    assert result.shape == exact.shape
    atol = 3e-7 * (np.sqrt(length) if name == "sum" else 1) * (1 + np.log2(length + 1))
    np.testing.assert_allclose(result, exact, rtol=1e-6, atol=atol)


@each_reduction
@pytest.mark.parametrize(("shape", "axis", "versions"), SHAPES)
def test_each_version_at_the_shapes_that_choose_it(name, shape, axis, versions):
    x = numbers(shape)
    with launches() as log:
        result = reduced(name, x, axis=axis)
    symbol = "sum" if name == "mean" else name
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


def test_a_librarys_first_launch_keeps_what_its_threads_hold_in_registers():
    x = numbers((64, 5000))
    rows = rows_of("sum", x, (1,))
    y = np.zeros(rows.count, np.float32)
    module = Module(kernels_folder() / "reduce.cu", "fast", ["REAL=float", "LOADED_ANEW=1"])
    module["sum_by_block"]((rows.count, 1), (8 * WARP,), (x, y, None, rows.packed, 1.0))
    close("sum", y, x, 1)
