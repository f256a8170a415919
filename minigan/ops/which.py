"""What would run: the kernels of a call and why those were chosen, without running them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan import devices
from minigan.core.errors import ArgumentError, brief
from minigan.core.op import REGISTRY, Op
from minigan.core.tensor import Tensor
from minigan.devices.choice import Choice, choices
from minigan.devices.cpu.conv_choice import CALLS, choose
from minigan.devices.emulator.device import Emulator
from minigan.devices.launch.kernel import Launch, launches
from minigan.ops.on_device import KERNELS


@dataclass(frozen=True)
class Plan:
    """How a call would be computed; `str` tells it in words.

    operation its name
    device    where
    launches  the kernels, in order, with grid and block; none on the CPU, nor for views
    choices   of operations with several variants: which is taken, and why each other one is not
    """

    operation: str
    device: str
    launches: tuple[Launch, ...]
    choices: tuple[Choice, ...]

    def __str__(self) -> str:
        lines = [f"{self.operation} on {self.device}:"]
        if not self.launches:
            lines[0] += " NumPy computes it" if self.device == "cpu" else " no kernel is needed"
        for launch in self.launches:
            lines.append(
                f"  {launch.symbol} of {launch.file}, grid {launch.grid}, block {launch.block}"
            )
        for choice in self.choices:
            lines.append(f"  {choice.operation}: {choice.taken.name} is taken")
            lines += [f"    not {name}: {why}" for name, why in choice.others.items()]
        return "\n".join(lines)


def which_kernel(
    operation: str | Op, *args: Any, device: str | None = None, **settings: Any
) -> Plan:
    """What would run for a call, and why: nothing is computed, and no GPU is needed.

    operation  such as mg.conv2d, or its name
    args       the call's arguments; of tensors only shape, dtype and layout count
    device     where it would run (default: where the tensors are)
    settings   the call's settings
    """
    op = REGISTRY.get(operation) if isinstance(operation, str) else operation
    if not isinstance(op, Op):
        raise ArgumentError(
            f"which_kernel: operation is {brief(operation)}; it needs an operation of minigan, such as "
            "mg.conv2d, or its name"
        )
    tensors = [a for a in args if isinstance(a, Tensor)]
    name = device or (tensors[0].device if tensors else "cpu")
    if name not in devices.NAMES:
        raise ArgumentError(
            f"which_kernel: device is {name!r}; it needs one of {', '.join(devices.NAMES)}"
        )
    arrays = [_skeleton(a) for a in args]
    bound, settings = op._bind(tuple(arrays), settings)
    if op._check is not None:
        settings |= op._check(*bound, **settings) or {}
    if name == "cpu" and op.name in CALLS:
        return Plan(op.name, name, (), (choose(op.name, CALLS[op.name](*bound, **settings)),))
    if name == "cpu" or op.name not in KERNELS:
        return Plan(op.name, name, (), ())
    with launches() as log, choices() as taken:
        KERNELS[op.name](_Rehearsal(name), *bound, **settings)
    return Plan(op.name, name, tuple(log), tuple(taken))


def _skeleton(value: Any) -> Any:
    """A tensor as an array of its shape and strides that costs no memory, an array as itself."""
    if not isinstance(value, Tensor):
        return value if value is None or isinstance(value, float | int) else np.asarray(value)
    array = value._array
    if isinstance(array, devices.Array):
        return array
    extent = sum((n - 1) * abs(s) for n, s in zip(array.shape, array.strides, strict=True))
    memory = np.empty(max(0, extent) + array.itemsize, np.uint8)
    start = sum((n - 1) * -s for n, s in zip(array.shape, array.strides, strict=True) if s < 0)
    return np.ndarray(array.shape, array.dtype, memory, start, array.strides)


class _Rehearsal(Emulator):
    """The emulator, but for running anything: arrays are NumPy's, whatever device is rehearsed."""

    description = ""  # nothing is measured on it

    def __init__(self, name: str):
        self.name = name

    def run(self, *_: Any, **__: Any) -> None:
        """Nothing: `launch` records what would have run."""
