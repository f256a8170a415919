"""A GPU as a device of tensors: CuPy allocates, compiles and launches; our kernels compute."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from math import prod
from typing import Any

import numpy as np

from minigan.core.errors import DeviceError, KernelError
from minigan.devices.capture import Captured, capturing, refuse_while_capturing
from minigan.devices.launch.elementwise import contiguous
from minigan.devices.launch.kernel import Array, Kernel, kernels_folder
from minigan.devices.launch.signature import Parameter, check_arguments, parse_signature

_SHARED_UNASKED = 48 << 10  # bytes of dynamic shared memory that a kernel gets without asking
# The oldest drivers of a major version of CUDA (CUDA compatibility guide, "minor version compatibility").
_OLDEST_DRIVER = {12: "525", 13: "580"}


class Cuda:
    """Runs kernels on CuPy's arrays, on the current GPU."""

    name = "cuda"

    def __init__(self, cupy: Any):
        self._cupy = cupy
        self.capability = int(cupy.cuda.Device().compute_capability)
        self._modules: dict[tuple[Any, ...], Any] = {}
        self._functions: dict[tuple[Any, ...], Any] = {}

    @property
    def description(self) -> str:
        """The card, and what compiles for it."""
        properties = self._cupy.cuda.runtime.getDeviceProperties(self._cupy.cuda.Device().id)
        runtime = _version(self._cupy.cuda.runtime.runtimeGetVersion())
        return f"{properties['name'].decode()}, CUDA {runtime}, kernels {_digest()}"

    def seconds(self, call: Callable[[], None]) -> float:
        """How long the GPU works on what `call` launches, after it was launched once before."""
        call()
        begin, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        begin.record()
        call()
        end.record()
        end.synchronize()
        return self._cupy.cuda.get_elapsed_time(begin, end) / 1e3

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """New memory, whose values are whatever is there; raises DeviceError where none is left."""
        dtype = np.dtype(dtype)
        return self._allocated(
            lambda: self._cupy.empty(tuple(shape), dtype), prod(shape) * dtype.itemsize
        )

    def from_host(self, array: np.ndarray) -> Array:
        """A copy of a NumPy array in the GPU's memory."""
        refuse_while_capturing("brings values from the host")
        whole = np.ascontiguousarray(array).reshape(array.shape)
        return self._allocated(lambda: self._cupy.asarray(whole), whole.nbytes)

    def to_host(self, array: Array) -> np.ndarray:
        """A copy as a NumPy array; waits until it is computed."""
        refuse_while_capturing("reads values")
        return np.asarray(self._cupy.asnumpy(contiguous(self, array)))

    def capture(self, step: Callable[[], Any]) -> Captured:
        """Record the launches of `step` in a CUDA graph, whose memory nobody else gets."""
        runtime = self._cupy.cuda
        pool, stream = runtime.MemoryPool(), runtime.Stream(non_blocking=True)
        runtime.Device().synchronize()  # what the step reads is complete
        self._cupy.get_default_memory_pool().free_all_blocks()  # what the pool will need anew
        with runtime.using_allocator(pool.malloc), stream, capturing():
            stream.begin_capture()
            try:
                results = step()
            except BaseException:
                with suppress(Exception):  # the step's own error is what counts
                    stream.end_capture()
                raise
            graph = stream.end_capture()
        return Captured(results, _Replay(graph, step, results, pool))

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
        """Launch a kernel on the current stream, compiled when it is first used."""
        parameters = parse_signature(signature)
        check_arguments(kernel.symbol, parameters, args)
        function = self._function(kernel, macros)
        if shared > _SHARED_UNASKED:
            function.max_dynamic_shared_size_bytes = shared
        values = tuple(_as_passed(p, a) for p, a in zip(parameters, args, strict=True))
        function(tuple(map(int, grid)), tuple(map(int, block)), values, shared_mem=shared)

    def _function(self, kernel: Kernel, macros: Mapping[str, str]) -> Any:
        """The compiled kernel, looked up once."""
        key = (self._cupy.cuda.Device().id, kernel.file, kernel.symbol, *macros.items())
        function = self._functions.get(key)
        if function is None:
            module = self._module(kernel.file, macros)
            function = self._functions[key] = module.get_function(kernel.symbol)
        return function

    def _module(self, file: str, macros: Mapping[str, str]) -> Any:
        """The file compiled with these macros, for the current GPU, once."""
        key = (self._cupy.cuda.Device().id, file, *macros.items())
        module = self._modules.get(key)
        if module is None:
            folder = kernels_folder()
            options = (
                "--std=c++17",
                f"-I{folder}",
                # CuPy keeps what it has compiled by source and options; this stands for the headers.
                f"-DMINIGAN_SOURCES={_digest()}",
                *(f"-D{name}={value}" for name, value in macros.items()),
            )
            source = (folder / file).read_text()
            module = self._cupy.RawModule(code=source, options=options, backend="nvrtc")
            try:
                module.compile()
            except self._cupy.cuda.compiler.CompileException as error:
                raise KernelError(f"{folder / file} does not compile:\n{error}") from error
            except (ImportError, OSError, RuntimeError) as error:
                raise DeviceError(
                    f"device 'cuda': CuPy finds no compiler ({error}); install it with: pip install "
                    "'minigan[cuda13]' (for a driver of CUDA 12: 'minigan[cuda12]')"
                ) from error
            self._modules[key] = module
        return module

    def _allocated(self, allocate: Callable[[], Array], size: int) -> Array:
        try:
            return allocate()
        except self._cupy.cuda.memory.OutOfMemoryError:
            free, total = self._cupy.cuda.runtime.memGetInfo()
            raise DeviceError(
                f"the GPU has no memory left: {_mib(size)} were asked for, {_mib(free)} of "
                f"{_mib(total)} are free; a smaller batch takes less (--batch), and a picture is "
                "restored in smaller tiles with --tile"
            ) from None


