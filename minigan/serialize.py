"""Tensors in files: safetensors, with a checksum for each tensor, and no pickle anywhere.

A file holds arrays by name and a few settings as text. The checksum (BLAKE2b over dtype, shape and
bytes) stands in the file's metadata, so that one changed byte is noticed before it becomes a picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.errors import ModelFileError
from minigan.core.tensor import Array
from minigan.files import atomic_write

FORMAT = "minigan 1"


def checksum(array: Array) -> str:
    """64 hexadecimal digits that change with any bit of the values, the shape or the dtype."""
    digest = hashlib.blake2b(digest_size=32)
    digest.update(f"{array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def save(
    path: str | PathLike[str], tensors: Mapping[str, Array], settings: Mapping[str, Any]
) -> None:
    """Write arrays and settings (anything JSON can hold) to `path`, whole or not at all."""
    from safetensors.numpy import save as to_bytes

    # C order first: safetensors 0.8 writes the bytes of other layouts as they lie, not as they read.
    arrays = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in tensors.items()}
    metadata = {
        "format": FORMAT,
        "settings": json.dumps(dict(settings), sort_keys=True),
        "checksums": json.dumps({name: checksum(a) for name, a in arrays.items()}, sort_keys=True),
    }
    content = to_bytes(arrays, metadata)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the settings that `save` wrote; ModelFileError for anything else."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    _check_is_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise ModelFileError(
            f"{path} is no safetensors file, or is damaged ({_first_line(error)}); "
            "it needs a model that minigan saved"
        ) from error
    return tensors, _verified_settings(path, metadata, tensors)


def _check_is_file(path: Path) -> None:
    if not path.exists():
        raise ModelFileError(f"{path} does not exist; it needs a model that minigan saved")
    if not path.is_file():
        raise ModelFileError(f"{path} is no file; it needs a model that minigan saved")
    if path.stat().st_size == 0:
        raise ModelFileError(f"{path} is empty (0 bytes); it needs a model that minigan saved")


def _verified_settings(
    path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Array]
) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"{path} is a safetensors file, but its format is {metadata.get('format')!r}; "
            f"it needs {FORMAT!r}"
        )
    checksums, settings = (_json_table(metadata.get(key, "")) for key in ("checksums", "settings"))
    if checksums.keys() != tensors.keys() or "settings" not in metadata:
        raise ModelFileError(f"{path} is damaged: its table of checksums and settings does not fit")
    for name, array in tensors.items():
        if checksum(array) != checksums[name]:
            raise ModelFileError(f"{path} is damaged: tensor {name!r} does not match its checksum")
    return settings


def _json_table(text: str) -> dict[str, Any]:
    """A JSON object; empty where the text is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
