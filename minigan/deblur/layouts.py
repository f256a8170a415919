"""The layouts in which data sets come, read into one list of photographs.

photographs   sharp pictures in a folder and the folders in it; blur is made on the fly
pairs         folders of blurry pictures beside folders of sharp ones of the same names, at any depth:
              GoPro's scene/{blur,sharp}, or blurry/sharp, input/target, A/B, ...
side-by-side  pictures whose halves are the two, as pix2pix's aligned data sets have them
frames        folders of a video's frames; some successive ones are averaged, the middle one is sharp

Folders called train, val and test are a data set's own division; so are the scenes, which are trained on
as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from minigan.core.errors import ArgumentError, ImageFileError
from minigan.deblur.photographs import (
    Photograph,
    different_sizes,
    folder_photographs,
    part_of,
)
from minigan.deblur.stored import AveragedPixels, Half, PixelCache, StoredPixels
from minigan.images import find_images

LAYOUTS = ("photographs", "pairs", "side-by-side", "frames")
OTHER: Mapping[str, Half] = {"left": "right", "right": "left"}  # half of a picture

# What people call the two folders of a data set of pairs, the blurry one first.
TWINS = (
    ("blur", "sharp"),
    ("blurry", "sharp"),
    ("blurred", "sharp"),
    ("input", "target"),
    ("lq", "gt"),
    ("A", "B"),
)
BLURRY, SHARP, KERNELS, MANIFEST = "blur", "sharp", "kernels", "manifest.jsonl"


@dataclass(frozen=True)
class Source:
    """Where pictures are, and how they lie there.

    data           a folder, or None
    layout         one of `LAYOUTS`, or None to find out
    blurry, sharp  instead of `data`, the two folders of pairs
    sharp_half     which half of a picture is the sharp one, side by side: the right one in the sets that
                   DeblurGAN and pix2pix make, whose input A stands left
    frames         how many frames of a video make one blurry picture
    """

    data: Path | None = None
    layout: str | None = None
    blurry: Path | None = None
    sharp: Path | None = None
    sharp_half: Half = "right"
    frames: int = 7

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout not in LAYOUTS:
            raise ArgumentError(
                f"the layout is {self.layout!r}; it needs one of {', '.join(LAYOUTS)}"
            )
        if self.sharp_half not in OTHER:
            raise ArgumentError(f"the sharp half is {self.sharp_half!r}; it needs left or right")
        if self.frames < 3 or self.frames % 2 == 0:
            raise ArgumentError(
                f"the number of frames to average is {self.frames}; it needs an odd one from 3 on, so "
                "that one is in the middle"
            )
        if (self.blurry is None) != (self.sharp is None):
            given, other = ("blurry", "sharp") if self.sharp is None else ("sharp", "blurry")
            raise ArgumentError(
                f"{self.blurry or self.sharp} holds the {given} pictures of pairs; a folder of the "
                f"{other} ones is needed as well"
            )
        if self.blurry is None or self.sharp is None:
            return
        if self.data is not None:
            raise ArgumentError(
                f"pictures are to come from {self.data}, and also from {self}; it can be only one of "
                "the two"
            )
        if self.layout not in (None, "pairs"):
            raise ArgumentError(f"the layout is {self.layout}, and {self} are folders of pairs")
        if os.path.realpath(self.blurry) == os.path.realpath(self.sharp):
            raise ArgumentError(
                f"{self.blurry} is the folder of the blurry and of the sharp pictures; they need one each"
            )

    @property
    def is_given(self) -> bool:
        """Whether it names anything."""
        return self.data is not None or self.blurry is not None

    def __str__(self) -> str:
        return str(self.data) if self.blurry is None else f"{self.blurry} and {self.sharp}"


@dataclass(frozen=True)
class Found:
    """What a source holds, and a sentence that says so."""

    photographs: list[Photograph]
    layout: str
    said: str


def find(source: Source, cache: PixelCache | None = None) -> Found:
    """Read a source's headers; nothing is decoded yet.

    Raises ImageFileError, which names the file, where a folder is missing or empty, a file is no picture,
    or the two of a pair do not match in number, name or size.
    """
    cache = cache or PixelCache()
    if source.blurry is not None and source.sharp is not None:
        return _told(_matched(source.blurry, source.sharp, "", cache), "pairs", source)
    if source.data is None:
        raise ArgumentError("find: the source names no folder")
    layout = source.layout or ("pairs" if _scenes(source.data) else "photographs")
    return _told(_READERS[layout](source, source.data, cache), layout, source)


def _told(photographs: list[Photograph], layout: str, source: Source) -> Found:
    nouns = {
        "photographs": "sharp photographs",
        "pairs": "pairs of a blurry and a sharp picture",
        "side-by-side": "pictures with a pair side by side",
        "frames": f"means of {source.frames} frames",
    }
    said = [f"{len(photographs)} {nouns[layout]}"]
    groups = len({p.group for p in photographs if p.group})
    said += [f"groups that stay together: {groups}"] if groups else []
    for part in ("train", "val", "test"):
        count = sum(photograph.part == part for photograph in photographs)
        said += [f"{part}: {count}"] if count else []
    return Found(photographs, layout, f"{source}: {', '.join(said)}.")


# ---------------------------------------------------------------------- sharp photographs, halves


def _sharp_ones(source: Source, folder: Path, cache: PixelCache) -> list[Photograph]:
    return folder_photographs(folder, cache=cache)


def _side_by_side(source: Source, folder: Path, cache: PixelCache) -> list[Photograph]:
    found = []
    for path in find_images(folder):
        name = path.relative_to(folder).as_posix()
        sharp, blurry = (
            StoredPixels(path, cache, half)
            for half in (source.sharp_half, OTHER[source.sharp_half])
        )
        found.append(Photograph(name, sharp, blurry, part=part_of(PurePosixPath(name).parts[:-1])))
    return found


# ---------------------------------------------------------------------- pairs


def _scenes(folder: Path) -> list[tuple[Path, Path]]:
    """The folders of blurry and of sharp pictures that lie beside each other, at any depth."""
    found = []
    for parent, names, _ in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for twins in TWINS:
            if set(twins) <= set(names):
                found.append((Path(parent, twins[0]), Path(parent, twins[1])))
                names[:] = []  # nobody looks for scenes inside of scenes
                break
    return found


def _pairs(source: Source, folder: Path, cache: PixelCache) -> list[Photograph]:
    scenes = _scenes(folder)
    if not scenes:
        find_images(folder)  # which says what else is wrong
        twins = ", ".join("/".join(pair) for pair in TWINS)
        raise ImageFileError(
            f"the folder {folder} holds no pairs, which lie in folders beside each other called {twins}"
        )
    found: list[Photograph] = []
    for blurry, sharp in scenes:
        place = blurry.parent.relative_to(folder).as_posix()
        found += _matched(blurry, sharp, "" if place == "." else place, cache)
    return found


def _matched(blurry: Path, sharp: Path, place: str, cache: PixelCache) -> list[Photograph]:
    """The pairs of two folders, whose pictures have the same paths but for their suffixes."""
    inputs, targets = _by_name(blurry), _by_name(sharp)
    for mine, others, folder in ((inputs, targets, sharp), (targets, inputs, blurry)):
        for name, path in mine.items():
            if name not in others:
                raise ImageFileError(
                    f"{path} has no twin in {folder}: {blurry} holds {len(inputs)} pictures and {sharp} "
                    f"{len(targets)}, and they need the same names"
                )
    records = _manifest(blurry.parent)
    found = []
    for name, path in inputs.items():
        pair = StoredPixels(path, cache), StoredPixels(targets[name], cache)
        # A photograph that asks to be shown turned may say so in one of the two files only.
        if sorted(pair[0].size) != sorted(pair[1].size):
            raise ImageFileError(different_sizes(str(path), pair[0].size, pair[1].size))
        kernel, record = blurry.parent / KERNELS / f"{name}.npy", records.get(name, {})
        folders = (*PurePosixPath(place).parts, *PurePosixPath(name).parts[:-1])
        found.append(
            Photograph(
                "/".join((*PurePosixPath(place).parts, name)),
                pair[1],
                pair[0],
                kernel if kernel.is_file() else None,
                str(record.get("source") or "/".join(f for f in folders if not part_of([f]))),
                part_of(folders),
                str(record.get("fingerprint", "")),
            )
        )
    return found


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their path in it, without the suffix."""
    found: dict[str, Path] = {}
    for path in find_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise ImageFileError(
                f"{found[name]} and {path} differ in their suffix alone, and pairs go by the name before"
            )
        found[name] = path
    return found


