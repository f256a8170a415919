"""Train the weights that `minigan deblur restore` uses where it is given no others.

    python recipes/restorer.py --run runs/restorer --out minigan/deblur/weights/restorer.safetensors

Like `minigan deblur train --preset small`, but on eight photographs in the public domain and on nothing
else, for longer, and with less say for the critic: who restores a photograph wants it sharper, but wants
to find in it what was there. An interrupted run goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from features import PHOTOGRAPHS

from minigan.cli.progress import TrainingProgress
from minigan.core.parallel import workers
from minigan.deblur import run
from minigan.deblur.model import FILE_NAME
from minigan.deblur.photographs import Photograph, Split, bundled_photographs
from minigan.deblur.report import verdict
from minigan.deblur.settings import PRESETS
from minigan.devices.cpu.memory import keep_freed_memory
from minigan.files import ensure_folder

# Measured on, never trained on.
UNSEEN = "china", "coins", "flower", "motorcycle_left"


def chosen(names: tuple[str, ...]) -> tuple[Photograph, ...]:
    """Bundled photographs by name."""
    found = {p.name: p for part in bundled_photographs() for p in part}
    return tuple(found[name] for name in names)


def main() -> None:
    """Train, measure, copy the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=24_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    settings = replace(
        PRESETS["small"],
        steps=given.steps,
        seed=given.seed,
        adversarial_weight=7e-4,
        adversarial_from=0.7,
        averaging=0.999,
    )
    job = run.Run(
        ensure_folder(given.run),
        settings,
        Split(chosen(PHOTOGRAPHS), chosen(UNSEEN)),
        False,
        ["python", *sys.argv],
        version("minigan"),
    )
    keep_freed_memory()
    with workers() as pool, TrainingProgress() as progress:
        rows = run.perform(job, pool, progress, progress.say)
    print(verdict(rows, run.OURS))
    shutil.copyfile(given.run / FILE_NAME, given.out)


if __name__ == "__main__":
    main()
