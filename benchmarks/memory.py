"""The memory that training takes, beside PyTorch: the most a process of its own ever had.

    python benchmarks/memory.py                      # writes benchmarks/results/memory-cpu.json

The steps are those of step_cpu.py, three of each. A process is measured when all is imported and the
networks are made, and again in the end; that includes the libraries themselves. On Linux.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import networks
import step_cpu
from step_cpu import CASES, THREADS, Case
from timing import free_blas, peak_megabytes, write

import minigan as mg
from minigan import nn
from minigan.core.parallel import workers
from minigan.devices.cpu.memory import keep_freed_memory

STEPS = 3
CONTENDERS = ("minigan", "torch nchw", "torch nhwc")


def alone(name: str, case: Case) -> None:
    """Train some steps in this process, and print its memory."""
    keep_freed_memory()
    mg.manual_seed(0)
    arrays = {
        "generator": networks.weights(networks.generator(nn, case.width, case.blocks)),
        "critic": networks.weights(networks.critic(nn, case.width)),
    }
    kind = "generator" if case.kind == "generator" else "gan"
    with workers(THREADS) as pool:
        if name == "minigan":
            step = getattr(step_cpu, f"our_{kind}_step")(case, arrays, pool)
        else:
            import torch

            torch.set_num_threads(THREADS)
            step = getattr(step_cpu, f"torch_{kind}_step")(
                case, arrays, name.removeprefix("torch ")
            )
        made = peak_megabytes()
        for _ in range(STEPS):
            step()
    print(json.dumps({"made": made, "peak": peak_megabytes()}))


def measured(name: str, case: Case) -> dict[str, float]:
    """What `alone` prints, in a process of its own."""
    command = [sys.executable, __file__, "--alone", name, "--only", case.name]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=[case.name for case in CASES], help="one case")
    parser.add_argument("--alone", choices=CONTENDERS, help="print the memory of one, no more")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    cases = [case for case in CASES if chosen.only in (None, case.name)]
    if chosen.alone:
        alone(chosen.alone, cases[0])
        return
    rows = []
    for case in cases:
        found = {name: measured(name, case) for name in CONTENDERS}
        best = min(found[name]["peak"] for name in CONTENDERS[1:])
        ratio = found["minigan"]["peak"] / best
        peaks = ", ".join(
            f"{n} {f['peak']:.0f} ({f['made']:.0f} at first)" for n, f in found.items()
        )
        print(f"{case.name:30} minigan / torch {ratio:.2f}  MB: {peaks}", flush=True)
        rows.append({"case": case.name, "ratio": ratio, "megabytes": found})
    command = "python benchmarks/memory.py"
    write({"command": command, "steps": rows}, chosen.out, "memory-cpu.json")


if __name__ == "__main__":
    main()
