"""Kernels read arrays with strides where they lie: turned, reversed, repeated, parts of others."""

from __future__ import annotations

import numpy as np
import pytest
from emulated import assert_same_bits_in_every_order, run

from minigan.core.op import REGISTRY
from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.launch.kernel import launches
from minigan.devices.launch.layout import memory
from minigan.ops import add, cast
from minigan.ops.on_device import KERNELS

BASE = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
VIEWS = {
    "turned": BASE.transpose(2, 0, 1),
    "reversed": BASE[::-1, :, ::-1],
    "every second": BASE[:, ::2, 1::2],
    "repeated": np.broadcast_to(BASE[:, :1], (2, 3, 4, 5)),
    "backwards in part": BASE[:, 3:0:-2, 4:1:-1].transpose(1, 2, 0),
    "empty": BASE[:, :0, ::2],
}

each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())


@each_view
def test_elementwise_kernels_read_strided_arrays_without_a_copy(view):
    x = Tensor(view, device="emulator")
    with checking() as reports, launches() as log:
        doubled = add(x, x)
    np.testing.assert_array_equal(doubled.numpy(), view + view)
    assert [launch.symbol for launch in log] == ["add"] * bool(view.size)
    assert [f for _, report in reports for f in report.findings] == []


@each_view
def test_casts_read_strided_arrays(view):
    np.testing.assert_array_equal(
        cast(Tensor(view, device="emulator"), dtype=np.float64).numpy(), view.astype(np.float64)
    )


@each_view
def test_memory_of_an_array_is_what_it_spans(view):
    span = memory(view)
    assert span.flags.c_contiguous
    assert np.isin(view, span).all()
    if view.size:
        low, high = np.lib.array_utils.byte_bounds(view)
        assert (span.ctypes.data, span.nbytes) == (low, high - low)


# ---------------------------------------------------------------------- every elementwise operation

SETTINGS = {
    "clip": {"min": 0.8, "max": 1.5},
    "is_within": {"min": 0.8, "max": 1.5},
    "leaky_relu": {"negative_slope": 0.2},
    "leaky_relu_grad": {"negative_slope": 0.2},
    "cast": {"dtype": np.dtype(np.int32)},
}
ELEMENTWISE = sorted(
    name for name in KERNELS if REGISTRY[name].broadcasts and name != "matrix_product"
)


def operands(name):
    """An operand turned, one reversed, one repeated; numbers on both sides of every kink."""
    rng = np.random.default_rng(0)
    around = (
        0 if name in ("relu", "relu_grad", "leaky_relu", "leaky_relu_grad", "sign", "abs") else 1
    )
    made = [
        rng.uniform(-0.7, 0.7, (6, 5)).T + around,
        rng.uniform(-0.7, 0.7, (5, 6))[::-1] + around,
        np.broadcast_to(rng.uniform(-0.7, 0.7, (5, 1)) + around, (5, 6)),
    ][: len(REGISTRY[name].inputs)]
    if name == "where":
        made[0] = made[0] > around
    if name in ("eq", "ne", "share_of_larger"):
        made[1] = np.where(made[1] > around, made[0], made[1])
    return made


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_operations_on_strided_operands_in_any_order(name):
    arrays, settings = operands(name), SETTINGS.get(name, {})
    (result,) = run(name, *arrays, **settings)
    expected = REGISTRY[name](*map(Tensor, arrays), **settings).numpy()
    assert len(np.unique(expected)) > 1
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    assert_same_bits_in_every_order(name, *arrays, **settings)


def test_writing_into_strided_memory():
    target = np.zeros((4, 6), np.float32)
    x = Tensor(target.T[::-1], device="emulator")
    x.copy_(Tensor(np.arange(24.0).reshape(6, 4), device="emulator"))
    np.testing.assert_array_equal(target.T[::-1], np.arange(24.0).reshape(6, 4))
