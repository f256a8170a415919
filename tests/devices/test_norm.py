"""Normalisation: each version of the kernels at the shapes that choose it, and awkward numbers."""

from __future__ import annotations

import numpy as np
import pytest

from minigan import ops
from minigan.core.engine import grad
from minigan.core.tensor import Tensor
from minigan.devices.cpu import norm as cpu
from minigan.devices.emulator.device import checking
from minigan.devices.launch.kernel import launches

# (shape, axes, what is launched forward, and backward)
PARTS = ["in_parts", "apply"]
SHAPES = [
    ((2, 3, 5, 7), (2, 3), ["by_warp"], ["by_warp"]),
    ((5, 4, 3, 3), (0, 2, 3), ["by_warp"], ["by_warp"]),
    ((33, 70), (0,), ["by_warp"], ["by_warp"]),
    ((2, 3, 16, 16), (2, 3), ["plane"], ["plane"]),
    ((2, 3, 17, 16), (2, 3), ["plane"], ["plane"]),
    ((2, 3, 17, 17), (2, 3), ["by_warp"], ["by_warp"]),
    ((1, 2, 64, 64), (2, 3), ["plane"], ["plane"]),
    ((3, 1, 33, 35), (2, 3), ["by_block"], ["by_block"]),
    ((2, 80, 80), (1, 2), ["plane"], ["by_block"]),  # two planes of 25.6 kB are too much
    ((4, 3, 20, 21), (0, 2, 3), ["by_block"], ["by_block"]),
    ((2, 3, 91, 92), (2, 3), PARTS, PARTS),
    ((9, 2, 30, 31), (0, 2, 3), PARTS, PARTS),
    ((1, 1, 127, 129), (0, 1, 2, 3), PARTS, PARTS),
]


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def symbols(operation, versions):
    return [f"{operation}_{version}" for version in versions]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("shape", "axis", "forward", "backward"), SHAPES)
def test_each_version_at_the_shapes_that_choose_it(shape, axis, forward, backward, relu):
    x, g = 3 * numbers(shape) + 5, numbers(shape, seed=1)
    leaf = Tensor(x, device="emulator").requires_grad_()
    with checking() as reports, launches() as log:
        y, mean, r = ops.normalize.with_aux(leaf, axis=axis, relu=relu)
        (dx,) = grad(y, leaf, Tensor(g, device="emulator"))
    assert [launch.symbol for launch in log] == [
        *symbols("normalize", forward),
        *symbols("normalize_grad", backward),
    ]
    assert [str(f) for _, report in reports for f in report.findings] == []
    expected = cpu.normalize(x.astype(np.float64), axis, 1e-5, relu)
    for result, exact in zip((y, mean, r), expected, strict=True):
        np.testing.assert_allclose(result.numpy(), exact, rtol=1e-5, atol=2e-6)
    exact = cpu.normalize_grad(*(a.astype(np.float64) for a in (g, x)), *expected[1:], axis, relu)
    np.testing.assert_allclose(dx.numpy(), exact, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("shape", "axis", "forward", "backward"), SHAPES)
def test_float64_is_exact_to_its_own_rounding(shape, axis, forward, backward):
    x = 3 * numbers(shape).astype(np.float64) + 5
    y = ops.normalize(Tensor(x, device="emulator"), axis=axis).numpy()
    np.testing.assert_allclose(y, cpu.normalize(x, axis, 1e-5)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", [9, 16, 33, 64, 100])
def test_a_mean_far_from_zero_does_not_cancel(side):
    x = (numbers((2, 2, side, side)) + 1000).astype(np.float32)
    y = ops.instance_norm(Tensor(x, device="emulator")).numpy()
    exact = cpu.normalize(x.astype(np.float64), (2, 3), 1e-5)[0]
    np.testing.assert_allclose(y, exact, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("side", [4, 16, 33, 64, 100])
def test_a_plane_of_one_value_becomes_zero_and_nan_stays_in_its_plane(side):
    x = np.full((1, 3, side, side), 0.25, np.float32)
    x[0, 1, 2, 3], x[0, 2, 1, 1] = np.nan, np.inf
    y = ops.instance_norm(Tensor(x, device="emulator")).numpy()
    np.testing.assert_array_equal(y[0, 0], np.zeros((side, side)))
    assert np.isnan(y[0, 1]).all()
    assert np.isnan(y[0, 2]).all()


def test_a_rectified_plane_keeps_nan_and_passes_no_gradient_at_zero():
    x = np.full((1, 2, 4, 4), 0.25, np.float32)  # the first plane: xhat is 0 everywhere
    x[0, 1, 2, 3] = np.nan
    leaf = Tensor(x, device="emulator").requires_grad_()
    y = ops.instance_norm(leaf, relu=True)
    assert np.isnan(y.numpy()[0, 1]).all()
    (dx,) = grad(y, leaf, Tensor(np.ones_like(x), device="emulator"))
    np.testing.assert_array_equal(dx.numpy()[0, 0], np.zeros((4, 4)))


def test_a_view_that_starts_at_an_odd_address_is_not_loaded_16_bytes_at_a_time():
    x = numbers(1 + 2 * 3 * 256)[1:].reshape(2, 3, 16, 16)
    with checking() as reports, launches() as log:
        y = ops.instance_norm(Tensor(x, device="emulator"))
    assert [launch.symbol for launch in log] == ["normalize_by_warp"]
    assert [f for _, report in reports for f in report.findings] == []
    np.testing.assert_allclose(y.numpy(), cpu.normalize(x, (2, 3), 1e-5)[0], atol=2e-6)


def test_strided_arrays_are_copied_once_and_the_copy_is_counted():
    x = numbers((2, 6, 5, 3)).transpose(0, 3, 1, 2)
    with launches() as log:
        y = ops.instance_norm(Tensor(x, device="emulator"))
    assert [launch.symbol for launch in log] == ["copy", "normalize_by_warp"]
    np.testing.assert_allclose(y.numpy(), cpu.normalize(x, (2, 3), 1e-5)[0], atol=2e-6)


def test_batches_without_images_stay_without():
    x = Tensor(np.ones((0, 3, 4, 4), np.float32), device="emulator")
    assert ops.instance_norm(x).shape == (0, 3, 4, 4)
