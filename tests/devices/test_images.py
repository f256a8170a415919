"""Pooling, padding and resizing on devices: exact bits, every order, strides, nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
from emulated import assert_same_bits_in_every_order, run

from minigan.core.op import REGISTRY
from minigan.core.tensor import Tensor
from minigan.ops.resize import bilinear_matrix

NAN, INF = np.nan, np.inf


def numbers(*shape, dtype=np.float32, seed=0):
    return (8 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def picks(shape, area, dtype=np.int64):
    return np.random.default_rng(3).integers(0, area, shape).astype(dtype)


def on_cpu(name, *arrays, **settings):
    result = REGISTRY[name].with_aux(*map(Tensor, arrays), **settings)
    return [np.asarray(t.numpy()) for t in result]


def assert_exact(name, *arrays, **settings):
    for ours, theirs in zip(
        run(name, *arrays, **settings), on_cpu(name, *arrays, **settings), strict=True
    ):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def assert_near(name, *arrays, **settings):
    (ours,), (theirs,) = run(name, *arrays, **settings), on_cpu(name, *arrays, **settings)
    assert ours.dtype == theirs.dtype
    accuracy = 2e-6 if ours.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=accuracy * max(1, np.abs(theirs).max()))


# Sizes that no tile divides, batches of one and more, windows that overlap, touch, or leave gaps.
POOLINGS = [
    ((1, 1, 1, 1), {"kernel_size": 1}),
    ((1, 3, 7, 5), {"kernel_size": 2}),
    ((2, 3, 17, 19), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((2, 2, 13, 11), {"kernel_size": (5, 2), "stride": (1, 3), "padding": (2, 0)}),
    ((1, 5, 33, 31), {"kernel_size": (2, 3), "stride": (4, 5), "padding": 1}),
    ((2, 1, 6, 9), {"kernel_size": (6, 9)}),
]
each_pooling = pytest.mark.parametrize(("shape", "how"), POOLINGS)


@each_pooling
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, np.bool_])
def test_max_pool_gives_the_cpus_values_and_indices(shape, how, dtype):
    x = np.abs(numbers(*shape)) if dtype == np.uint8 else numbers(*shape)
    assert_exact("max_pool2d", (x > 0 if dtype == np.bool_ else x).astype(dtype), **how)


@each_pooling
def test_max_pool_takes_the_first_of_equals_and_nan_before_all(shape, how):
    few = np.random.default_rng(1).choice(
        [-INF, 0, 1, INF, NAN], shape, p=[0.3, 0.3, 0.3, 0.05, 0.05]
    )
    assert_exact("max_pool2d", few.astype(np.float32), **how)
    assert_exact("max_pool2d", np.full(shape, -INF, np.float32), **how)
    assert_exact("max_pool2d", np.full(shape, NAN, np.float32), **how)


@each_pooling
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_over_windows_and_their_adjoint(shape, how, dtype):
    assert_near("sum_pool2d", numbers(*shape, dtype=dtype), **how)
    (y,) = on_cpu("sum_pool2d", numbers(*shape), **how)
    how = {"stride": how["kernel_size"], "padding": 0} | how
    assert_near("sum_pool2d_dx", numbers(*y.shape, dtype=dtype), input_size=shape[2:], **how)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize(
    ("windows", "size"),
    [
        ((1, 1, 1, 1), (1, 1)),
        ((2, 3, 7, 5), (3, 4)),
        ((1, 2, 30, 31), (2, 1)),
        ((2, 1, 9, 9), (15, 17)),
    ],
)
def test_gather_and_scatter_with_any_repeats(windows, size, dtype):
    chosen = picks(windows, size[0] * size[1], dtype)
    assert_exact("gather2d", numbers(*windows[:2], *size), chosen)
    grad = numbers(*windows)
    (y,) = run("scatter2d", grad, chosen, input_size=size)
    # Exactly the sum in float32, one after another, in the order of the windows.
    expected = np.zeros((*windows[:2], size[0] * size[1]), np.float32)
    n, c = np.indices(windows)[:2]
    np.add.at(expected, (n, c, chosen), grad)
    np.testing.assert_array_equal(y, expected.reshape(y.shape))


@pytest.mark.parametrize(
    ("shape", "padding"),
    [
        ((1, 1, 1, 1), (0, 0, 0, 0)),
        ((2, 3, 5, 7), (1, 2, 3, 4)),
        ((1, 2, 4, 3), (2, 2, 3, 3)),
        ((2, 1, 6, 2), (1, 0, 0, 5)),
        ((1, 3, 31, 33), (3, 3, 3, 3)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_paddings(shape, padding, dtype):
    left, right, top, bottom = padding
    assert_exact("zero_pad2d", numbers(*shape, dtype=dtype), padding=padding)
    assert_exact("reflection_pad2d", numbers(*shape, dtype=dtype), padding=padding)
    grad = numbers(*shape[:2], shape[2] + top + bottom, shape[3] + left + right, dtype=dtype)
    check = assert_exact if dtype == np.int16 else assert_near
    check("reflection_pad2d_dx", grad, input_size=shape[2:], padding=padding)


@pytest.mark.parametrize("scale", [1, 2, (1, 3), (5, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_nearest_neighbours(scale, dtype):
    x = np.abs(numbers(2, 3, 5, 7)).astype(dtype)
    assert_exact("upsample_nearest2d", x, scale_factor=scale)


RESIZINGS = [
    ((1, 1, 1, 1), (1, 1)),
    ((2, 3, 1, 5), (4, 1)),
    ((1, 2, 4, 4), (8, 8)),
    ((2, 1, 5, 7), (13, 3)),
    ((1, 3, 17, 9), (2, 40)),
    ((2, 2, 31, 33), (31, 33)),
    ((1, 1, 3, 200), (1, 7)),
    ((1, 2, 9, 3), (3, 1)),
    ((1, 40, 6, 5), (9, 11)),
]


@pytest.mark.parametrize(("shape", "size"), RESIZINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_interpolation_and_its_adjoint(shape, size, dtype):
    assert_near("upsample_bilinear2d", numbers(*shape, dtype=dtype), size=size)
    grad = numbers(*shape[:2], *size, dtype=dtype)
    assert_near("upsample_bilinear2d_dx", grad, input_size=shape[2:])


def test_interpolation_leaves_alone_what_does_not_vary():
    flat = np.full((1, 2, 5, 7), 0.7, np.float32)
    (y,) = run("upsample_bilinear2d", flat, size=(11, 3))
    np.testing.assert_allclose(y, 0.7, rtol=2e-7)
    x = numbers(1, 2, 5, 7)
    np.testing.assert_array_equal(run("upsample_bilinear2d", x, size=(5, 7))[0], x)


@pytest.mark.parametrize(("shape", "size"), RESIZINGS)
def test_an_infinite_gradient_reaches_only_the_pixels_that_have_weight(shape, size):
    a, b = (bilinear_matrix(n, m) for n, m in zip(shape[2:], size, strict=True))
    for i, j in [(0, 0), (size[0] // 2, size[1] // 2), (size[0] - 1, size[1] - 1)]:
        grad = np.zeros((1, 1, *size), np.float32)
        grad[0, 0, i, j] = INF
        (y,) = run("upsample_bilinear2d_dx", grad, input_size=shape[2:])
        np.testing.assert_array_equal(y[0, 0], np.where(np.outer(a[i], b[j]) > 1e-9, INF, 0))


def test_integers_are_interpolated_as_float32():
    x = np.arange(6).reshape(1, 1, 2, 3)
    (y,) = run("upsample_bilinear2d", x, size=(4, 4))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, on_cpu("upsample_bilinear2d", x, size=(4, 4))[0], atol=1e-6)


# ---------------------------------------------------------------------- what holds for all of them

WINDOWS = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}
SIZE = (19, 21)  # of an image; WINDOWS make 10 x 20 of it
CALLS = {
    "max_pool2d": (numbers(2, 3, *SIZE), WINDOWS),
    "sum_pool2d": (numbers(2, 3, *SIZE), WINDOWS),
    "sum_pool2d_dx": (numbers(2, 3, 10, 20), {"input_size": SIZE, **WINDOWS}),
    "gather2d": (numbers(2, 3, *SIZE), {}),
    "scatter2d": (numbers(2, 3, 30, 20), {"input_size": (9, 8)}),
    "zero_pad2d": (numbers(2, 3, *SIZE), {"padding": (1, 2, 3, 0)}),
    "reflection_pad2d": (numbers(2, 3, *SIZE), {"padding": (1, 2, 3, 0)}),
    "reflection_pad2d_dx": (
        numbers(2, 3, 22, 24),
        {"input_size": SIZE, "padding": (1, 2, 3, 0)},
    ),
    "upsample_nearest2d": (numbers(2, 3, *SIZE), {"scale_factor": (2, 3)}),
    "upsample_bilinear2d": (numbers(2, 3, *SIZE), {"size": (30, 10)}),
    "upsample_bilinear2d_dx": (numbers(2, 3, 30, 10), {"input_size": SIZE}),
}
each_call = pytest.mark.parametrize("name", CALLS)


def arguments(name):
    """The arrays and settings of a call; gather and scatter have indices, many of which repeat."""
    x, settings = CALLS[name]
    if name == "gather2d":
        return [x, picks((2, 3, 8, 9), 19 * 21)], settings
    return [x, picks(x.shape, 72)] if name == "scatter2d" else [x], settings


@each_call
def test_the_same_bits_in_every_order(name):
    arrays, settings = arguments(name)
    assert_same_bits_in_every_order(name, *arrays, **settings)


@each_call
def test_strides_change_nothing(name):
    arrays, settings = arguments(name)
    turned = [np.ascontiguousarray(a.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0) for a in arrays]
    reversed_ = [np.ascontiguousarray(a[:, ::-1, :, ::-1])[:, ::-1, :, ::-1] for a in arrays]
    expected = run(name, *arrays, **settings)
    for views in (turned, reversed_):
        assert not views[0].flags.c_contiguous
        for a, b in zip(run(name, *views, **settings), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@each_call
@pytest.mark.parametrize("empty", [(0, 3), (2, 0)])
def test_no_images_and_no_channels(name, empty):
    arrays, settings = arguments(name)
    none = [np.zeros((*empty, *a.shape[2:]), a.dtype) for a in arrays]
    assert_exact(name, *none, **settings)


def test_images_of_no_pixels_where_they_are_allowed():
    assert_exact("zero_pad2d", numbers(1, 2, 0, 3), padding=1)
    assert_exact("upsample_nearest2d", numbers(1, 2, 0, 3), scale_factor=2)
    assert_exact("gather2d", numbers(1, 2, 3, 3), picks((1, 2, 0, 4), 9))
    assert_exact("scatter2d", numbers(1, 2, 0, 3), picks((1, 2, 0, 3), 4), input_size=(2, 2))
