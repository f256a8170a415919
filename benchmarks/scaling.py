"""How a training step's time grows with the picture, the batch and the channels; and one thread or two.

    python benchmarks/scaling.py                     # writes benchmarks/results/scaling-cpu.json

The generator's step of step_cpu.py, varied in one thing at a time; on each line minigan and PyTorch (its
better layout) take turns, with one processor each and with two.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from step_cpu import Case, contenders
from timing import HostClock, Samples, free_blas, interleaved, ratio_of, write

from minigan.core.parallel import workers
from minigan.devices.cpu.memory import keep_freed_memory

MIDDLE = Case("generator", 4, 64)
VARIED: dict[str, list[Case]] = {
    "side": [replace(MIDDLE, size=size) for size in (32, 64, 128, 256)],
    "batch": [replace(MIDDLE, batch=batch) for batch in (1, 2, 4, 8, 16)],
    "width": [replace(MIDDLE, width=width) for width in (8, 16, 32, 64)],
}


def measured(case: Case, threads: int, rounds: int) -> dict[str, Samples]:
    """Each contender's samples on so many threads."""
    import torch

    torch.set_num_threads(threads)
    with workers(threads) as pool, ExitStack() as scope:
        steps = contenders(case, pool, scope)
        return interleaved(steps, HostClock(pause=0.02, least=0.1), rounds, cold=False)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="samples of each contender")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try it out")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    keep_freed_memory()
    varied = VARIED
    if chosen.tiny:
        varied = {"side": [Case("generator", 2, size, 4, 1) for size in (16, 32)]}
    rows: list[dict[str, Any]] = []
    print(f"{'':12} minigan / torch   minigan, ms        two processors for one")
    print(f"{'':12}   one    two       one      two      minigan   torch")
    for what, cases in varied.items():
        for case in cases:
            found = [measured(case, threads, chosen.rounds) for threads in (1, 2)]
            ours = [samples["minigan"].median for samples in found]
            theirs = [samples["minigan"].median / ratio_of(samples) for samples in found]
            value = getattr(case, "size" if what == "side" else what)
            print(
                f"{what:6} {value:4}  {ours[0] / theirs[0]:5.2f}  {ours[1] / theirs[1]:5.2f}  "
                f"{1e3 * ours[0]:8.1f} {1e3 * ours[1]:8.1f}  {ours[0] / ours[1]:8.2f} "
                f"{theirs[0] / theirs[1]:8.2f}",
                flush=True,
            )
            rows.append(
                {
                    "varied": what,
                    "value": value,
                    "ratios": [a / b for a, b in zip(ours, theirs, strict=True)],
                    "seconds": [{n: s.as_json() for n, s in run.items()} for run in found],
                }
            )
    ratios = [row["ratios"][1] for row in rows]
    print(f"median of the ratios on two processors: {statistics.median(ratios):.2f}")
    command = f"python benchmarks/scaling.py --rounds {chosen.rounds}"
    write({"command": command, "steps": rows}, chosen.out, "scaling-cpu.json")


if __name__ == "__main__":
    main()
