"""A kernel by name, and how a device is asked to run it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minigan.core.errors import ArgumentError
from minigan.devices.capture import Captured

Array = Any  # numpy.ndarray or cupy.ndarray

# What the macro REAL stands for, by dtype.
C_TYPES = {
    "float32": "float",
    "float64": "double",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
    "bool": "bool",
}
REAL_TYPES = ("float32", "float64")

THREADS = 256  # in a block, where nothing speaks for another number


@dataclass(frozen=True)
class Kernel:
    """A kernel in `kernels/`.

    file       the file's name
    symbol     the function's name
    signature  its parameters, as minigan.devices.launch.signature writes them, with R for the type REAL
    types      the dtypes it can be compiled for
    """

    file: str
    symbol: str
    signature: str
    types: Sequence[str] = REAL_TYPES


@dataclass(frozen=True)
class Launch:
    """One launch, as `launches` records it."""

    device: str
    file: str
    symbol: str
    grid: tuple[int, ...]
    block: tuple[int, ...]


class Device(Protocol):
    """What runs kernels: CuPy on a GPU, or the emulator."""

    name: str
    capability: int  # compute capability, as in 80

    @property
    def description(self) -> str:
        """What measurements on it depend on."""
        ...

    def seconds(self, call: Callable[[], None]) -> float:
        """How long the device works on what `call` launches."""
        ...

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """New memory, whose values are whatever is there."""
        ...

    def from_host(self, array: np.ndarray) -> Array:
        """A copy of a NumPy array, contiguous, in the device's memory."""
        ...

    def to_host(self, array: Array) -> np.ndarray:
        """An array of the device as NumPy's."""
        ...

    def capture(self, step: Callable[[], Any]) -> Captured:
        """Record the launches of `step`, which computes nothing meanwhile."""
        ...

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
        """Launch a kernel compiled with these macros; its arguments have been made to fit."""
        ...


class _Observed(threading.local):
    """What this thread observes of its launches."""

    launches: list[Launch] | None = None


_observed = _Observed()


@contextmanager
def launches() -> Iterator[list[Launch]]:
    """A list that is filled with the launches of this thread inside the block."""
    before, _observed.launches = _observed.launches, []
    try:
        yield _observed.launches
    finally:
        _observed.launches = before


def launch(
    device: Device,
    kernel: Kernel,
    dtype: np.dtype,
    grid: Sequence[int],
    args: Sequence[Any],
    block: Sequence[int] = (THREADS,),
    shared: int = 0,
    macros: Mapping[str, str] | None = None,
) -> None:
    """Run `kernel` for numbers of `dtype`; raises ArgumentError for a dtype it cannot be compiled for."""
    if dtype.name not in kernel.types:
        raise ArgumentError(
            f"{kernel.symbol}: there is no kernel for {dtype.name} on device {device.name!r}; "
            f"it needs {', '.join(kernel.types)}"
        )
    real = dtype.str[1:]
    signature = kernel.signature.replace("R", "b1" if real == "?" else real)
    macros = {"REAL": C_TYPES[dtype.name], **(macros or {})}
    device.run(kernel, macros, signature, grid, block, args, shared)
    if _observed.launches is not None:
        record = Launch(device.name, kernel.file, kernel.symbol, tuple(grid), tuple(block))
        _observed.launches.append(record)


def blocks_for(count: int, threads: int = THREADS, most: int = 65535) -> tuple[int]:
    """A grid with a thread for each of `count` elements, up to `most` blocks."""
    return (max(1, min(most, -(-count // threads))),)


def kernels_folder() -> Path:
    """Where the .cu files are: $MINIGAN_KERNELS, the installed package, or beside it in a checkout."""
    chosen = os.environ.get("MINIGAN_KERNELS")
    if chosen:
        return Path(chosen)
    package = Path(str(resources.files("minigan")))
    installed = package / "kernels"
    return installed if installed.is_dir() else package.parent / "kernels"
