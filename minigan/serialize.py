"""Tensors in files: safetensors, with a checksum for each tensor, and no pickle anywhere.

A file holds arrays by name, and a record of a few settings and the checksum of each array, so that
one changed byte is noticed before it becomes a picture. The record is JSON with its own checksum before
it, under one key of the file's metadata: safetensors writes several keys in any order, and the same
content shall give the same file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, ModelFileError
from minigan.core.tensor import Array
from minigan.files import atomic_write

FORMAT = "minigan 1"  # the key of the record

# What safetensors calls NumPy's types, and bfloat16.
_TYPES = {"F64", "F32", "F16", "BF16", "C64", "BOOL"} | {
    f"{s}{n}" for s in "IU" for n in (8, 16, 32, 64)
}


def checksum(array: Array) -> str:
    """64 hexadecimal digits (BLAKE2b) that change with any bit of the values, the shape or the dtype."""
    values = _plain(array)
    return _digest(f"{values.dtype.str} {values.shape}".encode(), values.tobytes())


def _plain(array: Array) -> Array:
    """The same values as they lie in a file: little-endian, in C order."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def _digest(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def save(
    path: str | PathLike[str], tensors: Mapping[str, Array], settings: Mapping[str, Any] = {}
) -> None:
    """Write arrays by name, and settings (anything JSON can hold), to `path`, whole or not at all.

    A model goes in as `save(path, net.state_dict())`; `load` gives back both, as a tuple.

    Raises ArgumentError for what such a file cannot hold, OutputPathError for a path that cannot be
    written to.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save as to_bytes

    if "__metadata__" in tensors:
        raise ArgumentError(
            f"save {path}: a tensor is named '__metadata__', which safetensors takes"
        )
    try:
        # C order first: safetensors 0.8 writes other layouts as they lie in memory, not as they read.
        arrays = {name: _plain(a) for name, a in tensors.items()}
        checksums = {name: checksum(a) for name, a in arrays.items()}
        record = json.dumps({"settings": dict(settings), "checksums": checksums}, sort_keys=True)
        content = to_bytes(arrays, {FORMAT: f"{_digest(record.encode())} {record}"})
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise ArgumentError(
            f"save {path}: {_first_sentence(error)}; it needs arrays of numbers by name, and settings "
            "that JSON can hold"
        ) from error
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What `save` wrote, as a tuple: the arrays by name, and the settings (empty if it got none).

        arrays, settings = load(path)
        net.load_state_dict(arrays)

    Raises ModelFileError for any other file.
    """
    path, needs = Path(path), "it needs a model that minigan saved"
    with _opened(path, needs) as file:
        metadata = file.metadata() or {}
        # A safetensors file has keys(), and is no iterable of them.
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, _verified_settings(path, metadata, tensors)


def load_foreign(path: str | PathLike[str]) -> dict[str, Array]:
    """The arrays of any safetensors file by name, such as a state_dict that PyTorch's users saved.

    bfloat16, which NumPy lacks, becomes float32 without loss. Such a file has no checksums: that its
    values are right is for whoever gave it to say.

    Raises ModelFileError where it is no such file, is damaged, or holds a type that NumPy lacks.
    """
    path, needs = Path(path), "it needs the tensors of a network in NumPy's types or bfloat16"
    with _opened(path, needs) as file:
        # A safetensors file has keys(), and is no iterable of them.
        types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        for name, kind in types.items():
            if kind not in _TYPES:  # read or refused otherwise, depending on what else is imported
                raise ModelFileError(f"{path} holds {kind} in tensor {name!r}; {needs}")
        arrays = {name: file.get_tensor(name) for name, t in types.items() if t != "BF16"}
        if len(arrays) < len(types):
            arrays |= _widened(path)
    return {name: arrays[name] for name in types}


def _widened(path: Path) -> dict[str, Array]:
    """The bfloat16 tensors of a file as float32, whose upper 16 bits they are."""
    from safetensors import deserialize

    found = {name: t for name, t in deserialize(path.read_bytes()) if t["dtype"] == "BF16"}
    halves = {name: np.frombuffer(t["data"], "<u2").astype("<u4") for name, t in found.items()}
    return {n: (h << 16).view("<f4").reshape(found[n]["shape"]) for n, h in halves.items()}


@contextmanager
def _opened(path: Path, needs: str) -> Iterator[Any]:
    """A safetensors file, open for reading; whatever is wrong with it is a ModelFileError."""
    from safetensors import SafetensorError, safe_open

    _check_is_file(path, needs)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path} is no safetensors file, or is damaged ({_first_sentence(error)}); {needs}"
        ) from error


def _check_is_file(path: Path, needs: str) -> None:
    if not os.path.exists(path):  # Path.exists raises for a name that is too long
        raise ModelFileError(f"{path} does not exist; {needs}")
    if not path.is_file():
        raise ModelFileError(f"{path} is no file; {needs}")
    if path.stat().st_size == 0:
        raise ModelFileError(f"{path} is empty (0 bytes); {needs}")


def _verified_settings(
    path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Array]
) -> dict[str, Any]:
    if FORMAT not in metadata:
        raise ModelFileError(
            f"{path} is a safetensors file, but its metadata has no {FORMAT!r}; it needs a model that "
            "minigan saved"
        )
    digest, _, text = metadata[FORMAT].partition(" ")
    if digest != _digest(text.encode()):
        raise ModelFileError(f"{path} is damaged: its settings do not match their checksum")
    checksums, settings = _parts_of(path, text)
    for name in sorted(checksums.keys() | tensors.keys()):
        if name not in tensors or checksums.get(name) != checksum(tensors[name]):
            raise ModelFileError(f"{path} is damaged: tensor {name!r} does not match its checksum")
    return settings


def _parts_of(path: Path, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The checksums and the settings in a record; whoever wrote it may not have been `save`."""
    try:
        record = json.loads(text)
        checksums, settings = record["checksums"], record["settings"]
    except (ValueError, RecursionError, KeyError, TypeError):
        checksums = settings = None
    if not isinstance(checksums, dict) or not isinstance(settings, dict):
        raise ModelFileError(f"{path} is damaged: its record lacks checksums or settings")
    return checksums, settings


def _first_sentence(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
