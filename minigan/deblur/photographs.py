"""Sharp photographs to learn deblurring from, where they come from, and how they are divided.

Two sources: the photographs that scikit-image and scikit-learn bring along, so that everything
runs without a download, and any folder of the user's. Either way they are divided by photograph
into those to train on and those unseen: crops of one photograph resemble each other, and a network
that was trained on some of them would be tested on what it had almost seen.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.core.errors import ArgumentError, ImageFileError, ShapeError, require
from minigan.deblur.stored import PixelCache, PixelSource, StoredPixels, as_levels
from minigan.images import find_images, read_image

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

Pixels = np.ndarray | PixelSource


@dataclass(frozen=True, eq=False)
class Photograph:
    """A sharp photograph, and the blurry one that belongs to it where a data set has pairs.

    name    by which messages and tables call it
    source  its pixels: an array, uint8 (3, H, W), 255 is white, or where to read them when needed
    blurry  the same of the blurry one; None where blur is made on the fly
    kernel  the file (.npy) of the kernel between them, where somebody knows it
    group   pictures of one group (frames of a scene, crops of a photograph) resemble each other, and are
            trained on together or not at all; "" is a group of its own
    part    "train", "val" or "test" where the data set says so itself
    origin  the fingerprint of the photograph that it was cut out of, if any

    Bytes rather than floats, because a folder of hundreds of them has to fit into memory; a crop
    becomes float32 when it is taken. Grey photographs have three equal channels.
    """

    name: str
    source: Pixels = field(repr=False)
    blurry: Pixels | None = field(default=None, repr=False)
    kernel: Path | None = None
    group: str = ""
    part: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.source, np.ndarray):
            return
        shape, dtype = self.source.shape, self.source.dtype
        if len(shape) != 3 or shape[0] != 3 or dtype != np.uint8:
            raise ShapeError(
                f"the photograph {self.name} has pixels of shape {shape} and dtype {dtype}, "
                "and needs (3, H, W) and uint8"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), without decoding anything."""
        source = self.source
        return (source.shape[1], source.shape[2]) if isinstance(source, np.ndarray) else source.size

    @property
    def nbytes(self) -> int:
        """How much memory its pixels take, and those of its blurry twin."""
        return (3 if self.blurry is None else 6) * self.size[0] * self.size[1]

    @property
    def pixels(self) -> np.ndarray:
        """The sharp pixels, uint8 (3, H, W); ImageFileError where a file cannot be read."""
        return _read(self.source)

    @property
    def digest(self) -> str:
        """What `fingerprint` gives."""
        return self.digests[0]

    @cached_property
    def digests(self) -> tuple[str, str]:
        """Of the sharp pixels and of the blurry ones ("" without), which are read for it once."""
        if self.blurry is None:
            return _digest(self.pixels), ""
        blurry, sharp = self.pair()
        return _digest(sharp), _digest(blurry)

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """The blurry and the sharp pixels; ImageFileError where they are not of one size.

        For photographs that have a blurry twin.
        """
        if self.blurry is None:
            raise ArgumentError(f"the photograph {self.name} has no blurry twin")
        blurry, sharp = _read(self.blurry), self.pixels
        if blurry.shape != sharp.shape:
            raise ImageFileError(different_sizes(self.name, blurry.shape[1:], sharp.shape[1:]))
        return blurry, sharp


def _read(source: Pixels) -> np.ndarray:
    return source if isinstance(source, np.ndarray) else source.read()


def _digest(pixels: np.ndarray) -> str:
    content = np.ascontiguousarray(pixels).tobytes()
    return hashlib.blake2b(str(pixels.shape).encode() + content, digest_size=8).hexdigest()


def different_sizes(name: str, blurry: Sequence[int], sharp: Sequence[int]) -> str:
    """What a pair says whose pictures have different sizes (height, width)."""
    return (
        f"the pair {name} does not match: the blurry picture has {blurry[1]} x {blurry[0]} pixels and "
        f"the sharp one {sharp[1]} x {sharp[0]}, and they need the same"
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
    folder: str | os.PathLike[str], min_size: int = 1, cache: PixelCache | None = None
) -> list[Photograph]:
    """All pictures in a folder and the folders in it, sorted and named by their path in it.

    Only headers are read here. Raises `ImageFileError` when the folder is missing or empty, when a file
    is no picture or has fewer than `min_size` pixels on a side.
    """
    cache = cache or PixelCache()
    found: list[Photograph] = []
    for path in find_images(folder):
        name = path.relative_to(folder).as_posix()
        found.append(
            Photograph(name, StoredPixels(path, cache), part=part_of(Path(name).parts[:-1]))
        )
        require_size(str(path), *found[-1].size, min_size)
    return found


# What data sets call their own division, and what it means here.
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def part_of(folders: Sequence[str]) -> str:
    """ "train", "val" or "test", if one of the folders is called so; the outermost counts."""
    return next((_PARTS[name.lower()] for name in folders if name.lower() in _PARTS), "")


