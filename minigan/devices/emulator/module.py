"""Kernels of a .cu file, called on NumPy arrays.

    module = Module("matmul.cu")
    module["matmul"]((16, 16), (16, 16), (a, b, c, n))       # grid, block, arguments

The shape of a call is that of CuPy's RawModule and RawKernel.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, KernelError
from minigan.devices.emulator import check
from minigan.devices.emulator.build import build
from minigan.devices.launch.signature import (
    by_value,
    check_arguments,
    parse_signature,
)

_ORDERS = {"forward": 0, "reverse": 1, "random": 2}
_LIMITS = {
    "block": (1024, 1024, 64),
    "grid": (2**31 - 1, 65535, 65535),
}  # of compute capability 7.5 on
_MOST_THREADS = 1024
_MOST_SHARED = 227 << 10  # bytes a block can have on compute capability 9.0

DEFAULT_SECONDS = 600.0  # after which a launch is taken not to end


class Module:
    """The kernels of a CUDA source file, compiled for the CPU.

    path       the .cu file
    mode       "fast", on all processors; or "check", which looks at every access to memory
    defines    macros, as in "TILE=32"
    instances  templates to instantiate, as in "gemm<64, 64>"; each becomes a kernel of that name
    include    further folders with headers; the file's own is always looked into
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "fast",
        defines: Sequence[str] = (),
        instances: Sequence[str] = (),
        include: Sequence[str | os.PathLike[str]] = (),
    ):
        self.path = Path(path).resolve()
        self.mode = mode
        self.library = build(
            self.path, mode, defines, instances, [Path(i).resolve() for i in include]
        )
        self.loaded = ctypes.CDLL(str(self.library.path))
        self.runtime = _runtime(self.library.runtime)
        self._kernels: dict[str, Kernel] = {}

    @property
    def kernels(self) -> tuple[str, ...]:
        """The names of what can be launched."""
        return self.library.kernels

    def __getitem__(self, name: str) -> Kernel:
        if name not in self.kernels:
            raise ArgumentError(
                f"{self.path.name} has no kernel {name!r}; it has {', '.join(self.kernels) or 'none'}"
            )
        if name not in self._kernels:
            self._kernels[name] = Kernel(self, name)
        return self._kernels[name]


class Kernel:
    """One kernel of a module; call it to launch it."""

    def __init__(self, module: Module, name: str):
        self.module = module
        self.name = name
        number = module.kernels.index(name)
        signature = getattr(module.loaded, f"emulator_signature_{number}")
        signature.restype = ctypes.c_char_p
        self.signature = signature().decode().strip()
        self.parameters = parse_signature(self.signature)
        self._run = ctypes.cast(getattr(module.loaded, f"emulator_run_{number}"), ctypes.c_void_p)

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        shared_mem: int = 0,
        *,
        threads: int | None = None,
        order: str = "forward",
        seed: int = 0,
        seconds: float = DEFAULT_SECONDS,
        steps: int = 0,
    ) -> check.Report:
        """Launch the kernel and wait until it is done.

        grid, block  up to three sizes each
        args         contiguous NumPy arrays, None for a null pointer, numbers
        shared_mem   bytes of dynamic shared memory
        threads      of the host; all processors by default, one when checking
        order        in which blocks, warps and lanes take turns: forward, reverse or random (by `seed`)
        seconds      after which the launch is stopped
        steps        accesses to memory after which a checked launch is stopped; 0 for no limit

        Raises ArgumentError for what does not fit the kernel, and KernelError for one that faults or does
        not end; a checked launch reports that as a finding instead.
        """
        check_arguments(self.name, self.parameters, args)
        if order not in _ORDERS:
            raise ArgumentError(f"{self.name}: order is {order!r}; it needs {', '.join(_ORDERS)}")
        _check_shared(self.name, shared_mem)
        checked = self.module.mode == "check"
        job = _Job(
            self._run,
            _sizes(self.name, "grid", grid),
            _sizes(self.name, "block", block),
            shared_mem,
            1 if checked else threads or _processors(),
            _ORDERS[order],
            seed,
            seconds,
        )
        if checked:
            return self._checked(job, args, steps)
        with self.module.runtime.lock:
            start = time.perf_counter()
            failure = self.module.runtime.run(job, self._values(args))
            taken = time.perf_counter() - start
        if failure:
            raise KernelError(f"{self.name}: {failure}")
        return check.Report(taken)

    def _values(self, args: Sequence[Any], padded: check.PaddedArrays | None = None) -> list[Any]:
        """The arguments as C has them."""
        values = []
        for parameter, value in zip(self.parameters, args, strict=True):
            if not parameter.pointer:
                values.append(by_value(parameter, value))
            elif value is None:
                values.append(ctypes.c_void_p())
            else:
                values.append(
                    ctypes.c_void_p(padded.address(value) if padded else value.ctypes.data)
                )
        return values

    def _checked(self, job: _Job, args: Sequence[Any], steps: int) -> check.Report:
        module, runtime = self.module, self.module.runtime
        padded = check.PaddedArrays(
            [
                check.Argument(value, number, parameter.written)
                for number, (parameter, value) in enumerate(zip(self.parameters, args, strict=True))
                if parameter.pointer and value is not None
            ]
        )
        base = _base_address(module)
        with runtime.lock:
            runtime.begin_check(steps)
            for region in check.module_regions(module.library, base):
                runtime.add_region(*region)
            for region in padded.regions():
                runtime.add_region(*region)
            start = time.perf_counter()
            failure = runtime.run(job, self._values(args, padded))
            taken = time.perf_counter() - start
            text, costs = runtime.findings(), runtime.costs()
        padded.write_back()
        pcs = [int(pc) for row in text.splitlines() for pc in row.split("\t")[1:3]]
        lines = check.Lines(module.library.path, base, [*pcs, *(c.pc for c in costs)])
        found = check.parse_findings(text, lines)
        if failure:
            found.append(check.Finding("stopped", module.path.name, 0, failure))
        return check.Report(taken, found, check.sum_by_line(costs, lines))


