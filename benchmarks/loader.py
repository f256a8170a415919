"""Training steps with batches drawn ahead by helper processes, over those that draw them in between.

    python benchmarks/loader.py

Contenders take turns in one run: a training of the default networks for each, on the same made
photographs, whose processes are forked before the clocks start. What is printed is the ratio of the
medians. Where all processors are busy with the training itself, no ratio below 1 is to be expected.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from timing import HostClock, free_blas, interleaved, write

from minigan.core.parallel import workers
from minigan.deblur.photographs import Photograph
from minigan.deblur.settings import PRESETS
from minigan.deblur.train import Trainer
from minigan.devices.cpu.memory import keep_freed_memory

IN_PLACE = "drawn in place"


def photographs(count: int = 8, size: tuple[int, int] = (480, 640)) -> list[Photograph]:
    """What is timed does not depend on what they show."""
    rng = np.random.default_rng(0)
    return [Photograph(str(i), rng.integers(0, 256, (3, *size), np.uint8)) for i in range(count)]


def measured(
    loaders: list[int], threads: int, device: str, steps: int, rounds: int
) -> dict[str, Any]:
    """Seconds of some steps for each number of loaders, and none."""
    keep_freed_memory()
    settings = replace(PRESETS["small"], adversarial_from=1.0)
    with workers(threads) as pool, ExitStack() as scope:
        calls, pairs = {}, None
        for count in (0, *loaders):
            trainer = Trainer(settings, photographs(), pairs, device, count)
            pairs = trainer.pairs  # to draw kernels once is enough
            team = scope.enter_context(trainer.in_processes(pool))

            def some(trainer: Trainer = trainer, team: Any = team) -> None:
                for _ in range(steps):
                    trainer.step(team)

            calls[f"{count} loaders" if count else IN_PLACE] = some
        return interleaved(calls, HostClock(pause=0.02), rounds, cold=False)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--loaders", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20, help="of which a sample consists")
    parser.add_argument("--rounds", type=int, default=9, help="samples of each contender in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    runs = [
        measured(chosen.loaders, chosen.threads, chosen.device, chosen.steps, chosen.rounds)
        for _ in range(chosen.runs)
    ]
    ratios = {
        name: sorted(run[name].median / run[IN_PLACE].median for run in runs)
        for name in runs[0]
        if name != IN_PLACE
    }
    for name, found in ratios.items():
        middle = statistics.median(found)
        print(f"{name} / {IN_PLACE} {middle:.2f}  ({found[0]:.2f} to {found[-1]:.2f})")
    result = {
        "threads": chosen.threads,
        "device": chosen.device,
        "steps of a sample": chosen.steps,
        "ratios": ratios,
        "seconds": [{name: s.as_json() for name, s in run.items()} for run in runs],
    }
    write(result, chosen.out, f"loader-{chosen.device}.json")


if __name__ == "__main__":
    main()
