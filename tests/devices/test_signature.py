"""Arguments against a kernel's signature: what fits, and what is refused and how."""

import ctypes

import numpy as np
import pytest

from minigan.core.errors import ArgumentError
from minigan.devices.launch.signature import (
    Parameter,
    by_value,
    check_arguments,
    parse_signature,
)

READ, WRITE, INT, FLOAT = parse_signature("r:f4 w:f4 i4 f4")
FLOATS = np.zeros(4, np.float32)


def test_a_signature_is_parsed():
    assert Parameter("f4", pointer=True, written=False) == READ
    assert Parameter("f4", pointer=True, written=True) == WRITE
    assert Parameter("i4") == INT
    assert FLOAT.dtype == np.float32
    assert [p.dtype for p in parse_signature("b1 u8 s12")] == [np.dtype(bool), np.dtype("u8"), None]


@pytest.mark.parametrize(
    ("code", "value", "bytes_"),
    [
        ("i4", 3, (3).to_bytes(4, "little")),
        ("i4", np.int64(-1), b"\xff" * 4),
        ("u8", 2**64 - 1, b"\xff" * 8),
        ("f4", 1, np.float32(1).tobytes()),
        ("f8", np.float32(0.5), np.float64(0.5).tobytes()),
        ("b1", True, b"\x01"),
        ("s8", np.array([1, 2], np.int32), np.array([1, 2], np.int32).tobytes()),
    ],
)
def test_numbers_and_structures_arrive_as_the_kernel_takes_them(code, value, bytes_):
    (parameter,) = parse_signature(code)
    check_arguments("k", [parameter], [value])
    assert (
        ctypes.string_at(ctypes.addressof(made := by_value(parameter, value)), len(bytes_))
        == bytes_
    )
    assert ctypes.sizeof(made) == len(bytes_)


@pytest.mark.parametrize(
    ("code", "value"),
    [("r:f4", FLOATS), ("w:f4", FLOATS), ("r:f4", None), ("r:s4", FLOATS), ("w:b1", FLOATS > 0)],
)
def test_arrays_that_fit(code, value):
    check_arguments("k", parse_signature(code), [value])


def read_only():
    array = FLOATS.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("code", "value", "message"),
    [
        ("i4", 0.5, "argument 0 is 0.5; it needs int32"),
        ("i4", np.float32(2), "argument 0 is .*; it needs int32"),
        ("i4", 2**31, "argument 0 is 2147483648, outside -2147483648 to 2147483647"),
        ("u4", -1, "argument 0 is -1, outside 0 to 4294967295"),
        ("i4", FLOATS, "argument 0 is .*; it needs int32"),
        ("f4", "1", "argument 0 is '1'; it needs float32"),
        ("f4", None, "argument 0 is None; it needs float32"),
        ("s12", FLOATS, r"argument 0 is .*; it needs a structure of 12 bytes"),
        ("s12", 3, "argument 0 is 3; it needs a structure of 12 bytes"),
        ("r:f4", 3, "argument 0 is 3; it needs an array of float32"),
        ("r:f4", [1.0], r"argument 0 is \[1.0\]; it needs an array of float32"),
        ("r:f4", np.zeros(4), "argument 0 is an array of float64; it needs an array of float32"),
        ("r:f4", FLOATS[::2], r"strides \(8,\) is not contiguous"),
        ("w:f4", read_only(), "argument 0 is a read-only array that the kernel writes to"),
    ],
)
def test_what_does_not_fit_is_refused_by_number(code, value, message):
    with pytest.raises(ArgumentError, match=f"^k: .*{message}") as caught:
        check_arguments("k", parse_signature(code), [value])
    assert "\n" not in str(caught.value)


def test_the_number_of_arguments_has_to_agree():
    with pytest.raises(ArgumentError, match="k: got 1 arguments; it needs 2"):
        check_arguments("k", [READ, INT], [FLOATS])


def test_an_array_that_is_only_read_may_be_read_only():
    check_arguments("k", [READ], [read_only()])
