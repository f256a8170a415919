"""Where arrays live and operations run: on the CPU NumPy does, elsewhere our CUDA kernels.

`cpu` is NumPy, `cuda` a GPU through CuPy, `emulator` the same kernels on NumPy's arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.core.errors import DeviceError

if TYPE_CHECKING:
    from minigan.devices.launch.kernel import Device

# What a device computes on, as far as it is NumPy's; a GPU's arrays are CuPy's, which have its methods.
Array = np.ndarray

NAMES = ("cpu", "cuda", "emulator")


def available(name: str) -> str:
    """`name`, if that device can be had here; otherwise a DeviceError that says what is missing."""
    if name not in NAMES:
        raise DeviceError(
            f"device {name!r} is not there: this version of minigan computes on {', '.join(NAMES)}"
        )
    if name != "cpu":
        device(name)
    return name


def device(name: str) -> Device:
    """The device that runs our kernels under this name; raises DeviceError where it cannot be had."""
    if name == "cuda":
        from minigan.devices.cuda.device import cuda

        return cuda()
    from minigan.devices.emulator.device import emulator

    return emulator()


def is_array(value: Any) -> bool:
    """Whether this is an array of one of the devices."""
    return isinstance(value, Array) or hasattr(value, "__cuda_array_interface__")


def moved(array: Any, source: str, target: str) -> Any:
    """A copy of an array of device `source` as an array of device `target`, without gaps.

    It is contiguous, but for a copy on the CPU, whose axes lie in memory in the order of the original's.
    """
    if source == target != "cpu":
        from minigan.devices.launch.elementwise import copied

        return copied(device(source), array)
    on_host = to_host(array, source)
    if target == "cpu":
        return np.array(on_host, order="K", copy=True)
    return device(target).from_host(on_host)


def to_host(array: Any, name: str) -> np.ndarray:
    """An array of device `name` as NumPy's: itself where it is one."""
    return array if name == "cpu" else device(name).to_host(array)


def full(name: str, shape: Sequence[int], value: float, dtype: np.dtype) -> Any:
    """A new array of device `name` that holds one value."""
    if name == "cpu":
        return np.full(shape, value, dtype)
    from minigan.devices.launch.elementwise import filled

    return filled(device(name), shape, value, dtype)


def write(target: Any, name: str, array: Any) -> None:
    """Write an array of device `name`, which broadcasts to `target`'s shape, into `target` there."""
    if name == "cpu":
        np.copyto(target, array, casting="same_kind")
        return
    from minigan.devices.launch.elementwise import assign

    assign(device(name), target, np.broadcast_to(array, target.shape))
