"""The memory that training takes, beside PyTorch: the most at any time, of all its processes together.

    python benchmarks/memory.py                      # writes benchmarks/results/memory-cpu.json

The steps are those of step_cpu.py, ten of each, in a program of their own; that includes the libraries
themselves.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import networks
import step_cpu
from peak import peak_megabytes
from step_cpu import CASES, THREADS, Case
from timing import free_blas, write

import minigan as mg
from minigan import nn
from minigan.core.parallel import workers
from minigan.devices.cpu.memory import keep_freed_memory

STEPS = 10
CONTENDERS = ("minigan", "torch nchw", "torch nhwc")


def alone(name: str, case: Case) -> None:
    """Train some steps in this process."""
    keep_freed_memory()
    mg.manual_seed(0)
    arrays = {
        "generator": networks.weights(networks.generator(nn, case.width, case.blocks)),
        "critic": networks.weights(networks.critic(nn, case.width)),
    }
    kind = "generator" if case.kind == "generator" else "gan"
    with workers(THREADS) as pool, ExitStack() as scope:
        if name == "minigan":
            step = getattr(step_cpu, f"our_{kind}_step")(case, arrays, pool, scope)
        else:
            import torch

            torch.set_num_threads(THREADS)
            make = getattr(step_cpu, f"torch_{kind}_step")
            step = make(case, arrays, name.removeprefix("torch "))
        for _ in range(STEPS):
            step()


def peak_of(name: str, case: Case) -> float:
    """The most megabytes that `alone` has in a process of its own, with the processes it makes."""
    return peak_megabytes([sys.executable, __file__, "--alone", name, "--only", case.name])


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=[case.name for case in CASES], help="one case")
    parser.add_argument("--alone", choices=CONTENDERS, help="take the steps of one, no more")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    cases = [case for case in CASES if chosen.only in (None, case.name)]
    if chosen.alone:
        alone(chosen.alone, cases[0])
        return
    rows = []
    for case in cases:
        found = {name: peak_of(name, case) for name in CONTENDERS}
        ratio = found["minigan"] / min(found[name] for name in CONTENDERS[1:])
        peaks = ", ".join(f"{name} {peak:.0f}" for name, peak in found.items())
        print(f"{case.name:30} minigan / torch {ratio:.2f}  MB: {peaks}", flush=True)
        rows.append({"case": case.name, "ratio": ratio, "megabytes": found})
    command = "python benchmarks/memory.py"
    write({"command": command, "steps": rows}, chosen.out, "memory-cpu.json")


if __name__ == "__main__":
    main()
