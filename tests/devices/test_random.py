"""Dropout on devices: the very bits that the CPU draws."""

from __future__ import annotations

import numpy as np
import pytest
from emulated import assert_same_bits_in_every_order, run

import minigan as mg
from minigan.core.tensor import Tensor
from minigan.ops.random import dropout_masked

KEY = 0x9E3779B97F4A7C15
TILE = 2048  # numbers that a block of threads draws at a time


def on_cpu(x, state, p):
    return dropout_masked(Tensor(x), Tensor(state), p=p).numpy()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 255, TILE - 1, TILE, TILE + 1, 3 * TILE + 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mask_and_the_values_are_the_cpus(size, dtype):
    x = np.random.default_rng(0).standard_normal(size).astype(dtype)
    state = np.array([KEY, 12345], np.uint64)
    (y,) = run("dropout_masked", x, state, p=0.3)
    np.testing.assert_array_equal(y, on_cpu(x, state, 0.3))


@pytest.mark.parametrize("counter", [0, 1, 3 * 2**48, 2**63, 2**64 - 2, 2**64 - 1])
@pytest.mark.parametrize("key", [0, KEY, 2**64 - 1])
def test_keys_and_counters_of_all_sizes(counter, key):
    x, state = np.ones((3, 5, 7), np.float32), np.array([key, counter], np.uint64)
    np.testing.assert_array_equal(run("dropout_masked", x, state, p=0.5)[0], on_cpu(x, state, 0.5))


@pytest.mark.parametrize("p", [0, 0.0, 2**-32, 0.5, 1 - 2**-32, 1.0, 1])
def test_probabilities_to_the_last_bit(p):
    x, state = np.ones(5000), np.array([KEY, 7], np.uint64)
    (y,) = run("dropout_masked", x, state, p=p)
    np.testing.assert_array_equal(y, on_cpu(x, state, p))
    assert (y != 0).all() == (p < 0.1)


def test_strides_dtypes_and_nothing():
    x, state = np.arange(60.0, dtype=np.float32).reshape(3, 4, 5), np.array([KEY, 7], np.uint64)
    turned = x.transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(
        run("dropout_masked", turned, state, p=0.5)[0], on_cpu(turned, state, 0.5)
    )
    (y,) = run("dropout_masked", x.astype(int), state, p=0.5)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, on_cpu(x, state, 0.5))
    assert run("dropout_masked", x[:0], state, p=0.5)[0].shape == (0, 4, 5)


def test_the_same_bits_in_every_order():
    x, state = np.ones(3 * TILE + 5, np.float32), np.array([KEY, 7], np.uint64)
    assert_same_bits_in_every_order("dropout_masked", x, state, p=0.5)


def test_a_generator_drops_the_same_elements_on_every_device_also_backward():
    kept = []
    for device in ("cpu", "emulator"):
        generator = mg.Generator(4)
        mg.dropout(mg.tensor(np.ones(99)), generator=generator)  # moves the counter on
        x = mg.tensor(np.ones((20, 31))).to(device).requires_grad_()
        y = mg.dropout(x, p=0.4, generator=generator)
        assert y.device == device
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
        kept.append(y.numpy())
    np.testing.assert_array_equal(*kept)