def _manifest(folder: Path) -> dict[str, Mapping[str, Any]]:
    """What `minigan deblur synthesize` noted of each pair, by name; nothing for other data sets."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {record["name"]: record for record in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageFileError(
            f"cannot read {path} ({error}); it needs the lines that minigan deblur synthesize wrote"
        ) from error


# ---------------------------------------------------------------------- frames of videos


def _averages(source: Source, folder: Path, cache: PixelCache) -> list[Photograph]:
    """Means of successive frames, none of which is in two of them."""
    videos: dict[Path, list[Path]] = defaultdict(list)
    for path in find_images(folder):
        videos[path.parent].append(path)
    found = []
    for video, frames in videos.items():
        frames.sort(key=lambda path: _counted(path.name))
        place = video.relative_to(folder)
        group = "/".join(f for f in place.parts if not part_of([f])) or folder.resolve().name
        for paths in _runs(frames, source.frames):
            middle = paths[len(paths) // 2]
            sharp, blurry = StoredPixels(middle, cache), AveragedPixels(paths, cache)
            name = middle.relative_to(folder).as_posix()
            found.append(Photograph(name, sharp, blurry, group=group, part=part_of(place.parts)))
    if not found:
        raise ImageFileError(
            f"no folder in {folder} holds {source.frames} frames, which one blurry picture takes"
        )
    return found


def _runs(frames: list[Path], length: int) -> Iterator[list[Path]]:
    """Successive groups of `length`; what is left at the end belongs to none."""
    for start in range(0, len(frames) - length + 1, length):
        yield frames[start : start + length]


def _counted(name: str) -> list[tuple[int, str]]:
    """A key by which frame 10 comes after frame 9."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", name)]


_READERS: dict[str, Callable[[Source, Path, PixelCache], list[Photograph]]] = {
    "photographs": _sharp_ones,
    "pairs": _pairs,
    "side-by-side": _side_by_side,
    "frames": _averages,
}
