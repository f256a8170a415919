"""A stand-in for CuPy where there is no GPU: arrays in NumPy's memory, kernels in the emulator.

It has only what minigan asks of CuPy, and is stricter: whatever would compute (a NumPy function on an
array, an operator, a conversion behind one's back) raises TypeError, because on a GPU minigan's own
kernels have to do it. Scalars have to come with the type of the kernel's parameter, as CuPy passes bytes.
"""

from __future__ import annotations

import math
import sys
import tempfile
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from minigan.core.errors import KernelError
from minigan.devices.emulator.module import Module
from minigan.devices.launch.signature import parse_signature

VIEWS = {np.broadcast_to, np.flip, np.reshape, np.transpose, np.swapaxes}
ABOUT_SHAPES = {np.ndim, np.shape, np.size}


class ndarray:  # noqa: N801 (CuPy's name)
    """An array "of the GPU"."""

    __cuda_array_interface__ = property(lambda self: self._a.__array_interface__)
    shape = property(lambda self: self._a.shape)
    strides = property(lambda self: self._a.strides)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    T = property(lambda self: ndarray(self._a.T))
    data = property(lambda self: SimpleNamespace(ptr=self._a.ctypes.data))
    flags = property(lambda self: SimpleNamespace(c_contiguous=self._a.flags.c_contiguous))

    def __init__(self, array: np.ndarray):
        self._a = array

    def __len__(self):
        return len(self._a)

    def __getitem__(self, index):
        view = self._a[index]
        if isinstance(
            view, np.generic
        ):  # where NumPy gives a number, CuPy gives an array without axes
            view = self._a[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        if not (isinstance(view, np.ndarray) and np.shares_memory(view, self._a)) and view.size:
            raise TypeError(f"indexing by {index} is no view")
        return ndarray(view)

    def reshape(self, *shape):
        view = self._a.reshape(*shape)
        if view.size and not np.shares_memory(view, self._a):
            raise TypeError("this reshape is no view")
        return ndarray(view)

    def view(self):
        return ndarray(self._a.view())

    def transpose(self, *axes):
        return ndarray(self._a.transpose(*axes))

    def swapaxes(self, a, b):
        return ndarray(self._a.swapaxes(a, b))

    def __array__(self, *_args, **_named):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc, *_args, **_named):
        raise TypeError(f"{ufunc.__name__} would be computed by CuPy")

    def __array_function__(self, function, _types, args, named):
        own = [a._a if isinstance(a, ndarray) else a for a in args]
        if function in ABOUT_SHAPES:
            return function(*own, **named)
        if function not in VIEWS:
            raise TypeError(f"{function.__name__} would be computed by CuPy")
        view = function(*own, **named)
        if view.size and not np.shares_memory(view, own[0]):
            raise TypeError(f"{function.__name__} is no view here")
        return ndarray(view)


class CompileException(Exception):  # noqa: N818
    """What the compiler said."""


class OutOfMemoryError(MemoryError):
    """No memory is left."""


class CUDARuntimeError(RuntimeError):
    """What a function of the runtime said."""


class RawModule:
    """A .cu file that runs in the emulator."""

    def __init__(self, code: str, options: tuple[str, ...], backend: str):
        assert backend == "nvrtc"
        folder = Path(tempfile.gettempdir()) / "minigan-standin"
        folder.mkdir(exist_ok=True)
        self._path = folder / f"{abs(hash(code))}.cu"
        self._path.write_text(code)
        self._defines = [o[2:] for o in options if o.startswith("-D") and "SOURCES" not in o]
        self._include = [Path(o[2:]) for o in options if o.startswith("-I")]

    def compile(self):
        try:
            self._module = Module(self._path, "fast", self._defines, include=self._include)
        except KernelError as error:
            raise CompileException(str(error)) from None

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self._module[name])


class RawKernel:
    """A kernel that takes what CuPy's takes."""

    max_dynamic_shared_size_bytes = 48 << 10

    def __init__(self, kernel: Any):
        self._kernel = kernel

    def __call__(self, grid, block, args, *, shared_mem=0):
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        plain = []
        for parameter, value in zip(parse_signature(self._kernel.signature), args, strict=True):
            if parameter.pointer and isinstance(value, ndarray):
                plain.append(value._a)
            elif parameter.pointer:
                assert type(value) is np.uintp  # CuPy 13 and 14 agree on this null pointer only
                assert value == 0
                plain.append(None)
            else:  # by value, as bytes: their number has to be right
                size = np.dtype(parameter.code).itemsize if parameter.dtype else value.nbytes
                assert isinstance(value, np.generic | np.ndarray)
                assert value.nbytes == size
                assert parameter.dtype is None or value.dtype == parameter.dtype
                plain.append(value)
        call = partial(self._kernel, grid, block, shared_mem=shared_mem)
        if Stream.capturing is None:
            call(args=plain)
        else:  # a graph knows addresses, and keeps nothing alive
            Stream.capturing.calls.append((call, [_address(value) for value in plain]))