class _Replay:
    """Launches a graph, and keeps alive what it reads and writes: addresses are all that it knows."""

    def __init__(self, graph: Any, step: Callable[[], Any], results: Any, pool: Any):
        self._graph: Any = graph
        self._kept: Any = (step, results)
        self._pool = pool

    def __call__(self) -> None:
        self._graph.launch()

    def __del__(self) -> None:
        self._graph = self._kept = None
        self._pool.free_all_blocks()  # CuPy 14 keeps them for ever otherwise


def _as_passed(parameter: Parameter, value: Any) -> Any:
    """An argument as CuPy passes it on: by its bytes, so a number has to be of the kernel's type."""
    if value is None:
        return np.uintp(0)  # CuPy 13 passes None as another address
    if parameter.pointer or parameter.dtype is None:
        return value
    return parameter.dtype.type(value)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


@cache
def _digest() -> str:
    """What the kernel files and their headers contain, in a few letters."""
    texts = [path.read_bytes() for path in sorted(kernels_folder().glob("*.cu*"))]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]


@cache
def cuda() -> Cuda:
    """The GPU; raises DeviceError with what is missing where there is none."""
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise DeviceError(
            "device 'cuda' needs CuPy, which cannot be imported here; install it with: pip install "
            "'minigan[cuda13]' (for a driver of CUDA 12: 'minigan[cuda12]')"
        ) from error
    _check_driver(cupy)
    return Cuda(cupy)


def _check_driver(cupy: Any) -> None:
    """Raise DeviceError unless the driver is there, is new enough for this CuPy, and shows a GPU."""
    runtime = cupy.cuda.runtime
    driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        raise DeviceError(
            "device 'cuda' needs a GPU by NVIDIA and its driver; this machine has none"
        )
    if driver // 1000 < built_for // 1000:
        major = built_for // 1000
        needed = _OLDEST_DRIVER.get(major, "a newer one")
        raise DeviceError(
            f"device 'cuda': the driver is for CUDA {_version(driver)}, and this CuPy needs CUDA "
            f"{major}: install driver {needed} or newer, or a CuPy for the driver with: pip install "
            f"'minigan[cuda{driver // 1000}]'"
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise DeviceError(f"device 'cuda' cannot be had: {error}") from error
    if count == 0:
        raise DeviceError("device 'cuda' needs a GPU; the driver shows none")


def _version(number: int) -> str:
    """CUDA's 12040 as 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"