def fingerprint(photograph: Photograph) -> str:
    """16 hexadecimal digits that tell photographs apart by their pixels, whatever file they come from."""
    return photograph.digest


def fingerprints(photographs: Sequence[Photograph]) -> list[str]:
    """By which to recognise the photographs, and those that they were cut out of; sorted."""
    return sorted({digest for p in photographs for digest in (p.digest, p.origin) if digest})


def read_all(photographs: Sequence[Photograph]) -> list[tuple[str, str]]:
    """Decode every picture once, blurry twins too, on as many threads as there are processors.

    So one that cannot be read among thousands is found before anything else begins. Returns their
    `digests`; raises what reading raises, for the first such picture.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda photograph: photograph.digests, photographs))


def distinct(photographs: Sequence[Photograph]) -> list[Photograph]:
    """The photographs without exact copies of earlier ones, which could be trained on and unseen.

    All of them are read for that, by `read_all`.
    """
    found: dict[tuple[str, str], Photograph] = {}
    for content, photograph in zip(read_all(photographs), photographs, strict=True):
        found.setdefault(content, photograph)
    return list(found.values())


def split(photographs: Sequence[Photograph], unseen_share: float = 0.2, seed: int = 0) -> Split:
    """Divide photographs, at least one to each side; both keep the order given.

    Where the data set has a division of its own, that counts: its test part is unseen (without one, its
    validation part), and the rest is trained on. Otherwise groups are divided at random; the same
    photographs, share and seed give the same split. Bursts of one scene are not recognised unless they
    have a group (`distinct` finds exact copies only): whoever has them splits by hand. Raises
    `ArgumentError` for fewer than two photographs or groups, or a share that is not between 0 and 1.
    """
    if not 0 < unseen_share < 1:
        raise ArgumentError(f"split: unseen_share is {unseen_share}, and must be between 0 and 1")
    held_out = held_out_part(photographs)
    if held_out:
        return Split(
            tuple(photograph for photograph in photographs if photograph.part != held_out),
            tuple(photograph for photograph in photographs if photograph.part == held_out),
        )
    group_of = _groups(photographs)
    groups = list(dict.fromkeys(group_of))
    _require_two(photographs, len(groups))
    unseen_count = min(max(1, round(unseen_share * len(groups))), len(groups) - 1)
    drawn = np.random.default_rng(seed).permutation(len(groups))[:unseen_count]
    unseen = {groups[i] for i in drawn}
    sides = [group in unseen for group in group_of]
    return Split(
        tuple(p for p, is_unseen in zip(photographs, sides, strict=True) if not is_unseen),
        tuple(p for p, is_unseen in zip(photographs, sides, strict=True) if is_unseen),
    )


def held_out_part(photographs: Sequence[Photograph]) -> str:
    """The part that a data set itself keeps from training, "test" or "val"; "" where it has none."""
    parts = {photograph.part for photograph in photographs}
    return next((part for part in ("test", "val") if {part} < parts), "")


def _groups(photographs: Sequence[Photograph]) -> list[int]:
    """A number for each photograph, the same for those of a group.

    Pairs with one sharp picture, which was blurred in several ways, belong together as well.
    """
    first: dict[str, int] = {}  # where a group's name, or a sharp picture, occurs first
    leader = list(range(len(photographs)))

    def head(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    for i, photograph in enumerate(photographs):
        sharp = f"sharp {photograph.digest}" if photograph.blurry is not None else ""
        group = f"group {photograph.group}" if photograph.group else ""
        for key in filter(None, (group, sharp)):
            a, b = sorted((head(i), head(first.setdefault(key, i))))
            leader[b] = a
    return [head(i) for i in range(len(photographs))]


def _require_two(photographs: Sequence[Photograph], groups: int) -> None:
    count = len(photographs)
    if count < 2:
        raise ArgumentError(
            f"to train and to measure takes at least two different photographs, and there is {count}"
        )
    if groups < 2:
        raise ArgumentError(
            f"all {count} pictures are of one scene, {photographs[0].group or photographs[0].name}, and "
            "those to measure on must be of another than those to train on; it needs a second scene"
        )


def check_sizes(photographs: Sequence[Photograph], size: int, margin: int = 0) -> None:
    """Raise an `ImageFileError` that names the first photograph with a side below `size` pixels.

    Photographs that are blurred on the fly need `margin` pixels more on each side.
    """
    for photograph in photographs:
        needed = size + 2 * margin if photograph.blurry is None else size
        require_size(photograph.name, *photograph.size, needed)


def require_size(name: str, height: int, width: int, size: int) -> None:
    """Raise an `ImageFileError` where a side is below `size` pixels."""
    if min(height, width) < size:
        raise ImageFileError(
            f"the photograph {name} has {width} x {height} pixels, and needs at least "
            f"{size} x {size}"
        )


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
        levels = as_levels(read_image(path))
    return Photograph(name, np.broadcast_to(levels, (3, *levels.shape[1:])))