def _root(array: np.ndarray) -> np.ndarray:
    """The allocation that an array lies in."""
    while array.base is not None:
        array = (
            array.base if isinstance(array.base, np.ndarray) else array.base.base
        )  # as_strided's
    return array


def _address(value: Any) -> Callable[[], Any]:
    """An argument for later: of an array only where it lies, which may have been freed by then."""
    if not isinstance(value, np.ndarray) or value.dtype.names is not None:
        return lambda: value
    root, at = weakref.ref(_root(value)), value.ctypes.data - _root(value).ctypes.data
    shape, dtype, strides = value.shape, value.dtype, value.strides

    def find() -> np.ndarray:
        memory = root()
        if memory is None:
            raise CUDARuntimeError("cudaErrorIllegalAddress: a graph uses freed memory")
        return np.ndarray(shape, dtype, memory, at, strides)

    return find


class Graph:
    """Launches captured, and the memory that was allocated meanwhile: its pool keeps that."""

    def __init__(self):
        self.calls, self.pool = [], []

    def launch(self):
        for call, arguments in self.calls:
            call(args=[find() for find in arguments])


class Stream:
    """A stream, on which launches can be captured."""

    capturing: Graph | None = None

    def __init__(self, non_blocking: bool):
        assert non_blocking  # the legacy stream cannot be captured

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def begin_capture(self):
        Stream.capturing = Graph()

    def end_capture(self):
        graph, Stream.capturing = Stream.capturing, None
        return graph


def make(driver: int = 13000, built_for: int = 13000, gpus: int = 1, memory: int = 2**40):
    """The module `cupy` of a machine with this driver, this many GPUs and this much memory."""
    cupy: Any = ModuleType("cupy")

    def empty(shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > memory:
            raise OutOfMemoryError
        root = np.full(max(size, 1), 0xA5, np.uint8)  # garbage
        if Stream.capturing is not None:
            Stream.capturing.pool.append(root)
        return ndarray(root[:size].view(dtype).reshape(shape))

    def asarray(array):
        if Stream.capturing is not None:
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")
        copy = empty(array.shape, array.dtype)
        copy._a[...] = array
        return copy

    def capture_error():
        raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    cupy.ndarray, cupy.RawModule, cupy.__version__ = ndarray, RawModule, "14.0 (stand-in)"

    def asnumpy(array):
        assert array.flags.c_contiguous  # CuPy would copy it by a kernel of its own
        return array._a.copy()

    cupy.empty, cupy.asarray, cupy.asnumpy = empty, asarray, asnumpy
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)
    cupy.lib = SimpleNamespace(
        stride_tricks=SimpleNamespace(
            as_strided=lambda x, shape, strides: ndarray(
                np.lib.stride_tricks.as_strided(x._a, shape, strides)
            )
        )
    )
    cupy.cuda = SimpleNamespace(
        Device=lambda: SimpleNamespace(id=0, compute_capability="90", synchronize=lambda: None),
        Stream=Stream,
        MemoryPool=lambda: SimpleNamespace(malloc=None, free_all_blocks=lambda: None),
        using_allocator=lambda _allocator: nullcontext(),
        compiler=SimpleNamespace(CompileException=CompileException),
        memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            driverGetVersion=lambda: driver,
            runtimeGetVersion=lambda: built_for,
            getDeviceCount=lambda: gpus if gpus >= 0 else capture_error(),
            memGetInfo=lambda: (memory // 2, memory),
        ),
    )
    return cupy


def install(monkeypatch, **machine: int):
    """Make `import cupy` give the stand-in, and the device be made anew, until the test ends."""
    from minigan.devices.cuda import device

    monkeypatch.setattr(device, "cuda", cache(device.cuda.__wrapped__))
    cupy = make(**machine)
    ndarray.__module__ = "cupy"
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy
