"""A kernel's parameters, and whether what it is called with fits them.

CuPy passes the raw bytes of a scalar: a Python float where the kernel takes an int arrives as another
number, without a word. Here every argument is checked against the kernel's signature first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, brief

_SCALARS = {
    "b1": ctypes.c_bool,
    "i1": ctypes.c_int8,
    "i2": ctypes.c_int16,
    "i4": ctypes.c_int32,
    "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8,
    "u2": ctypes.c_uint16,
    "u4": ctypes.c_uint32,
    "u8": ctypes.c_uint64,
    "f4": ctypes.c_float,
    "f8": ctypes.c_double,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel.

    code     kind and bytes of a number, as NumPy writes them (f4, i8, b1); s and bytes for a structure
    pointer  whether it is a pointer to such numbers
    written  whether the kernel may write through that pointer (it is not const)
    """

    code: str
    pointer: bool = False
    written: bool = False

    @property
    def dtype(self) -> np.dtype | None:
        """The dtype of the numbers; None for structures, of which only the size is known."""
        if self.code[0] == "s":
            return None
        return np.dtype(bool) if self.code == "b1" else np.dtype(self.code)

    def __str__(self) -> str:
        name = f"structures of {self.code[1:]} bytes" if self.dtype is None else self.dtype.name
        if self.pointer:
            return f"an array of {name}"
        return name if self.dtype is not None else f"a structure of {self.code[1:]} bytes"


@cache
def parse_signature(text: str) -> tuple[Parameter, ...]:
    """Parameters from their codes: "r:f4 w:f4 i4" is (const float*, float*, int)."""
    return tuple(_parse(code) for code in text.split())


def _parse(code: str) -> Parameter:
    access, colon, number = code.rpartition(":")
    return Parameter(number, bool(colon), access == "w")


def check_arguments(kernel: str, parameters: Sequence[Parameter], args: Sequence[Any]) -> None:
    """Raise ArgumentError, naming the kernel and the argument, for the first one that does not fit."""
    if len(args) != len(parameters):
        raise ArgumentError(f"{kernel}: got {len(args)} arguments; it needs {len(parameters)}")
    for number, (parameter, value) in enumerate(zip(parameters, args, strict=True)):
        problem = (
            _array_problem(parameter, value)
            if parameter.pointer
            else _scalar_problem(parameter, value)
        )
        if problem:
            raise ArgumentError(f"{kernel}: argument {number} {problem}; it needs {parameter}")


def _array_problem(parameter: Parameter, value: Any) -> str | None:
    if value is None:  # a null pointer
        return None
    if not (hasattr(value, "dtype") and hasattr(value, "flags")):
        return f"is {brief(value)}"
    if parameter.dtype is not None and value.dtype != parameter.dtype:
        return f"is an array of {value.dtype}"
    if not value.flags.c_contiguous:
        return f"of shape {value.shape} and strides {value.strides} is not contiguous"
    if parameter.written and isinstance(value, np.ndarray) and not value.flags.writeable:
        return "is a read-only array that the kernel writes to"
    return None


def _scalar_problem(parameter: Parameter, value: Any) -> str | None:
    if parameter.dtype is None:
        fits = isinstance(value, np.ndarray) and value.nbytes == int(parameter.code[1:])
        return None if fits else f"is {brief(value)}"
    number = value.item() if isinstance(value, np.generic) else value
    if parameter.code[0] == "f":
        return None if isinstance(number, float | int) else f"is {brief(value)}"
    if not isinstance(number, int):
        return f"is {brief(value)}"
    least, most = _range(parameter.code)
    return None if least <= number <= most else f"is {number}, outside {least} to {most}"


def _range(code: str) -> tuple[int, int]:
    if code == "b1":
        return 0, 1
    info = np.iinfo(code)
    return int(info.min), int(info.max)


def by_value(parameter: Parameter, value: Any) -> Any:
    """A checked number or structure (a NumPy array of its size) in the bytes that the kernel takes."""
    if parameter.dtype is None:
        return (ctypes.c_char * value.nbytes).from_buffer_copy(value.tobytes())
    return _SCALARS[parameter.code](value.item() if isinstance(value, np.generic) else value)
