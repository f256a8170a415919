"""The emulator as a device of tensors: NumPy's arrays, and one of our kernels for every operation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np

from minigan.core.errors import KernelError
from minigan.devices.capture import Captured, capturing, refuse_while_capturing
from minigan.devices.cuda.compile import CAPABILITIES
from minigan.devices.emulator.build import compiler
from minigan.devices.emulator.check import Report
from minigan.devices.emulator.module import Module
from minigan.devices.launch.kernel import Kernel, kernels_folder


class _Mode(threading.local):
    """Whether this thread's launches are checked: then, where their reports go."""

    reports: list[tuple[str, Report]] | None = None
    recorded: list[Callable[[], Any]] | None = None  # while a step is captured: its launches


_mode = _Mode()

_SMALL = 4096  # threads of a launch up to which waking a second processor costs more than it brings


@contextmanager
def checking() -> Iterator[list[tuple[str, Report]]]:
    """Launches inside the block are checked; the list gets (kernel, report) for each."""
    before, _mode.reports = _mode.reports, []
    try:
        yield _mode.reports
    finally:
        _mode.reports = before


class Emulator:
    """Runs kernels on NumPy arrays."""

    name = "emulator"
    capability = CAPABILITIES[-1]  # it models what the newest can do

    description = "emulator"

    def seconds(self, call: Callable[[], None]) -> float:
        """How long a call takes."""
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """New memory, whose values are whatever is there."""
        return np.empty(shape, dtype)

    def from_host(self, array: np.ndarray) -> np.ndarray:
        """A copy, contiguous."""
        refuse_while_capturing("brings values from the host")
        return np.array(array, order="C", copy=True)

    def to_host(self, array: np.ndarray) -> np.ndarray:
        """The array itself."""
        refuse_while_capturing("reads values")
        return array

    def capture(self, step: Callable[[], Any]) -> Captured:
        """Record the launches of `step`, as a CUDA graph would."""
        _mode.recorded = recorded = []
        try:
            with capturing():
                results = step()
        finally:
            _mode.recorded = None

        def replay() -> None:
            for launch in recorded:
                launch()

        return Captured(results, replay)

    def run(
        self,
        kernel: Kernel,
        macros: Mapping[str, str],
        signature: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared: int,
    ) -> None:
        """Launch a kernel, checked inside `checking`."""
        reports = _mode.reports
        module = _module(kernel.file, "fast" if reports is None else "check", tuple(macros.items()))
        function = module[kernel.symbol]
        if function.signature != signature:
            raise KernelError(
                f"{kernel.symbol} in {kernel.file} takes ({function.signature}), and minigan calls it "
                f"with ({signature})"
            )
        threads = int(np.prod(grid)) * int(np.prod(block))
        call = partial(
            function, grid, block, args, shared, threads=1 if threads <= _SMALL else None
        )
        if _mode.recorded is not None:
            _mode.recorded.append(call)
            return
        report = call()
        if reports is not None:
            reports.append((kernel.symbol, report))


@cache
def _module(file: str, mode: str, macros: tuple[tuple[str, str], ...]) -> Module:
    defines = [f"{name}={value}" for name, value in macros]
    return Module(kernels_folder() / file, mode, defines)


@cache
def emulator() -> Emulator:
    """The emulator; raises DeviceError where it cannot be had."""
    compiler()
    return Emulator()
