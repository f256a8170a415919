"""Sharp photographs to learn deblurring from: where they come from, and random crops of them.

Two sources: the photographs that scikit-image and scikit-learn bring along, so that everything
runs without a download, and any folder of the user's. Either way they are divided by photograph
into those to train on and those unseen: crops of one photograph resemble each other, and a network
that was trained on some of them would be tested on what it had almost seen.
"""

from __future__ import annotations

import hashlib
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.core.errors import ArgumentError, ImageFileError, ShapeError, require
from minigan.images import find_images, read_image, stored_size

# The bundled photographs, chosen by looking at each at its full size. The unseen four are natural
# photographs in colour, of kinds that training does not show: an animal, a building in a
# landscape, a still life, a night scene. Both views of the motorcycle are on one side.
BUNDLED_UNSEEN = ("chelsea", "china", "coffee", "rocket")
BUNDLED_TRAINING = ("astronaut", "camera", "flower", "motorcycle_left", "motorcycle_right")
# Sharp textures and points of light, which show a blur kernel whole. A release of scikit-image
# that no longer brings one of them still trains, without it; one of those above must be there.
BUNDLED_TEXTURES = ("brick", "coins", "grass", "gravel", "hubble_deep_field", "ihc")
# Left out: cell, moon, retina (soft, so they would teach that blurry is sharp), clock_motion
# (blurred), page and text (soft print), and the drawings, masks and boards.

_FROM_SCIKIT_LEARN = {"china", "flower"}

# Decoded photographs stay in memory: 4 GiB hold 9,000 of 481 x 321 or 119 of 12 megapixels.
MEMORY_LIMIT = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Photograph:
    """A sharp photograph: its name, and its pixels, uint8 (3, H, W), 255 is white.

    Bytes rather than floats, because a folder of hundreds of them has to fit into memory; a crop
    becomes float32 when it is taken. Grey photographs have three equal channels.
    """

    name: str
    pixels: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[0] != 3 or dtype != np.uint8:
            raise ShapeError(
                f"the photograph {self.name} has pixels of shape {shape} and dtype {dtype}, "
                "and needs (3, H, W) and uint8"
            )


class Split(NamedTuple):
    """Photographs to train on, and others that training never shows."""

    training: tuple[Photograph, ...]
    unseen: tuple[Photograph, ...]


def bundled_photographs() -> Split:
    """The photographs that come with scikit-image and scikit-learn, in a fixed split by name.

    Eleven to train on (`BUNDLED_TRAINING`, `BUNDLED_TEXTURES`) and four unseen (`BUNDLED_UNSEEN`),
    at their full size. Nothing is ever downloaded: the files lie in the installed packages.

    Raises `MissingExtraError` when one of the two is not installed and `ImageFileError` when it
    lacks one of its photographs.
    """
    textures = [name for name in BUNDLED_TEXTURES if _bundled_file(name) is not None]
    return Split(
        tuple(_read_bundled(name) for name in [*BUNDLED_TRAINING, *textures]),
        tuple(_read_bundled(name) for name in BUNDLED_UNSEEN),
    )


def folder_photographs(
    folder: str | os.PathLike[str], min_size: int = 1, memory_limit: int = MEMORY_LIMIT
) -> list[Photograph]:
    """Read all pictures in a folder and the folders in it, sorted and named by their path in it.

    Raises `ImageFileError` when the folder is missing or empty, when a picture is damaged or has
    fewer than `min_size` pixels on a side, and when all of them would take more than
    `memory_limit` bytes (three per pixel). Sizes and memory are checked before any decoding.
    """
    paths = find_images(folder)
    sizes = [stored_size(path) for path in paths]
    for path, (height, width) in zip(paths, sizes, strict=True):
        _require_size(str(path), height, width, min_size)
    needed = sum(3 * height * width for height, width in sizes)
    if needed > memory_limit:
        raise ImageFileError(
            f"the {len(paths)} pictures in {folder} need {needed / 2**30:.2f} GiB of memory, and "
            f"the limit is {memory_limit / 2**30:.2f} GiB: take fewer or smaller ones"
        )
    return [_read_photograph(path.relative_to(folder).as_posix(), path) for path in paths]


def fingerprint(photograph: Photograph) -> str:
    """16 hexadecimal digits that tell photographs apart by their pixels."""
    shape = str(photograph.pixels.shape).encode()
    pixels = np.ascontiguousarray(photograph.pixels).tobytes()
    return hashlib.blake2b(shape + pixels, digest_size=8).hexdigest()


def distinct(photographs: Sequence[Photograph]) -> list[Photograph]:
    """The photographs without exact copies of earlier ones, which could be trained on and unseen."""
    first: dict[str, Photograph] = {}
    for photograph in photographs:
        first.setdefault(fingerprint(photograph), photograph)
    return list(first.values())