@dataclass(frozen=True)
class _Job:
    """A launch as the runtime takes it."""

    run: ctypes.c_void_p
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int
    threads: int
    order: int
    seed: int
    seconds: float


class _Runtime:
    """The library that runs and checks launches, one at a time: hold `lock` meanwhile."""

    def __init__(self, path: Path):
        self.lock = threading.Lock()
        self._library = library = ctypes.CDLL(str(path))
        library.emulator_failure.restype = ctypes.c_char_p
        sizes = ctypes.POINTER(ctypes.c_uint)
        library.emulator_start.argtypes = [
            *(ctypes.c_void_p, ctypes.c_void_p, sizes, sizes, ctypes.c_size_t),
            *(ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
        ]
        if hasattr(library, "emulator_check_begin"):
            library.emulator_check_findings.restype = ctypes.c_char_p
            library.emulator_check_costs.restype = ctypes.c_size_t
            library.emulator_check_begin.argtypes = [ctypes.c_uint64]
            region = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
            library.emulator_check_region.argtypes = region

    def run(self, job: _Job, values: Sequence[Any]) -> str:
        """Run to the end; gives an empty text, or what went wrong."""
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        grid, block = (ctypes.c_uint * 3)(*job.grid), (ctypes.c_uint * 3)(*job.block)
        self._library.emulator_start(
            job.run, pointers, grid, block, job.shared, job.threads, job.order, job.seed, 0
        )
        try:
            deadline = time.monotonic() + job.seconds
            while not self._library.emulator_wait(100):
                if time.monotonic() > deadline:
                    self._library.emulator_stop(f"stopped after {job.seconds:g} seconds".encode())
        except BaseException:  # Ctrl-C: the arrays must not go while a kernel writes to them
            self._library.emulator_stop(b"interrupted")
            raise
        return self._library.emulator_failure().decode()

    def begin_check(self, steps: int) -> None:
        """Forget the launch before."""
        self._library.emulator_check_begin(steps)

    def add_region(self, address: int, size: int, space: str, name: str) -> None:
        """Let the kernel use these bytes."""
        self._library.emulator_check_region(address, size, check.SPACES[space], name.encode())

    def findings(self) -> str:
        """A line for each finding (findings.h)."""
        return self._library.emulator_check_findings().decode()

    def costs(self) -> list[check.Cost]:
        """A row for each instruction that accessed memory."""
        table = ctypes.POINTER(check.Cost)()
        count = self._library.emulator_check_costs(ctypes.byref(table))
        return [check.Cost.from_buffer_copy(table[i]) for i in range(count)]


@cache
def _runtime(path: Path) -> _Runtime:
    return _Runtime(path)


def _base_address(module: Module) -> int:
    """Where the module's library begins in memory."""
    symbol = "emulator_signature_0"
    address = ctypes.cast(getattr(module.loaded, symbol), ctypes.c_void_p).value
    assert address is not None
    return address - check.offset_of(module.library.path, symbol)


def _sizes(kernel: str, name: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """Three sizes, each within what a GPU takes."""
    full = (*sizes, 1, 1)[:3]
    limits = _LIMITS[name]
    fits = 1 <= len(sizes) <= 3 and all(
        isinstance(n, int | np.integer) and 1 <= n <= most
        for n, most in zip(full, limits, strict=True)
    )
    if not fits:
        raise ArgumentError(
            f"{kernel}: {name} is {tuple(sizes)}; it needs up to three numbers from 1 to {limits}"
        )
    if name == "block" and int(np.prod(full)) > _MOST_THREADS:
        raise ArgumentError(
            f"{kernel}: block is {tuple(sizes)}, {int(np.prod(full))} threads; "
            f"it needs at most {_MOST_THREADS}"
        )
    return tuple(int(n) for n in full)


def _check_shared(kernel: str, size: int) -> None:
    if not 0 <= size <= _MOST_SHARED:
        raise ArgumentError(f"{kernel}: shared_mem is {size}; it needs 0 to {_MOST_SHARED} bytes")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
