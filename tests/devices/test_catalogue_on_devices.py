"""Every operation on every device that runs our kernels: the catalogue again, through kernels/*.cu.

In float64 the kernels themselves are differentiated by finite differences, first and second order; in
float32 they are compared with NumPy; and the emulator's checker watches them.
"""

from __future__ import annotations

import numpy as np
import pytest
from catalogue import CATALOGUE, Call, Entry
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import devices
from minigan.core.errors import DeviceError
from minigan.core.gradcheck import gradcheck, gradgradcheck
from minigan.core.op import REGISTRY
from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.launch.index import is_view
from minigan.devices.launch.kernel import launches
from minigan.ops.on_device import DEVICES, KERNELS, VIEWS

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


def tensors(call: Call, dtype=np.float64) -> list[Tensor]:
    arrays = [np.asarray(a) for a in call.arrays]
    made = [Tensor(a.astype(dtype) if a.dtype.kind == "f" else a.copy()) for a in arrays]
    return [t.requires_grad_() if t.dtype.kind == "f" else t for t in made]


def on(device: str, entry: Entry, call: Call):
    """The operation on `device`, as a function of tensors on the CPU."""
    return lambda *arguments: entry.op(*(a.to(device) for a in arguments), **call.params).to("cpu")


@each_device
@each_operation
@FEW
@given(data=st.data())
def test_float32_agrees_with_the_reference_and_our_kernel_was_launched(device, name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    arguments = tensors(call, np.float32)
    with launches() as log:
        result = on(device, entry, call)(*arguments)
    if not (name == "getitem" and is_view(call.params["index"])):
        assert bool(log) == bool(result.numel())
    assert {launch.device for launch in log} <= {device}
    exact = [a.numpy().astype(float) if a.dtype.kind == "f" else a.numpy() for a in arguments]
    expected = np.asarray(entry.reference(*exact, **call.params)).astype(float)
    assert result.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(
        result.numpy().astype(float), expected, rtol=0, atol=entry.float32 * scale
    )


@each_device
@pytest.mark.parametrize("name", DIFFERENTIABLE)
@FEW
@given(data=st.data())
def test_kernels_agree_with_finite_differences(device, name, data):
    call = data.draw(CATALOGUE[name].calls)
    function = on(device, CATALOGUE[name], call)
    assert gradcheck(function, tensors(call))
    assert gradgradcheck(function, tensors(call))


@each_operation
@settings(max_examples=3)
@given(data=st.data())
def test_the_checker_finds_nothing(name, data):
    call = data.draw(CATALOGUE[name].calls)
    with checking() as reports:
        on("emulator", CATALOGUE[name], call)(*tensors(call, np.float32))
    assert [str(f) for _, report in reports for f in report.findings] == []


def test_every_operation_that_computes_has_a_kernel_on_every_device():
    assert set(KERNELS) == set(REGISTRY) - WITHOUT_KERNEL
    for device in DEVICES:
        have = {name for name, operation in REGISTRY.items() if device in operation.kernels}
        assert have == set(REGISTRY)
