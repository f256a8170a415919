"""One operation on the emulator, on plain arrays: under the checker, or with its threads in any order."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.core.op import REGISTRY
from minigan.devices.emulator.device import Emulator, checking
from minigan.devices.emulator.module import Module
from minigan.devices.launch.kernel import kernels_folder
from minigan.ops.on_device import KERNELS


def run(name: str, *arrays: np.ndarray, **settings: Any) -> list[np.ndarray]:
    """The results of an operation (one, and its auxiliary ones), in which the checker finds nothing."""
    with checking() as reports:
        results = _results(Emulator(), name, arrays, settings)
    assert [str(f) for _, report in reports for f in report.findings] == []
    return results


def assert_same_bits_in_every_order(name: str, *arrays: np.ndarray, **settings: Any) -> None:
    """Whichever thread comes first, on one processor or several, in many blocks or in one."""
    devices = [Ordered("reverse"), Ordered("random"), Ordered(threads=4), OneBlock()]
    first = _results(Ordered(), name, arrays, settings)
    for device in devices:
        for a, b in zip(first, _results(device, name, arrays, settings), strict=True):
            assert a.tobytes() == b.tobytes()
    with checking() as reports:
        _results(OneBlock(), name, arrays, settings)
    assert [str(f) for _, report in reports for f in report.findings] == []


class Ordered(Emulator):
    """The emulator, with blocks, warps and lanes taking turns in an order."""

    def __init__(self, order: str = "forward", threads: int = 1):
        self.order, self.threads = order, threads

    def run(self, kernel, macros, signature, grid, block, args, shared):
        module = _module(kernel.file, tuple(macros.items()))
        module[kernel.symbol](
            grid, block, args, shared, threads=self.threads, order=self.order, seed=1
        )


class OneBlock(Emulator):
    """The emulator, with one block that does the work of all: kernels for any grid take this one too."""

    def run(self, kernel, macros, signature, grid, block, args, shared):
        super().run(kernel, macros, signature, (1,), block, args, shared)


@cache
def _module(file: str, macros: tuple[tuple[str, str], ...]) -> Module:
    return Module(kernels_folder() / file, "fast", [f"{name}={value}" for name, value in macros])


def _results(
    device: Emulator, name: str, arrays: tuple[np.ndarray, ...], settings: dict[str, Any]
) -> list[np.ndarray]:
    op = REGISTRY[name]
    bound, settings = op._bind(arrays, settings)
    if op._check is not None:
        settings |= op._check(*bound, **settings) or {}
    result = KERNELS[name](device, *bound, **settings)
    return list(result) if op.aux else [result]
