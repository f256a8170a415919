"""Kernels read arrays with strides where they lie: turned, reversed, repeated, parts of others."""

from __future__ import annotations

import numpy as np
import pytest

from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.launch.kernel import launches
from minigan.devices.launch.layout import memory
from minigan.ops import add, cast

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
