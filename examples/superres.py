"""Super-resolution: small photographs made twice as large, with detail that was not in them.

    python examples/superres.py

A network for this needs nothing new. It is the deblurring GAN, which gets another input: the photograph
at half of its size, enlarged again by bicubic interpolation. That is as soft as a blurry picture, and
what has to be added is as local.

The input is also the baseline, and an honest one: bicubic interpolation is what programs do when they are
asked for a larger picture. The network has to be nearer to the true one than that, on photographs that
it has never seen.
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

STEPS = 3600


def main(folder: Path | None = None, steps: int = STEPS) -> None:
    """Train, compare with bicubic interpolation, and say what came of it."""
    # Most of the way by L1 alone, which gives the PSNR; then a critic asks for the fine detail.
    settings = replace(
        PRESETS["small"], task="superres", scale=2, steps=steps, batch=4, adversarial_from=0.7
    )
    job = run.Run(
        new_folder(folder, "superres"),
        settings,
        bundled_photographs(),
        twin=False,
        command=shlex.split(
            f"minigan deblur train --task superres --steps {steps} --batch 4 --adversarial-from 0.7"
        ),
        version=version("minigan"),
    )
    keep_freed_memory()
    with workers() as pool, TrainingProgress() as progress:
        rows = run.perform(job, pool, progress, progress.say)
    print_table(rows)

    bicubic, ours = rows[0], rows[-1]
    print(f"Against bicubic: {ours.psnr.mean - bicubic.psnr.mean:+.2f} dB", end=", ")
    print(
        f"{ours.ssim.mean - bicubic.ssim.mean:+.3f} in SSIM; pictures in {job.folder}/report.html"
    )
    if steps >= STEPS:
        assert ours.psnr.mean > bicubic.psnr.mean
        assert ours.ssim.mean > bicubic.ssim.mean


if __name__ == "__main__":
    main()
