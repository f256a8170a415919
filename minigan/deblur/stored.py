"""Pixels of pictures that lie in files: decoded when they are needed, kept while there is room.

Training looks at thousands of pictures in random order. All of them decoded would not fit into memory,
and to decode one for each crop would take longer than a step: so the last ones stay, as bytes, up to a
limit that all pictures of a data set share.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from minigan.core.errors import ImageFileError
from minigan.deblur.blur import GAMMA, average_frames
from minigan.images import read_image, stored_size

Half = Literal["left", "right"]

# 9,000 photographs of 481 x 321 pixels, or 1,500 of 1280 x 720.
CACHE_BYTES = 4 * 2**30


class PixelCache:
    """What was decoded last, by key, in no more than `limit` bytes; safe for several threads."""

    def __init__(self, limit: int = CACHE_BYTES):
        self.limit, self.used = limit, 0
        self._kept: OrderedDict[object, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of `key`: the one kept, or what `decode` gives, which may push out older ones."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        array = decode()
        with self._lock:
            if key not in self._kept and array.nbytes <= self.limit:
                self._kept[key] = array
                self.used += array.nbytes
            while self.used > self.limit:
                self.used -= self._kept.popitem(last=False)[1].nbytes
        return array


class PixelSource(Protocol):
    """Pixels that somebody can read."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), known without decoding."""
        ...

    def read(self) -> np.ndarray:
        """uint8 (3, H, W); raises ImageFileError, which names the file."""
        ...


class StoredPixels:
    """The pixels of a picture in a file, or of half of it: uint8 (3, H, W) when asked for.

    half  "left" or "right" of a picture that holds two side by side
    """

    def __init__(self, path: Path, cache: PixelCache, half: Half | None = None) -> None:
        """Reads the header; raises ImageFileError for what is no picture, or cannot be halved."""
        self.path, self._cache, self._half = path, cache, half
        height, width = stored_size(path)
        if half is not None and width % 2:
            raise ImageFileError(
                f"{path} is {width} pixels wide, and two pictures side by side need an even number"
            )
        self.size = height, width if half is None else width // 2

    def read(self) -> np.ndarray:
        """Decode the file, unless it is still there; grey ones have three equal channels."""
        levels = self._cache.get(self.path, lambda: as_levels(read_image(self.path)))
        if self._half is not None:
            middle = levels.shape[2] // 2
            levels = levels[:, :, :middle] if self._half == "left" else levels[:, :, middle:]
        # Broadcasting makes three channels of a grey one without two copies, and marks it read-only.
        return np.broadcast_to(levels, (3, *levels.shape[1:]))


class AveragedPixels:
    """The picture that a long exposure over several frames of a video would have given.

    See `minigan.deblur.blur.average_frames`. All frames must have one size.
    """

    def __init__(self, paths: Sequence[Path], cache: PixelCache, gamma: float = GAMMA) -> None:
        """Reads the headers; raises ImageFileError where sizes differ."""
        self.path, self._paths, self._cache, self._gamma = paths[0], paths, cache, gamma
        sizes = [stored_size(path) for path in paths]
        for path, size in zip(paths, sizes, strict=True):
            if size != sizes[0]:
                raise ImageFileError(
                    f"{path} has {size[1]} x {size[0]} pixels and {paths[0]} has {sizes[0][1]} x "
                    f"{sizes[0][0]}, and the frames of a video need one size"
                )
        self.size = sizes[0]

    def read(self) -> np.ndarray:
        """Average the frames, unless that is still there."""
        levels = self._cache.get((*self._paths, self._gamma), self._averaged)
        return np.broadcast_to(levels, (3, *levels.shape[1:]))

    def _averaged(self) -> np.ndarray:
        return as_levels(average_frames((read_image(path) for path in self._paths), self._gamma))


def as_levels(picture: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] as the nearest bytes."""
    return np.rint(picture * np.float32(255)).astype(np.uint8)
