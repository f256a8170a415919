"""Where arrays live and operations run: today the CPU, through NumPy."""

from __future__ import annotations

import numpy as np

from minigan.core.errors import DeviceError

Array = np.ndarray  # what every device computes on

NAMES = ("cpu",)


def available(name: str) -> str:
    """`name`, if that device can be had here; otherwise a DeviceError that says which can."""
    if name in NAMES:
        return name
    raise DeviceError(
        f"device {name!r} is not there: this version of minigan computes on {', '.join(NAMES)}"
    )
