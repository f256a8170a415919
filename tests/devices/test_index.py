"""Joining and indexing on devices: every kind of index, repeats, views, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from emulated import assert_same_bits_in_every_order, run

import minigan as mg
from minigan.core.errors import ShapeError
from minigan.core.tensor import Tensor
from minigan.devices.launch.kernel import launches
from minigan.ops import concatenate, getitem

X = np.random.default_rng(0).standard_normal((5, 4, 6)).astype(np.float32)
PICKS = np.array([3, -1, 0, 3, 3, 1, -5])
MASK = X[..., 0] > 0

# Indices of X that give views of it, and others.
VIEWS = [
    (),
    (2,),
    (-1, 3),
    (1, 2, 3),
    (slice(None, None, -1),),
    (slice(4, 0, -2), slice(1, 3), slice(None, None, 5)),
    (..., 2),
    (None, 1, ..., None, slice(0, 0)),
    (slice(1, 4), np.int64(2), ...),
]
COPIES = [
    (PICKS,),
    (PICKS[:, None],),
    (np.array([], int),),
    (np.array(3),),
    (PICKS, slice(None, None, 2)),
    (slice(None), PICKS % 4),
    (slice(None), PICKS % 4, slice(4, 1, -1)),
    (..., PICKS),
    (PICKS, ...),
    (PICKS, ..., PICKS),
    (PICKS, None, 1),
    (PICKS, slice(None), PICKS),
    (PICKS, PICKS % 4, PICKS),
    (0, PICKS % 4),
    (PICKS[:, None], PICKS % 4),
    (MASK,),
    (MASK, 3),
    (MASK, slice(1, 3)),
    (X > 0,),
    (X > 99,),
    (slice(None), MASK[0]),
    (True,),
    (False, 1),
    (PICKS.astype(np.uint8) % 5,),
]


@pytest.mark.parametrize("index", VIEWS, ids=str)
def test_slices_and_integers_are_views(index):
    x = Tensor(X, device="emulator")
    with launches() as log:
        y = getitem(x, index=index)
    assert log == []
    assert isinstance(y._array, np.ndarray)
    np.testing.assert_array_equal(y.numpy(), X[index])
    assert np.shares_memory(y._array, X) == bool(y.numel())


@pytest.mark.parametrize("index", COPIES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_arrays_and_masks_are_gathered_by(index, dtype):
    x = X.astype(dtype)
    (y,) = run("getitem", x, index=index)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x[index])


@pytest.mark.parametrize("index", VIEWS + COPIES, ids=str)
def test_the_adjoint_adds_repeats_one_after_another(index):
    grad = np.random.default_rng(1).standard_normal(X[index].shape).astype(np.float32)
    (y,) = run("getitem_dx", grad, index=index, input_shape=X.shape)
    expected = np.zeros_like(X)
    np.add.at(expected, index, grad)
    np.testing.assert_array_equal(y, expected)  # exactly: the order is the same


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
def test_the_adjoint_of_nothing(shape):
    index = (np.array([], int),)
    grad = np.zeros((0, *shape[1:]), np.float32)
    np.testing.assert_array_equal(
        run("getitem_dx", grad, index=index, input_shape=shape)[0], np.zeros(shape)
    )


@pytest.mark.parametrize("index", [(PICKS,), (PICKS, slice(None, None, 2)), (slice(4, 0, -2), 1)])
def test_the_same_bits_in_every_order(index):
    assert_same_bits_in_every_order("getitem", X, index=index)
    grad = np.random.default_rng(1).standard_normal(X[index].shape).astype(np.float32)
    assert_same_bits_in_every_order("getitem_dx", grad, index=index, input_shape=X.shape)
    assert_same_bits_in_every_order("concatenate", X, X[::-1], axis=1)


@pytest.mark.parametrize("index", [(PICKS,), (MASK,), (slice(3, 0, -1), ..., 1)], ids=str)
def test_strides_change_nothing(index):
    turned = X.transpose(2, 0, 1).copy().transpose(1, 2, 0)[:, ::-1]
    np.testing.assert_array_equal(run("getitem", turned, index=index)[0], turned[index])
    grad = np.repeat(turned[index][..., None], 2, -1)[..., 0]
    assert not grad.flags.c_contiguous
    (y,) = run("getitem_dx", grad, index=index, input_shape=X.shape)
    expected = np.zeros_like(X)
    np.add.at(expected, index, grad)
    np.testing.assert_array_equal(y, expected)


def test_tensors_index_tensors_and_gradients_come_back_through_them():
    x = mg.tensor(X).to("emulator").requires_grad_()
    picks = mg.tensor(PICKS).to("emulator")
    y = x[picks]
    (y * y).sum().backward()
    expected = 2 * X * np.bincount(PICKS % 5, minlength=5)[:, None, None]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "index", [(5,), (PICKS + 3,), (0, 0, 0, 0), (PICKS, 0, 0, 0), (MASK[:2],)], ids=str
)
def test_what_cannot_be_indexed_is_refused_as_on_the_cpu(index):
    with pytest.raises(ShapeError, match=r"indexing: x of shape \(5, 4, 6\) cannot be") as ours:
        getitem(Tensor(X, device="emulator"), index=index)
    with pytest.raises(ShapeError) as theirs:
        getitem(Tensor(X), index=index)
    assert "\n" not in str(ours.value)
    if len(index) != 4:  # of too many indices NumPy says more
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_joining_parts_of_any_strides_sizes_and_dtypes(axis):
    parts = [X, X[::-1, ::-1, ::-1], X[:, :, :].astype(np.int16), np.zeros_like(X)]
    parts[3] = parts[3][(slice(None),) * (axis % 3) + (slice(0),)]  # nothing to add
    (y,) = run("concatenate", *parts, axis=axis)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.concatenate(parts, axis).astype(np.float32))


def test_joining_nothing_but_empty_parts():
    with launches() as log:
        y = concatenate(*(Tensor(X[:0], device="emulator") for _ in range(2)))
    assert (y.shape, log) == ((0, 4, 6), [])


def test_each_part_is_one_launch():
    with launches() as log:
        concatenate(*(Tensor(X, device="emulator") for _ in range(3)), axis=1)
    assert [launch.symbol for launch in log] == ["put"] * 3
