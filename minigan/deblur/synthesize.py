"""A blurred data set in a folder, which training and evaluation read back as pairs.

blur/NAME.png     the blurry pictures
sharp/NAME.png    the sharp ones, without the margin that blurring takes
kernels/NAME.npy  what blurred each, float32 (rows, columns); NAME.png beside it is there to be looked at
manifest.jsonl    a line for each pair that is complete: what it was cut out of, and all that was drawn
synthesis.json    how the set was made; the same command goes on where it was interrupted
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, ModelFileError, OutputPathError
from minigan.core.tensor import Array
from minigan.deblur.blur import BlurSettings
from minigan.deblur.crops import Crop, place_crop
from minigan.deblur.degradation import Degraded
from minigan.deblur.layouts import BLURRY, KERNELS, MANIFEST, SHARP
from minigan.deblur.photographs import Photograph, check_sizes, fingerprint, read_all
from minigan.files import atomic_write, ensure_folder, remove_leftovers
from minigan.images import write_image
from minigan.runs import LOCK, json_lines, owned, read_json, write_json

RECORD = "synthesis.json"
SMALLEST = 16  # pixels of a side, below which nothing can be measured
_SHOWN = 8  # times a kernel is enlarged, to be looked at


@dataclass(frozen=True)
class SynthesisSettings:
    """What is made of each photograph, besides its name: all that decides the bits.

    size  side of square crops, in pixels; None takes photographs as a whole
    each  how many pairs of a photograph
    """

    blur: BlurSettings = field(default_factory=lambda: BlurSettings(exposure=1.0))
    size: int | None = None
    each: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size is not None and self.size < SMALLEST:
            raise ArgumentError(
                f"the size of crops is {self.size} pixels; it needs {SMALLEST} or more"
            )
        if self.each < 1:
            raise ArgumentError(f"the number of pairs of each photograph is {self.each}")


def synthesize(
    photographs: Sequence[Photograph],
    settings: SynthesisSettings,
    folder: Path,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Write the data set; returns how many pairs were written, beyond those that were there already.

    A pair depends on the seed and its number alone. Each file is written whole or not at all, and a pair
    is in the manifest once all its files are there; interrupted, the same call goes on. `progress` hears
    how many are done.

    Raises OutputPathError for a folder that holds anything else, or cannot be written to; ImageFileError
    for a photograph that cannot be read or is too small. Nothing is ever overwritten.
    """
    check_sizes(photographs, settings.size or SMALLEST, settings.blur.margin)
    read_all(photographs)
    ensure_folder(folder)
    with owned(folder):
        _begin(folder, photographs, settings)
        manifest = folder / MANIFEST
        done, kept = _complete(manifest)
        names = _names(photographs)
        written = 0
        with json_lines(manifest, keep=kept) as note:
            for i, photograph in enumerate(photographs):
                for k in range(settings.each):
                    name = names[i] if settings.each == 1 else f"{names[i]}-{k + 1:03}"
                    if name not in done:
                        record = _write_pair(folder, name, photograph, settings, (i, k))
                        note({"name": name, **record})
                        written += 1
                    progress(i * settings.each + k + 1)
    return written


def _begin(folder: Path, photographs: Sequence[Photograph], settings: SynthesisSettings) -> None:
    """Make sure that the folder is ours, and tidy it."""
    record = {
        "settings": asdict(settings),
        "photographs": [[p.name, *p.size] for p in photographs],
    }
    path = folder / RECORD
    if path.exists():
        try:
            same = read_json(path) == record
        except ModelFileError as error:
            raise OutputPathError(f"{folder} holds a data set, but {error}") from error
        if not same:
            raise OutputPathError(
                f"{folder} holds a data set of other photographs or settings; name another folder"
            )
    elif any(file.name != LOCK for file in folder.iterdir()):
        raise OutputPathError(
            f"{folder} holds other files; a data set needs a new or an empty folder"
        )
    remove_leftovers(folder)
    write_json(path, record)


def _complete(manifest: Path) -> tuple[set[str], int]:
    """The names of the pairs that are complete, and the bytes of the manifest that say so."""
    if not manifest.exists():
        return set(), 0
    content = manifest.read_bytes()
    kept = content.rfind(b"\n") + 1  # after which a line was cut off
    try:
        return {json.loads(line)["name"] for line in content[:kept].splitlines()}, kept
    except (ValueError, KeyError, TypeError) as error:
        raise OutputPathError(
            f"{manifest} is damaged ({error}), so that nobody knows which pairs are complete; name "
            "another folder"
        ) from error


def _names(photographs: Sequence[Photograph]) -> list[str]:
    """Paths without suffix, one for each; where two differ in it alone, it stays."""
    short = [PurePosixPath(p.name).with_suffix("").as_posix() for p in photographs]
    counts = Counter(short)
    return [s if counts[s] == 1 else p.name for s, p in zip(short, photographs, strict=True)]


def _write_pair(
    folder: Path,
    name: str,
    photograph: Photograph,
    settings: SynthesisSettings,
    number: tuple[int, int],
) -> dict[str, Any]:
    """Make a pair and write its files; what the manifest says of it."""
    rng = np.random.default_rng([settings.seed, *number])
    pair, place = _made(rng, photograph, settings)
    for part, picture in ((SHARP, pair.sharp), (BLURRY, pair.input)):
        write_image(_file(folder / part, f"{name}.png"), picture)
    if pair.kernel is not None:
        path = _file(folder / KERNELS, f"{name}.npy")
        with atomic_write(path) as temporary:
            np.save(temporary, pair.kernel)
        write_image(path.with_name(path.name.removesuffix(".npy") + ".png"), _visible(pair.kernel))
    return {
        "source": photograph.name,
        "fingerprint": fingerprint(photograph),
        "crop": dict(zip(("top", "left", "height", "width"), place, strict=True)),
        "seed": [settings.seed, *number],
        **pair.facts,
    }


def _made(
    rng: np.random.Generator, photograph: Photograph, settings: SynthesisSettings
) -> tuple[Degraded, tuple[int, int, int, int]]:
    """A pair, and where in the photograph it is: top, left, height, width."""
    blur = settings.blur
    margin = blur.margin if photograph.blurry is None else 0
    height, width = photograph.pixels.shape[1:]
    if settings.size is None:
        crop, rows, columns = (
            Crop(0, 0, max(height, width)),
            height - 2 * margin,
            width - 2 * margin,
        )
    else:
        side = settings.size + 2 * margin
        crop = place_crop(rng, photograph.name, (height, width), side, flips=False, turns=False)
        rows = columns = settings.size
    if photograph.blurry is None:
        pair = blur.draw(rng, crop.of(photograph.pixels))
        facts = {"exposure": blur.exposure, "photon_gain": blur.photon_gain, **pair.facts}
        pair = Degraded(pair.input, pair.sharp, pair.kernel, facts)
    else:
        blurry, sharp = photograph.pair()
        pair = Degraded(crop.of(blurry), crop.of(sharp))
    return pair, (crop.top + margin, crop.left + margin, rows, columns)


def _file(folder: Path, name: str) -> Path:
    """A file in a folder of the data set, which is made where it is missing."""
    path = folder / name
    if not path.parent.is_dir():
        ensure_folder(path.parent)
    return path


def _visible(kernel: Array) -> Array:
    """The kernel as a picture, its strongest pixel white, each pixel enlarged."""
    enlarged = np.kron(kernel, np.ones((_SHOWN, _SHOWN), np.float32))
    return (enlarged / max(float(kernel.max()), 1e-12))[None]
