"""What an operation costs besides its arithmetic, beside PyTorch: tiny arrays, small graphs, the import.

    python benchmarks/overhead.py                    # writes benchmarks/results/overhead-cpu.json

    one operation   forward, backward and the gradients, on arrays of 2 x 2
    a chain         100 multiplications in a row: the cost of another node, without that of beginning
    a small net     two hidden layers of 16 on a batch of one (micrograd's demonstration), and Adam's step
    the import      of a fresh process, until the first tensor is made

One thread each: nothing here is worth dividing. The contenders take turns within a run; a ratio is our
median over PyTorch's.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from timing import HostClock, free_blas, interleaved, over_runs, write

import minigan as mg
from minigan import nn, optim

CHAIN = 100
WIDTHS = (2, 16, 16, 1)
IMPORTS = {
    "minigan": "import minigan; minigan.tensor([1.0])",
    "torch": "import torch; torch.tensor([1.0])",
}

Contenders = dict[str, Callable[[], Any]]

# Each takes x, y and the library; some use one of them only.
OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "x + y": lambda x, y, lib: x + y,
    "x - y": lambda x, y, lib: x - y,
    "x * y": lambda x, y, lib: x * y,
    "x / y": lambda x, y, lib: x / y,
    "x * 2": lambda x, y, lib: x * 2.0,
    "x @ y": lambda x, y, lib: x @ y,
    "exp(x)": lambda x, y, lib: lib.exp(x),
    "relu(x)": lambda x, y, lib: lib.relu(x),
    "tanh(x)": lambda x, y, lib: lib.tanh(x),
    "x.sum()": lambda x, y, lib: x.sum(),
    "x.mean()": lambda x, y, lib: x.mean(),
    "x.reshape(4)": lambda x, y, lib: x.reshape(4),
    "x[0]": lambda x, y, lib: x[0],
}
_OF_TWO = ("+", "-", "* y", "/", "@")


def libraries() -> dict[str, Any]:
    """Both, with one thread."""
    import torch

    torch.set_num_threads(1)
    return {"minigan": mg, "torch": torch}


def leaf(lib: Any, values: np.ndarray) -> Any:
    """A tensor that requires a gradient."""
    if lib is mg:
        return mg.tensor(values, requires_grad=True)
    return lib.tensor(values, requires_grad=True)


def gradients(lib: Any, out: Any, inputs: list[Any], flowing: Any) -> Any:
    """d(out)/d(inputs)."""
    return (mg.grad if lib is mg else lib.autograd.grad)(out, inputs, flowing)


def one_operation(name: str) -> Contenders:
    """Forward and backward of an operation on 2 x 2 numbers."""
    function = OPERATIONS[name]
    values = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)

    def of(lib: Any) -> Callable[[], Any]:
        x, y = leaf(lib, values), leaf(lib, values + 1)
        inputs = [x, y] if any(sign in name for sign in _OF_TWO) else [x]
        ones = np.ones(tuple(function(x, y, lib).shape), np.float32)
        flowing = mg.tensor(ones) if lib is mg else lib.from_numpy(ones)
        return lambda: gradients(lib, function(x, y, lib), inputs, flowing)

    return {name: of(lib) for name, lib in libraries().items()}


def chain() -> Contenders:
    """A hundred products, forward and backward."""

    def of(lib: Any) -> Callable[[], Any]:
        x = leaf(lib, np.full((2, 2), 0.99, np.float32))

        def run() -> Any:
            y = x
            for _ in range(CHAIN):
                y = y * x
            return gradients(lib, y.sum(), [x], None)

        return run

    return {name: of(lib) for name, lib in libraries().items()}


def small_net() -> Contenders:
    """A training step of a net with some hundred weights on one sample."""

    def layers(lib: Any) -> list[Any]:
        found: list[Any] = []
        for inputs, outputs in pairwise(WIDTHS):
            found += [lib.Linear(inputs, outputs), lib.Tanh()]
        return found[:-1]

    def of(lib: Any) -> Callable[[], Any]:
        layer = nn if lib is mg else lib.nn
        net = layer.Sequential(*layers(layer))
        adam = (optim if lib is mg else lib.optim).Adam(net.parameters(), lr=1e-3)
        x = np.array([[0.5, -0.5]], np.float32)
        sample = mg.tensor(x) if lib is mg else lib.from_numpy(x)

        def run() -> None:
            adam.zero_grad()
            error = net(sample) - 1.0
            (error * error).sum().backward()
            adam.step()

        return run

    return {name: of(lib) for name, lib in libraries().items()}


# ---------------------------------------------------------------------- side by side


def measured(name: str, contenders: Contenders, rounds: int, runs: int) -> dict[str, Any]:
    """Everything about one case, as it goes into the file."""
    clock = HostClock(least=0.01)
    found = [interleaved(contenders, clock, rounds, cold=False) for _ in range(runs)]
    row = over_runs(found)
    medians = {c: statistics.median(run[c].median for run in found) for c in contenders}
    both = " / ".join(f"{1e6 * seconds:.1f}" for seconds in medians.values())
    low, high = row["ratios"][0], row["ratios"][-1]
    print(f"{name:14} {row['ratio']:5.2f}  ({low:.2f} to {high:.2f})  {both} us", flush=True)
    return {"case": name, **row}


def imports(rounds: int) -> dict[str, Any]:
    """Seconds that a fresh process takes for its first tensor, less those for nothing."""
    programs = IMPORTS | {"nothing": "pass"}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, program in programs.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            seconds[name].append(time.perf_counter() - begin)
    medians = {
        name: statistics.median(s[1:]) for name, s in seconds.items()
    }  # the first fills caches
    ours, theirs = (medians[name] - medians["nothing"] for name in IMPORTS)
    print(f"{'the import':14} {ours / theirs:5.2f}  {1e3 * ours:.0f} / {1e3 * theirs:.0f} ms")
    return {"ratio": ours / theirs, "seconds": medians}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="samples of each contender in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    cases = {name: one_operation(name) for name in OPERATIONS}
    cases |= {"a chain": chain(), "a small net": small_net()}
    print("minigan / torch")
    rows = [measured(name, c, chosen.rounds, chosen.runs) for name, c in cases.items()]
    single = [math.log(row["ratio"]) for row in rows if row["case"] in OPERATIONS]
    mean = math.exp(statistics.mean(single))
    print(f"geometric mean of single operations: {mean:.2f}")
    found = {
        "threads": 1,
        "command": f"python benchmarks/overhead.py --rounds {chosen.rounds} --runs {chosen.runs}",
        "geometric mean of single operations": mean,
        "cases": rows,
        "import": imports(chosen.rounds),
    }
    write(found, chosen.out, "overhead-cpu.json")


if __name__ == "__main__":
    main()
