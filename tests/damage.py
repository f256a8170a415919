"""Damaged versions of a file that minigan saved: what disks, programs and people do to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.serialize import FORMAT

DEEP = "[" * 100_000 + "]" * 100_000
Header = dict[str, Any]
Mutation = Callable[[bytes, np.random.Generator], bytes]


def taken_apart(content: bytes) -> tuple[Header, bytes]:
    """safetensors: 8 bytes that give the length of a JSON header, the header, the data."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def put_together(header: Header | str | bytes, data: bytes) -> bytes:
    text = header if isinstance(header, str | bytes) else json.dumps(header)
    raw = text if isinstance(text, bytes) else text.encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + data


# ---------------------------------------------------------------------- bytes


def flipped(content: bytes, rng: np.random.Generator, start: int, end: int) -> bytes:
    damaged = bytearray(content)
    damaged[int(rng.integers(start, end))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _data(content: bytes) -> int:
    return 8 + int.from_bytes(content[:8], "little")


def _overwritten(content: bytes, rng: np.random.Generator) -> bytes:
    """A block of 512 bytes that a disk lost."""
    start = int(rng.integers(len(content)))
    return content[:start] + bytes(len(content[start : start + 512])) + content[start + 512 :]


BYTES: dict[str, Mutation] = {
    "a bit of the length": lambda c, rng: flipped(c, rng, 0, 8),
    "a bit of the header": lambda c, rng: flipped(c, rng, 8, _data(c)),
    "a bit of a tensor": lambda c, rng: flipped(c, rng, _data(c), len(c)),
    "cut short": lambda c, rng: c[: int(rng.integers(len(c)))],
    "cut by a byte": lambda c, rng: c[:-1],
    "grown": lambda c, rng: c + rng.bytes(int(rng.integers(1, 100))),
    "twice": lambda c, rng: c + c,
    "a block of zeros": _overwritten,
    "bytes left out": lambda c, rng: c[: (at := int(rng.integers(len(c) - 8)))] + c[at + 4 :],
}

# ---------------------------------------------------------------------- the header


def _names(header: Header, rng: np.random.Generator) -> list[str]:
    """The names of the tensors, in a random order."""
    return [str(n) for n in rng.permutation([n for n in header if n != "__metadata__"])]


def _alike(header: Header, rng: np.random.Generator) -> tuple[str, str]:
    """Two tensors of one shape and type."""
    names = _names(header, rng)
    return next(
        (a, b)
        for a in names
        for b in names
        if a != b and all(header[a][k] == header[b][k] for k in ("shape", "dtype"))
    )


def in_header(change: Callable[[Header, np.random.Generator], Any]) -> Mutation:
    """Change the header, and keep the data."""

    def mutation(content: bytes, rng: np.random.Generator) -> bytes:
        header, data = taken_apart(content)
        return put_together(change(header, rng) or header, data)

    return mutation


def _exchanged(header: Header, rng: np.random.Generator) -> None:
    a, b = _alike(header, rng)
    header[a], header[b] = header[b], header[a]


def _renamed(header: Header, rng: np.random.Generator) -> None:
    name = _names(header, rng)[0]
    header[name + "_"] = header.pop(name)


def _turned(header: Header, rng: np.random.Generator) -> None:
    name = next(n for n in _names(header, rng) if len(set(header[n]["shape"])) > 1)
    header[name]["shape"].reverse()


def _of(key: str, value: Any) -> Mutation:
    """Another value for one tensor's type, shape or place."""

    def change(header: Header, rng: np.random.Generator) -> None:
        header[_names(header, rng)[0]][key] = value

    return in_header(change)


def _length(value: int) -> Mutation:
    return lambda content, rng: value.to_bytes(8, "little") + content[8:]


HEADER: dict[str, Mutation] = {
    "two tensors exchanged": in_header(_exchanged),
    "a tensor renamed": in_header(_renamed),
    "a shape turned": in_header(_turned),
    "a tensor left out": in_header(lambda h, rng: h.pop(_names(h, rng)[0]) and None),
    "a tensor more": in_header(
        lambda h, rng: h.update(more={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})
    ),
    "no metadata": in_header(lambda h, rng: h.pop("__metadata__") and None),
    "metadata of numbers": in_header(lambda h, rng: h.update(__metadata__={FORMAT: 3})),
    "another type": _of("dtype", "I32"),
    "no such type": _of("dtype", "F33"),
    "a type of another kind": _of("dtype", None),
    "a huge shape": _of("shape", [2**40, 2**40]),
    "a negative shape": _of("shape", [-1]),
    "a broken shape": _of("shape", [1.5]),
    "a shape of words": _of("shape", "many"),
    "terabytes": _of("data_offsets", [0, 2**43]),
    "beyond the numbers": _of("data_offsets", [2**70, 2**71]),
    "backwards": _of("data_offsets", [8, 0]),
    "a header of no length": _length(0),
    "a header longer than the file": _length(2**31),
    "a header of terabytes": _length(2**43),
    "a header of negative length": _length(2**64 - 1),
    "NaN for a header": in_header(lambda h, rng: "NaN"),
    "a list for a header": in_header(lambda h, rng: "[1, 2]"),
    "a deep header": in_header(lambda h, rng: '{"a": ' + DEEP + "}"),
    "no text for a header": in_header(lambda h, rng: b'{"\xff\xfe": 1}'),
    "half of a character": in_header(lambda h, rng: '{"\\ud800": 1}'),
    "a name twice": in_header(lambda h, rng: json.dumps(h)[:-1] + ', "__metadata__": {}}'),
}

# ---------------------------------------------------------------------- the record


def with_record(text: str, stale: bool = False) -> Mutation:
    """Another record; its own checksum fits, unless it is stale."""

    def change(header: Header, rng: np.random.Generator) -> None:
        digest = hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
        if stale:
            digest = header["__metadata__"][FORMAT].partition(" ")[0]
        header["__metadata__"] = {FORMAT: f"{digest} {text}"}

    return in_header(change)


def in_record(change: Callable[[dict[str, Any]], Any]) -> Mutation:
    """Change the record, and its checksum with it."""

    def mutation(content: bytes, rng: np.random.Generator) -> bytes:
        header, _ = taken_apart(content)
        record = json.loads(header["__metadata__"][FORMAT].partition(" ")[2])
        change(record)
        return with_record(json.dumps(record))(content, rng)

    return mutation


def forged(value: Any, *keys: str) -> Mutation:
    """Another value in the record, at the place that the keys lead to, with a checksum that fits."""

    def change(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return in_record(change)


RECORD: dict[str, Mutation] = {
    "a record that is no JSON": with_record("{"),
    "a record of nothing": with_record(""),
    "NaN for a record": with_record("NaN"),
    "a list for a record": with_record("[]"),
    "a word for a record": with_record('"checksums"'),
    "a deep record": with_record(DEEP),
    "deep settings": with_record('{"checksums": {}, "settings": {"kind": ' + DEEP + "}}"),
    "a number of many digits": with_record("9" * 10_000),
    "a record with another's checksum": with_record("{}", stale=True),
    "no checksums": in_record(lambda r: r.pop("checksums")),
    "no settings": in_record(lambda r: r.pop("settings")),
    "checksums of another kind": forged([], "checksums"),
    "checksums of nothing": forged(None, "checksums"),
    "settings of another kind": forged([1], "settings"),
    "settings of nothing": forged(None, "settings"),
    "a checksum of another kind": in_record(
        lambda r: r["checksums"].update(dict.fromkeys(r["checksums"], 3))
    ),
    "a metadata of no text": in_header(lambda h, rng: h.update(__metadata__=[FORMAT])),
}
