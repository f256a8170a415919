"""What the checker found in a launch, in terms of the source: faults, and the cost of memory accesses."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from minigan.devices.emulator.build import Library

SPACES = {"global": 0, "constant": 1, "shared": 2}


@dataclass(frozen=True)
class Finding:
    """A fault of a kernel.

    kind     out-of-bounds, misaligned, const-write, uninitialised, shared-race, global-race,
             barrier-divergence, warp-divergence, async-copy, stopped
    file     where it happens, and on which line; of a race, the later of the two accesses
    message  what happens
    other    the place of the other access of a race, as "file:line"
    block    blockIdx of its first occurrence
    thread   threadIdx of that
    count    how often it happened
    """

    kind: str
    file: str
    line: int
    message: str
    other: str = ""
    block: tuple[int, int, int] = (0, 0, 0)
    thread: tuple[int, int, int] = (0, 0, 0)
    count: int = 1

    def __str__(self) -> str:
        other = f" (the other: {self.other})" if self.other else ""
        return (
            f"{self.file}:{self.line}: {self.kind}: {self.message}{other}; "
            f"block {self.block}, thread {self.thread}"
            + (f", {self.count} times in all" if self.count > 1 else "")
        )


@dataclass(frozen=True)
class Traffic:
    """What the accesses of one source line to one kind of memory cost.

    memory    global or shared
    access    load or store
    bytes     per lane
    requests  of warps
    units     sectors of 32 bytes moved; for shared memory, turns at the busiest bank
    ideal     the same, if the lanes' addresses lay as well as they could
    """

    file: str
    line: int
    memory: str
    access: str
    bytes: int
    requests: int
    units: int
    ideal: int

    @property
    def ratio(self) -> float:
        """How many times the ideal it costs; 1 is best."""
        return self.units / self.ideal


@dataclass(frozen=True)
class Report:
    """What became of one checked launch."""

    seconds: float
    findings: list[Finding] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)


# ---------------------------------------------------------------- memory that the kernel may use


@dataclass(frozen=True)
class Symbol:
    """A variable in a library: where it lies from its beginning, its size in bytes, its name."""

    offset: int
    size: int
    name: str
    constant: bool


@cache
def _symbol_table(path: Path) -> list[tuple[int, int, str, str]]:
    """(offset, size, kind, symbol) for all that a library defines and that has a size; kinds as nm's."""
    command = ["nm", "--print-size", "--defined-only", str(path)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [(int(r[0], 16), int(r[1], 16), r[2], r[3]) for r in rows if len(r) == 4]


def offset_of(path: Path, symbol: str) -> int:
    """How far behind the beginning of the library a symbol lies."""
    return next(offset for offset, _, _, name in _symbol_table(path) if name == symbol)


@cache
def symbols(path: Path) -> dict[str, Symbol]:
    """All variables of a library by their symbol."""
    rows = [row for row in _symbol_table(path) if row[2] in "bBdDrRuVv"]
    names = "\n".join(row[3] for row in rows)
    plain = subprocess.run(
        ["c++filt"], input=names, capture_output=True, text=True, check=True
    ).stdout
    return {
        symbol: Symbol(offset, size, name.rpartition("::")[2], kind in "rR")
        for (offset, size, kind, symbol), name in zip(rows, plain.splitlines(), strict=True)
    }


def module_regions(library: Library, base: int) -> list[tuple[int, int, str, str]]:
    """(address, size, space, name) of the variables of a library loaded at `base`."""
    regions = []
    for symbol, variable in symbols(library.path).items():
        size = library.shared.get(symbol, variable.size)
        space = (
            "shared" if symbol in library.shared else "constant" if variable.constant else "global"
        )
        regions.append((base + variable.offset, size, space, variable.name))
    return regions


@dataclass(frozen=True)
class Argument:
    """An array that is passed to a kernel, as its so-manieth argument, and whether it may be written."""

    array: np.ndarray
    number: int
    written: bool


class PaddedArrays:
    """Copies of the arguments with room around them, in which strays do no harm; written back afterwards.

    Arrays that overlap are copied as one, so that they overlap as before.
    """

    PADDING = 64 << 10

    def __init__(self, arguments: Sequence[Argument]):
        self._spans: list[_Span] = []
        for argument in sorted(arguments, key=lambda a: a.array.ctypes.data):
            begin = argument.array.ctypes.data
            end = begin + argument.array.nbytes
            if self._spans and begin < self._spans[-1].end:
                last = self._spans[-1]
                last.end = max(last.end, end)
                last.arguments.append(argument)
            else:
                self._spans.append(_Span(begin, end, [argument]))
        for span in self._spans:
            span.copy = self._padded(span.begin, span.end, _owner_address(span.arguments[0].array))

    def _padded(self, begin: int, end: int, owner: int) -> np.ndarray:
        room = np.full(end - begin + 2 * self.PADDING + 256, 0xFF, np.uint8)  # as floats: NaN
        # A GPU's allocations begin at multiples of 256; a view of part of one begins where it does.
        start = self.PADDING + (begin - owner - room.ctypes.data - self.PADDING) % 256
        copy = room[start : start + end - begin]
        ctypes.memmove(copy.ctypes.data, begin, end - begin)
        return copy

    def address(self, array: np.ndarray) -> int:
        """Where the copy of `array` lies."""
        data = array.ctypes.data
        for span in self._spans:
            if span.begin <= data < max(span.end, span.begin + 1):
                return span.copy.ctypes.data + data - span.begin
        raise AssertionError("an array that was not given")

    def regions(self) -> Iterator[tuple[int, int, str, str]]:
        """(address, size, space, name) of all copies; const where no argument in it may be written."""
        for span in self._spans:
            numbers = " and ".join(
                str(a.number) for a in sorted(span.arguments, key=lambda a: a.number)
            )
            name = f"argument{'s' if len(span.arguments) > 1 else ''} {numbers}"
            space = "global" if span.written else "constant"
            yield span.copy.ctypes.data, span.copy.nbytes, space, name

    def write_back(self) -> None:
        """Bring what the kernel wrote to the arrays themselves."""
        for span in self._spans:
            if span.written:
                ctypes.memmove(span.begin, span.copy.ctypes.data, span.copy.nbytes)


@dataclass
class _Span:
    """A stretch of memory that one array takes up, or several that overlap."""

    begin: int
    end: int
    arguments: list[Argument]
    copy: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    @property
    def written(self) -> bool:
        return any(argument.written for argument in self.arguments)


def _owner_address(array: np.ndarray) -> int:
    """Where the memory begins of which an array is a view."""
    address, base = array.ctypes.data, array.base
    while base is not None:
        if isinstance(base, np.ndarray):
            address = base.ctypes.data
        base = getattr(base, "base", None)  # also through what NumPy's as_strided puts between
    return address


# ---------------------------------------------------------------- from instructions to lines


class Lines:
    """The source line of each instruction of a library loaded at `base`."""

    def __init__(self, path: Path, base: int, pcs: Iterable[int]):
        wanted = sorted({pc for pc in pcs if pc})
        self._places: dict[int, tuple[str, int]] = {}
        if not wanted:
            return
        # The instruction before the address that a call returns to is the call itself.
        offsets = [hex(pc - base - 1) for pc in wanted]
        done = subprocess.run(
            ["addr2line", "--addresses", "--inlines", "--exe", str(path), *offsets],
            capture_output=True,
            text=True,
            check=True,
        )
        frames: dict[int, list[tuple[str, int]]] = {}
        current: list[tuple[str, int]] = []
        for line in done.stdout.splitlines():
            if line.startswith("0x"):
                current = frames.setdefault(int(line, 16) + base + 1, [])
            else:
                current.append(_place(line.partition(" (")[0]))
        for pc, places in frames.items():
            self._places[pc] = next((p for p in places if not _is_ours(p[0])), places[0])

    def __getitem__(self, pc: int) -> tuple[str, int]:
        return self._places.get(pc, ("?", 0))


def _place(text: str) -> tuple[str, int]:
    file, _, line = text.rpartition(":")
    return file, int(line) if line.isdigit() else 0


def _is_ours(file: str) -> bool:
    """Whether a line lies in the emulator's headers: the fault is its caller's."""
    return "/devices/emulator/runtime/" in file


def parse_findings(text: str, lines: Lines) -> list[Finding]:
    """The findings that the runtime lists, with their places in the source."""
    findings = []
    for row in text.splitlines():
        kind, pc, other, place, block, thread, count, message = row.split("\t")
        file, line = _place(place) if place else lines[int(pc)]
        other_file, other_line = lines[int(other)]
        findings.append(
            Finding(
                kind,
                Path(file).name,
                line,
                message,
                f"{Path(other_file).name}:{other_line}" if int(other) else "",
                _three(block),
                _three(thread),
                int(count),
            )
        )
    return findings


def _three(text: str) -> tuple[int, int, int]:
    x, y, z = map(int, text.split(","))
    return x, y, z


class Cost(ctypes.Structure):
    """A row of the runtime's table of costs (traffic.h)."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in ("pc", "shared", "write", "size", "requests", "units", "ideal")
    ]


def sum_by_line(costs: Sequence[Cost], lines: Lines) -> list[Traffic]:
    """Costs of instructions added up by source line, kind of memory, way and width."""
    sums: dict[tuple[str, int, str, str, int], list[int]] = {}
    for cost in costs:
        file, line = lines[cost.pc]
        memory = "shared" if cost.shared else "global"
        key = (Path(file).name, line, memory, "store" if cost.write else "load", cost.size)
        total = sums.setdefault(key, [0, 0, 0])
        for i, value in enumerate((cost.requests, cost.units, cost.ideal)):
            total[i] += value
    return [Traffic(*key, *total) for key, total in sorted(sums.items())]
