"""The checks of one operation on one device, for one call of the catalogue's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan.core.gradcheck import gradcheck, gradgradcheck
from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.launch.index import is_view
from minigan.devices.launch.kernel import launches
from minigan.ops.on_device import KERNELS
from minigan.testing.catalogue import Call, Entry


def tensors(call: Call, dtype: type = np.float64) -> list[Tensor]:
    """The call's arrays as tensors on the CPU; those of numbers are leaves."""
    arrays = [np.asarray(a) for a in call.arrays]
    made = [Tensor(a.astype(dtype) if a.dtype.kind == "f" else a.copy()) for a in arrays]
    return [t.requires_grad_() if t.dtype.kind == "f" else t for t in made]


def on(device: str, entry: Entry, call: Call) -> Callable[..., Tensor]:
    """The operation on `device`, as a function of tensors on the CPU."""
    return lambda *arguments: entry.op(*(a.to(device) for a in arguments), **call.params).to("cpu")


def assert_float32_agrees(device: str, entry: Entry, call: Call) -> None:
    """With the reference; and a kernel of ours was launched, if one was needed."""
    arguments = tensors(call, np.float32)
    with launches() as log:
        result = on(device, entry, call)(*arguments)
    name = entry.op.name
    is_described_anew = name == "getitem" and is_view(call.params["index"])
    if device != "cpu" and name in KERNELS and not is_described_anew:
        assert bool(log) == bool(result.numel()), "no kernel of ours was launched"
    assert {launch.device for launch in log} <= {device}
    exact = [a.numpy().astype(float) if a.dtype.kind == "f" else a.numpy() for a in arguments]
    expected = np.asarray(entry.reference(*exact, **call.params)).astype(float)
    assert result.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(
        result.numpy().astype(float), expected, rtol=0, atol=entry.float32 * scale
    )


def assert_finite_differences_agree(device: str, entry: Entry, call: Call) -> None:
    """In float64, first and second order."""
    function = on(device, entry, call)
    assert gradcheck(function, tensors(call))
    assert gradgradcheck(function, tensors(call))


def assert_nothing_is_found(entry: Entry, call: Call) -> None:
    """By the emulator's checker."""
    with checking() as reports:
        on("emulator", entry, call)(*tensors(call, np.float32))
    found = [str(f) for _, report in reports for f in report.findings]
    assert found == [], found
