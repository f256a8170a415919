"""Sketch to photo: a drawing of the edges goes in, and a photograph shall come out.

    python examples/sketch.py

What was blurred can be computed back, more or less. Here nobody can: a sketch does not say what lay
between its lines. A network that learns by L1 alone gives the median of all that it might have been, a
soft grey something. It is right on average and looks like no photograph. This is what the critic is for:
it knows what photographs look like, and a soft grey something is none.

So two networks are trained that differ in nothing but the critic, and are asked two things about
photographs that they have never seen: how near are the pictures (PSNR), and how much fine detail have
they, beside a real photograph's (the sharpness ratio, 1 is ideal)?
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from minigan.cli.deblur.table import print_table
from minigan.cli.progress import TrainingProgress
from minigan.core.parallel import workers
from minigan.deblur import run
from minigan.deblur.photographs import bundled_photographs
from minigan.deblur.settings import PRESETS
from minigan.devices.cpu.memory import keep_freed_memory
from minigan.runs import new_folder

STEPS = 2000


def main(folder: Path | None = None, steps: int = STEPS) -> None:
    """Train both, compare them, and say what came of it."""
    settings = replace(
        PRESETS["small"],
        task="sketch",
        steps=steps,
        batch=4,
        adversarial_from=0.3,
        adversarial_weight=0.02,
    )
    job = run.Run(
        new_folder(folder, "sketch"),
        settings,
        bundled_photographs(),
        twin=True,
        command=shlex.split(
            f"minigan deblur train --task sketch --twin --steps {steps} --batch 4 "
            "--adversarial-from 0.3 --adversarial-weight 0.02"
        ),
        version=version("minigan"),
    )
    keep_freed_memory()
    with workers() as pool, TrainingProgress() as progress:
        rows = run.perform(job, pool, progress, progress.say)
    print_table(rows)

    sketch, gan, twin = rows[0], rows[-2], rows[-1]
    print(f"Against the sketch: {gan.psnr.mean - sketch.psnr.mean:+.2f} dB", end="; ")
    print(f"sharpness ratio {gan.sharpness.mean:.2f}, without the critic {twin.sharpness.mean:.2f}")
    print(f"Pictures in {job.folder}/report.html")
    if steps >= STEPS:
        assert gan.psnr.mean > sketch.psnr.mean + 1
        assert abs(gan.sharpness.mean - 1) < abs(twin.sharpness.mean - 1)


if __name__ == "__main__":
    main()
