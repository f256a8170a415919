"""Where arrays live and operations run: the CPU, through NumPy; the emulator, through CUDA kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigan.core.errors import DeviceError

if TYPE_CHECKING:
    from minigan.devices.launch.kernel import Device

Array = np.ndarray  # what every device computes on

NAMES = ("cpu", "emulator")


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
    """The device that runs our kernels under this name."""
    from minigan.devices.emulator.device import emulator

    return emulator()


def moved(array: Array, source: str, target: str) -> Array:
    """A copy of an array of device `source` as an array of device `target`."""
    return np.array(array, order="C", copy=True)  # the emulator's arrays are NumPy's


def write(target: Array, name: str, array: Array) -> None:
    """Write an array of device `name`, which broadcasts to `target`'s shape, into `target` there."""
    if name == "cpu":
        np.copyto(target, array, casting="same_kind")
        return
    from minigan.devices.launch.elementwise import assign

    assign(device(name), target, np.broadcast_to(array, target.shape))