def split(photographs: Sequence[Photograph], unseen_share: float = 0.2, seed: int = 0) -> Split:
    """Divide photographs at random, at least one to each side; both keep the order given.

    The same photographs, share and seed give the same split. Bursts of one scene are not recognised
    (`distinct` finds exact copies only): whoever has them splits by hand. Raises `ArgumentError` for
    fewer than two photographs or a share that is not between 0 and 1.
    """
    count = len(photographs)
    if count < 2:
        raise ArgumentError(
            f"to train and to measure takes at least two different photographs, and there is {count}"
        )
    if not 0 < unseen_share < 1:
        raise ArgumentError(f"split: unseen_share is {unseen_share}, and must be between 0 and 1")
    unseen_count = min(max(1, round(unseen_share * count)), count - 1)
    unseen = set(np.random.default_rng(seed).permutation(count)[:unseen_count].tolist())
    return Split(
        tuple(photograph for i, photograph in enumerate(photographs) if i not in unseen),
        tuple(photograph for i, photograph in enumerate(photographs) if i in unseen),
    )


def check_sizes(photographs: Sequence[Photograph], size: int) -> None:
    """Raise an `ImageFileError` that names the first photograph with a side below `size` pixels."""
    for photograph in photographs:
        _, height, width = photograph.pixels.shape
        _require_size(photograph.name, height, width, size)


def random_crop(
    rng: np.random.Generator,
    photographs: Sequence[Photograph],
    size: int,
    flips: bool = True,
    turns: bool = True,
) -> np.ndarray:
    """A square out of one of the photographs: float32 (3, size, size) in [0, 1].

    The photograph is drawn in proportion to its area, so that pixels are equally likely, but none
    counts as larger than the median, so that one huge panorama does not push the others aside;
    the place in it is drawn uniformly. `flips` mirrors the crop left to right and top to bottom,
    each half of the time; `turns` turns it by 0, 90, 180 or 270 degrees. Both are fair, because
    blur knows no upright.

    Raises `ImageFileError` when the photograph drawn is smaller than the crop (`check_sizes` finds
    that out beforehand) and `ArgumentError` when there are no photographs.
    """
    if not photographs:
        raise ArgumentError("random_crop: got no photographs, and needs at least one")
    photograph = photographs[rng.choice(len(photographs), p=_probabilities(photographs))]
    _, height, width = photograph.pixels.shape
    _require_size(photograph.name, height, width, size)
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    crop = photograph.pixels[:, top : top + size, left : left + size]
    if flips:
        crop = crop[:, :: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    if turns:
        crop = np.rot90(crop, int(rng.integers(4)), axes=(1, 2))
    return np.ascontiguousarray(crop, np.float32) / np.float32(255)


def _probabilities(photographs: Sequence[Photograph]) -> np.ndarray:
    areas = [photograph.pixels.shape[1] * photograph.pixels.shape[2] for photograph in photographs]
    # The lower median: of two photographs, the larger counts as the smaller.
    weights = np.minimum(areas, statistics.median_low(areas))
    return weights / weights.sum()


def _require_size(name: str, height: int, width: int, size: int) -> None:
    if min(height, width) < size:
        raise ImageFileError(
            f"the photograph {name} has {width} x {height} pixels, and needs at least "
            f"{size} x {size}"
        )


def _read_photograph(name: str, path: Path) -> Photograph:
    levels = np.rint(read_image(path) * np.float32(255)).astype(np.uint8)
    # Broadcasting makes three channels of a grey one without two copies, and marks it read-only.
    return Photograph(name, np.broadcast_to(levels, (3, *levels.shape[1:])))


def _bundled_file(name: str) -> Traversable | None:
    """Where an installed package has the bundled photograph `name`, or None."""
    if name in _FROM_SCIKIT_LEARN:
        package = require("sklearn", "deblur", "read the photographs that it bundles")
        folder = resources.files(package) / "datasets" / "images"
    else:
        # Not through skimage.data, whose functions may go to the network.
        package = require("skimage", "deblur", "read the photographs that it bundles")
        folder = resources.files(package) / "data"
    files = (folder / f"{name}{suffix}" for suffix in (".png", ".jpg"))
    return next((file for file in files if file.is_file()), None)


def _read_bundled(name: str) -> Photograph:
    file = _bundled_file(name)
    if file is None:
        library = "scikit-learn" if name in _FROM_SCIKIT_LEARN else "scikit-image"
        raise ImageFileError(
            f"the installed {library} lacks the photograph {name}, which "
            "scikit-image 0.24 to 0.26 and scikit-learn 1.5 to 1.9 have"
        )
    with resources.as_file(file) as path:
        return _read_photograph(name, path)
