"""The CPU's faster forms of small operations: layouts kept, conventions kept, digits kept."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan import optim
from minigan.core.tensor import Tensor
from minigan.devices.cpu import adam, layout, norm, rectify


def numbers(seed, *shape, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def channels_innermost(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


# ---------------------------------------------------------------------- relu


@pytest.mark.parametrize("shape", [(), (5,), (4096,), (4097,), (3, 2000), (2, 3, 40, 50)])
def test_relu_is_the_maximum_with_zero_and_keeps_nan(shape):
    x = numbers(0, *shape) if shape else np.float32(-1)
    x = np.array(x)
    x.reshape(-1)[-1] = np.nan
    np.testing.assert_array_equal(rectify.relu(x), np.maximum(x, 0))
    assert rectify.relu(x) is not x


def test_relu_of_other_layouts_and_types_and_in_place():
    x = numbers(0, 3, 64, 65)
    for view in (
        x.transpose(2, 0, 1),
        x[:, ::2],
        x[::-1],
        np.asfortranarray(x),
        x.astype(np.int32),
    ):
        np.testing.assert_array_equal(rectify.relu(view), np.maximum(view, 0))
    assert rectify.relu(x.transpose(2, 0, 1)).strides == x.transpose(2, 0, 1).strides
    expected = np.maximum(x, 0)
    assert rectify.relu(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


# ---------------------------------------------------------------------- layouts


def test_flat_is_a_view_of_dense_memory_and_none_of_others():
    x = numbers(0, 2, 3, 4)
    for dense in (x, x.transpose(2, 0, 1), np.asfortranarray(x), x[:1], x[:, :, :0]):
        view = layout.flat(dense)
        assert view is not None
        assert view.size == dense.size
        assert dense.size == 0 or np.shares_memory(view, dense)
    for gaps in (x[:, :, ::2], x[::-1], np.broadcast_to(x[:1], x.shape)):
        assert layout.flat(gaps) is None


@pytest.mark.parametrize("shape", [(5, 3, 2, 4), (16, 2, 3, 3), (33, 7, 1, 1), (0, 2, 3, 3)])
def test_weights_are_turned_round_once_and_then_never_copied(shape):
    w = numbers(0, *shape)
    taps = layout.taps_first(w)
    np.testing.assert_array_equal(taps, w.transpose(2, 3, 1, 0))
    assert taps.flags.c_contiguous
    laid = layout.taps_last(taps)
    np.testing.assert_array_equal(laid, w)
    again = layout.taps_first(laid)
    assert again.base is taps or again.size == 0


@pytest.mark.parametrize("rows", [1, 63, 64, 200, 4096])
def test_column_sums_keep_the_digits(rows):
    x = numbers(0, 2, rows, 5) + 1000
    expected = x.astype(np.float64).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layout.column_sums(x), expected, rtol=3e-7)


def test_upsampling_keeps_the_layout():
    x = numbers(0, 2, 5, 3, 4)
    expected = x.repeat(2, axis=2).repeat(3, axis=3)
    for image in (x, channels_innermost(x)):
        y = mg.upsample_nearest2d(Tensor(image), scale_factor=(2, 3)).numpy()
        np.testing.assert_array_equal(y, expected)
        assert (layout.channels_last(y) is None) == (layout.channels_last(image) is None)
        assert not np.shares_memory(y, image)


# ---------------------------------------------------------------------- normalisation


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("axis", [(2, 3), (0, 2, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 32, 40, 40), (1, 1, 16, 16)])
def test_an_image_in_either_layout_is_normalized_alike(shape, axis, relu):
    x, g = numbers(0, *shape) * 3 + 100, numbers(1, *shape)
    wide = norm.normalize(x.astype(np.float64), axis, 1e-5, relu)
    wide_grad = norm.normalize_grad(
        g.astype(np.float64), x.astype(np.float64), *wide[1:], axis, relu
    )
    for image, grad in (
        (x, g),
        (channels_innermost(x), channels_innermost(g)),
        (channels_innermost(x), g),
    ):
        y, m, r = norm.normalize(image, axis, 1e-5, relu)
        for found, expected in zip((y, m, r), wide, strict=True):
            assert found.shape == expected.shape
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=4e-5)
        found = norm.normalize_grad(
            grad, image, *(a.astype(np.float32) for a in wide[1:]), axis, relu
        )
        near_kink = np.abs(wide[0] if not relu else (x - wide[1]) * wide[2]) < 1e-4
        np.testing.assert_allclose(
            np.where(near_kink, 0, found), np.where(near_kink, 0, wide_grad), atol=1e-4
        )


def test_a_gradient_that_relu_drops_may_be_infinite():
    x = channels_innermost(numbers(0, 1, 2, 4, 4))
    y, m, r = norm.normalize(x, (2, 3), 1e-5, True)
    g = np.where(y > 0, np.float32(1), np.float32(np.inf))
    assert np.isfinite(norm.normalize_grad(channels_innermost(g), x, m, r, (2, 3), True)).all()


# ---------------------------------------------------------------------- Adam


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (7,), (3, adam._PIECE // 2)])
def test_adam_in_pieces_is_the_formula(shape, dtype):
    w, g, m = (np.array(numbers(i, *shape, dtype=dtype)) for i in range(3))
    v = np.array(numbers(3, *shape, dtype=dtype) ** 2)
    b1, b2, lr, eps, t = 0.9, 0.99, 0.01, 1e-8, 3
    mean, square = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    step = lr * (mean / (1 - b1**t)) / (np.sqrt(square / (1 - b2**t)) + eps)
    expected = w - step
    adam.adam(w, g, m, v, t, lr, (b1, b2), eps)
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    for found, wanted in ((w, expected), (m, mean), (v, square)):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol / 10)


def test_adam_takes_a_gradient_in_another_layout():
    g = numbers(1, 300, 400)
    steps = []
    for gradient in (g, np.asfortranarray(g)):
        w = mg.tensor(numbers(0, 300, 400), requires_grad=True)
        w.grad = Tensor(gradient)
        optim.Adam([w]).step()
        steps.append(w.numpy())
    np.testing.assert_array_equal(*steps)
