"""Arrays as a page has them: whole where they are small, what one can see of them where they are not."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from minigan.core.tensor import Array
from minigan.pages.page import number

WHOLE = 4096  # elements of an array that is written whole
_BARS = 32
_SIDE = 32  # pixels of the pictures that stand for larger ones: four of them are within WHOLE
_PLANES = 4


class Arrays:
    """Arrays for a page, each written once, however often it is shown."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no identity is used again

    def place(self, array: Any) -> int | None:
        """Where an array stands among the entries; None for what is no array."""
        if array is None:
            return None
        values = np.asarray(array)
        if values.dtype.kind not in "biuf":
            return None
        if id(array) not in self._places:
            self._places[id(array)] = len(self.entries)
            self._kept.append(array)
            self.entries.append(described(values))
        return self._places[id(array)]


def described(array: Array) -> dict[str, Any]:
    """An array's shape, dtype and figures, with its numbers or a picture and a histogram of them."""
    finite = array[np.isfinite(array)].astype(np.float64) if array.size else np.zeros(0)
    entry: dict[str, Any] = {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "bytes": array.nbytes,
        "least": number(finite.min(initial=np.inf)),
        "most": number(finite.max(initial=-np.inf)),
        "norm": number(np.sqrt(np.square(finite).sum())),
        "bad": array.size - finite.size,  # NaN and infinities
    }
    if array.size <= WHOLE:
        return entry | _whole(array)
    counts, edges = np.histogram(finite, _BARS)
    bars = {"counts": counts.tolist(), "low": number(edges[0]), "high": number(edges[-1])}
    return entry | {"bars": bars} | _thumbnail(array)


def _whole(array: Array) -> dict[str, Any]:
    """The numbers as base64 of little-endian ones, in a type that JavaScript has arrays of."""
    wide = array.dtype.kind in "iu" and array.dtype.itemsize > 4
    kind = (
        "f8"
        if wide or array.dtype == np.float64
        else {"b": "u1", "f": "f4"}.get(array.dtype.kind, "i4")
    )
    if array.dtype == np.uint32:
        kind = "f8"
    if array.dtype == np.uint8:
        kind = "u1"
    data = np.ascontiguousarray(array).astype("<" + kind)
    return {"type": kind, "data": base64.b64encode(data.tobytes()).decode()}


def _thumbnail(array: Array) -> dict[str, Any]:
    """Of pictures, some planes of the first one, with pixels left out."""
    if array.ndim < 2 or min(array.shape[-2:]) < 2:
        return {}
    planes = array.reshape(-1, *array.shape[-2:])[:_PLANES]
    step = max(1, -(-max(planes.shape[1:]) // _SIDE))
    return {"thumbnail": described(planes[:, ::step, ::step].copy()), "step": step}
