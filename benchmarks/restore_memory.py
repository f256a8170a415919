"""The memory that `minigan deblur restore` takes for large photographs, at most, all processes together.

    python benchmarks/restore_memory.py              # writes benchmarks/results/restore-memory.json

The photographs are a bundled one, enlarged, with noise: JPEG of 1, 24 and 50 megapixels, and PNG of 24
with 16 bits of colour. The model has the default size; its weights, which no one trained, cost as much.
The command prints its own time per megapixel.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from peak import peak_megabytes
from restore_cpu import model_of, our_generator
from timing import write

from minigan.core.errors import require
from minigan.deblur.model import save_model
from minigan.deblur.photographs import bundled_photographs
from minigan.images import Levels, write_levels

# Name, height, width, bits, and the most megabytes that it may take.
CASES = (
    ("1 megapixel, JPEG", 816, 1225, 8, 400),
    ("24 megapixels, JPEG", 4000, 6000, 8, 1500),
    ("50 megapixels, JPEG", 5792, 8688, 8, 1500),
    ("24 megapixels, 16 bits, PNG", 4000, 6000, 16, 1500),
)


def photograph(height: int, width: int, bits: int) -> np.ndarray:
    """(H, W, 3): a row at a time gets its noise, so that this takes little memory, too."""
    pillow = require("PIL.Image", "deblur", "enlarge a photograph")
    pixels = next(p for p in bundled_photographs().unseen if p.name == "coffee").pixels
    large = pillow.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    values = np.array(large.resize((width, height), pillow.Resampling.BICUBIC))
    rng = np.random.default_rng(0)
    for row in values:
        row[...] = np.clip(row + rng.normal(0, 3, row.shape), 0, 255)
    return values if bits == 8 else values.astype(np.uint16) * 257


def peak_of(folder: Path, height: int, width: int, bits: int) -> float:
    """Megabytes of a command that restores one photograph."""
    picture = folder / ("photo.jpg" if bits == 8 else "photo.png")
    write_levels(picture, Levels(photograph(height, width, bits)))
    command = [sys.executable, "-m", "minigan", "deblur", "restore", str(picture), "--force"]
    return peak_megabytes([*command, "--model", str(folder / "model.safetensors")])


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=[name for name, *_ in CASES], help="one photograph")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    found = {}
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        model = model_of(our_generator())
        model.least_squares.kernel = np.zeros((9, 9), np.float32)
        save_model(folder / "model.safetensors", model)
        for name, height, width, bits, most in CASES:
            if chosen.only not in (None, name):
                continue
            peak = peak_of(folder, height, width, bits)
            print(f"{name:30} {peak:5.0f} MB of at most {most}", flush=True)
            found[name] = {"megabytes": peak, "at most": most}
    command = "python benchmarks/restore_memory.py"
    write({"command": command, "photographs": found}, chosen.out, "restore-memory.json")
    if any(row["megabytes"] > row["at most"] for row in found.values()):
        sys.exit("more memory than there should be")


if __name__ == "__main__":
    main()
