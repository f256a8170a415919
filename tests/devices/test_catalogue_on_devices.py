"""Every operation on every device that runs our kernels: the catalogue again, through kernels/*.cu.

In float64 the kernels themselves are differentiated by finite differences, first and second order; in
float32 they are compared with NumPy; and the emulator's checker watches them.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import devices
from minigan.core.errors import DeviceError
from minigan.core.op import REGISTRY
from minigan.ops.on_device import DEVICES, KERNELS, VIEWS
from minigan.testing.catalogue import CATALOGUE
from minigan.testing.on_devices import (
    assert_finite_differences_agree,
    assert_float32_agrees,
    assert_nothing_is_found,
)

# Operations that compute nothing: they describe memory anew, or copy it between devices.
WITHOUT_KERNEL = {*VIEWS, "transfer"}
NAMES = sorted(KERNELS)
DIFFERENTIABLE = [name for name in NAMES if CATALOGUE[name].op.differentiable]
FEW = settings(max_examples=4)

each_operation = pytest.mark.parametrize("name", NAMES)


def can_be_had(device: str) -> bool:
    try:
        return bool(devices.available(device))
    except DeviceError:
        return False


# Without a GPU, test_cuda.py runs the catalogue with a stand-in for CuPy.
each_device = pytest.mark.parametrize("device", list(filter(can_be_had, DEVICES)))


@each_device
@each_operation
@FEW
@given(data=st.data())
def test_float32_agrees_with_the_reference_and_our_kernel_was_launched(device, name, data):
    assert_float32_agrees(device, CATALOGUE[name], data.draw(CATALOGUE[name].calls))


@each_device
@pytest.mark.parametrize("name", DIFFERENTIABLE)
@FEW
@given(data=st.data())
def test_kernels_agree_with_finite_differences(device, name, data):
    assert_finite_differences_agree(device, CATALOGUE[name], data.draw(CATALOGUE[name].calls))


@each_operation
@settings(max_examples=3)
@given(data=st.data())
def test_the_checker_finds_nothing(name, data):
    assert_nothing_is_found(CATALOGUE[name], data.draw(CATALOGUE[name].calls))


def test_every_operation_that_computes_has_a_kernel_on_every_device():
    assert set(KERNELS) == set(REGISTRY) - WITHOUT_KERNEL
    for device in DEVICES:
        have = {name for name, operation in REGISTRY.items() if device in operation.kernels}
        assert have == set(REGISTRY)
