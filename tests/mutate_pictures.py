"""Restores files that were made by damaging good pictures, and looks at what comes of it.

    python tests/mutate_pictures.py --count 600

Pictures of seven formats and many kinds are made, bytes of them changed, cut off, repeated or inserted,
and each is given to `minigan deblur restore`, in this process. Each must either be refused, with exit
status 2, one sentence that names it and nothing written, or be restored to a good picture; within a
second. On anything else the program ends with status 1 and keeps the file.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image

from minigan.cli.main import main as minigan
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model, save_model
from minigan.deblur.networks import GeneratorSettings, new_generator
from minigan.images import Levels, read_levels, write_levels

HEIGHT, WIDTH = 37, 54
SECONDS = 1.0  # for one file, at most


def model(path: Path) -> None:
    """The smallest there is; weights do not matter here."""
    settings = GeneratorSettings(width=2, blocks=0)
    kernel = LeastSquaresFilter()
    kernel.kernel = np.zeros((9, 9), np.float32)
    save_model(path, Model(new_generator(settings), settings, 32, BlurSettings(), [], kernel))


def good_pictures() -> Iterator[tuple[str, bytes]]:
    """A suffix and a file, of each format several."""
    rng = np.random.default_rng(0)
    rgba = np.kron(rng.integers(0, 256, (8, 11, 4), np.uint8), np.ones((5, 5, 1), np.uint8))
    rgba = np.ascontiguousarray(rgba[:HEIGHT, :WIDTH])
    colour, grey = Image.fromarray(rgba[..., :3].copy()), Image.fromarray(rgba[..., 0].copy())
    clear, palette = Image.fromarray(rgba), colour.quantize(16)
    notes = Image.Exif()
    notes[0x0112], notes[0x010F], notes[0x8769] = 6, "camera", {36867: "2020:01:01 10:00:00"}
    for image in (colour, grey):
        yield ".jpg", _saved(image, "JPEG", exif=notes)
        yield ".jpg", _saved(image, "JPEG", progressive=True)
        yield ".bmp", _saved(image, "BMP")
        yield ".tif", _saved(image, "TIFF")
        yield ".tif", _saved(image, "TIFF", compression="tiff_lzw")
        yield ".ppm", _saved(image, "PPM")
        yield ".gif", _saved(image, "GIF")
    for image in (colour, grey, clear, palette):
        yield ".png", _saved(image, "PNG", exif=notes)
        yield ".webp", _saved(image, "WEBP", exif=notes)
    yield ".webp", _saved(clear, "WEBP", lossless=True)
    yield ".bmp", _saved(palette, "BMP")
    yield ".gif", _saved(palette, "GIF", transparency=2)
    yield ".ppm", _saved(grey.convert("1"), "PPM")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("wide.png", "wide.tif", "all.tif"):
            values = rgba if name.startswith("all") else rgba.astype(np.uint16) * 257
            write_levels(
                Path(folder, name), Levels(values[..., :3], values[..., 3], None, notes.tobytes())
            )
            yield Path(name).suffix, Path(folder, name).read_bytes()


def _saved(image: Image.Image, name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def damaged(good: bytes, rng: random.Random) -> bytes:
    """One of several kinds of damage; half of the time near the beginning, where headers are."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 8))):
        end = min(len(data), 64) if rng.random() < 0.5 else len(data)
        at = rng.randrange(max(end, 1))
        length = rng.randint(1, 16)
        kind = rng.randrange(7)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            data[at : at + 1] = bytes([data[at] ^ 1 << rng.randrange(8)])
        elif kind == 2:
            del data[max(at, 1) :]
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = rng.randbytes(length)
        elif kind == 5:
            data[at : at + length] = bytes([rng.choice((0, 255))]) * length
        else:
            data[at:at] = data[at : at + 8 * length]
        if len(data) < 2:
            return bytes(data)
    return bytes(data)


@dataclass(frozen=True)
class Outcome:
    """What came of one file: how long it took, whether it was restored, and what is wrong with that."""

    seconds: float
    restored: bool
    fault: str = ""


def outcome_of(picture: Path, weights: Path, out: Path) -> Outcome:
    """Restore the picture to a folder, and look at all that is said and written."""
    command = ["deblur", "restore", picture, "--model", weights, "-o", out, "--threads", "1"]
    with _standard_error() as noise:
        begin = time.perf_counter()
        result = CliRunner().invoke(minigan, [str(word) for word in command])
        seconds = time.perf_counter() - begin
    written = sorted(p for p in out.rglob("*") if p.is_file()) if out.exists() else []
    restored = result.exit_code == 0
    fault = _fault(result, picture, written)
    if noise.getvalue():
        fault = f"a library wrote to standard error: {noise.getvalue()[:200]!r}"
    if seconds > SECONDS:
        fault = f"it took {seconds:.2f} s"
    return Outcome(seconds, restored, fault)


def _fault(result, picture: Path, written: list[Path]) -> str:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"a traceback: {result.exception!r}"
    lines = result.stderr.splitlines()
    if result.exit_code == 2:
        if len(lines) != 1 or not lines[0].startswith("Error: ") or picture.name not in lines[0]:
            return f"not one sentence: {result.stderr!r}"
        return f"{written} was written" if written else ""
    if result.exit_code != 0:
        return f"exit status {result.exit_code}"
    if len(written) != 1:
        return f"{written} was written"
    before, after = read_levels(picture), read_levels(written[0])
    same = before.values.shape[:2] == after.values.shape[:2]
    return "" if same and before.bit_depth == after.bit_depth else "another size or depth"


@contextlib.contextmanager
def _standard_error() -> Iterator[io.StringIO]:
    """What libraries write to the process's standard error."""
    found, saved = io.StringIO(), os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield found
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            found.write(file.read().decode(errors="replace"))


def outcomes(count: int, seed: int, base: Path) -> Iterator[tuple[Path, Outcome]]:
    """So many damaged files, the formats in turn; the files are gone when the next is asked for."""
    rng = random.Random(seed)
    by_suffix: dict[str, list[bytes]] = {}
    for suffix, content in good_pictures():
        by_suffix.setdefault(suffix, []).append(content)
    weights, out = base / "model.safetensors", base / "out"
    model(weights)
    for i in range(count):
        suffix = sorted(by_suffix)[i % len(by_suffix)]
        picture = base / f"damaged-{i}{suffix}"
        picture.write_bytes(damaged(rng.choice(by_suffix[suffix]), rng))
        yield picture, outcome_of(picture, weights, out)
        picture.unlink()
        shutil.rmtree(out, ignore_errors=True)


def main() -> None:
    """Damage, restore, look, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    restored, refused, slowest, faults = Counter(), Counter(), 0.0, 0
    with tempfile.TemporaryDirectory() as base:
        for picture, outcome in outcomes(chosen.count, chosen.seed, Path(base)):
            (restored if outcome.restored else refused)[picture.suffix] += 1
            slowest = max(slowest, outcome.seconds)
            if outcome.fault:
                faults += 1
                kept = Path(tempfile.gettempdir(), picture.name)
                shutil.copy(picture, kept)
                print(f"{kept}: {outcome.fault}", file=sys.stderr)
    for suffix in sorted(restored | refused):
        print(f"{suffix:6} {refused[suffix]:4} refused, {restored[suffix]:4} restored")
    print(
        f"{chosen.count} files, {faults} with a fault, the slowest took {slowest:.2f} s", flush=True
    )
    if faults:
        sys.exit(1)


if __name__ == "__main__":
    main()
