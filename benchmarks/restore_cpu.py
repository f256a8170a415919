"""A picture of 1280 x 720 restored on the CPU, beside PyTorch: the same generator, the same tiles.

    python benchmarks/restore_cpu.py                 # writes benchmarks/results/restore-cpu.json

Ours are two processes that restore a tile each, forked before the clocks start; PyTorch's two threads
divide every layer of one tile. How the picture is cut, mirrored at its borders and blended is minigan's
own code for both. The pictures are compared before the clocks start. Peak memory is that of a command
that does nothing else, of all its processes together.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from peak import peak_megabytes
from timing import HostClock, free_blas, interleaved, over_runs, write

import minigan as mg
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model
from minigan.deblur.networks import GeneratorSettings, UnetGenerator
from minigan.deblur.restore import restore, restorer
from minigan.devices.cpu.memory import keep_freed_memory

THREADS = 2
SIZE = (720, 1280)
CONTENDERS = ("minigan", "torch nchw", "torch nhwc")

Restorer = Callable[[np.ndarray], np.ndarray]


def model_of(generator: Any) -> Model:
    """The default model, but for its generator."""
    settings = GeneratorSettings()
    return Model(generator, settings, 64, BlurSettings(), [], LeastSquaresFilter())


def our_generator() -> UnetGenerator:
    """The default one; its last layer, which begins as zeros, has weights to compute with."""
    mg.manual_seed(0)
    generator = UnetGenerator()
    last = generator.leave.weight
    last.copy_(0.01 * np.random.default_rng(0).standard_normal(last.shape))
    return generator


class TorchGenerator:
    """minigan.deblur.networks.UnetGenerator, word for word in PyTorch, as restore() calls it."""

    def __init__(self, ours: UnetGenerator, layout: str):
        import torch

        self._form = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        self._weights = {
            name: torch.from_numpy(p.numpy().copy()).contiguous(
                memory_format=self._form if p.ndim == 4 else torch.contiguous_format
            )
            for name, p in ours.named_parameters()
        }
        self._blocks = len(list(ours.blocks.children()))
        self._as_ours = ours.parameters

    def parameters(self) -> list[Tensor]:
        """By which restore() finds the device."""
        return self._as_ours()

    def __call__(self, blurry: Tensor) -> Tensor:
        """(N, 3, H, W) -> the same."""
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(blurry._array).contiguous(memory_format=self._form)
            return Tensor(self._restored(x).contiguous().numpy())

    def _restored(self, blurry: Any) -> Any:
        import torch.nn.functional as f

        def conv(name: str, x: Any, stride: int = 1) -> Any:
            weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
            return f.conv2d(x, weight, bias, stride=stride, padding=1)

        def double(x: Any) -> Any:
            return f.interpolate(x, scale_factor=2, mode="nearest")

        fine = f.relu(conv("enter", blurry - 0.5))
        middle = f.relu(conv("down1", fine, 2))
        coarse = f.relu(conv("down2", middle, 2))
        for i in range(self._blocks):
            coarse = coarse + conv(f"blocks.{i}.conv2", f.relu(conv(f"blocks.{i}.conv1", coarse)))
        middle = f.relu(conv("up1", double(coarse))) + middle
        fine = f.relu(conv("up2", double(middle))) + fine
        return blurry + conv("leave", fine)


def contender(name: str, scope: ExitStack) -> Restorer:
    """One of them; its processes end with the scope."""
    ours = our_generator()
    if name == "minigan":
        pool = scope.enter_context(workers(THREADS))
        return scope.enter_context(restorer(model_of(ours), pool))
    theirs = model_of(TorchGenerator(ours, name.removeprefix("torch ")))
    return lambda picture: restore(theirs, picture)


def picture_of(size: tuple[int, int]) -> np.ndarray:
    """What is timed does not depend on what it shows."""
    return np.random.default_rng(0).random((3, *size), dtype=np.float32)


def prepared(name: str) -> None:
    """Threads, and memory that is kept."""
    keep_freed_memory()
    if name != "minigan":
        import torch

        torch.set_num_threads(THREADS)


# ---------------------------------------------------------------------- time, memory


def times(size: tuple[int, int], rounds: int, runs: int) -> dict[str, Any]:
    """Ratios of the time, and every sample."""
    prepared("torch")
    picture = picture_of(size)
    with ExitStack() as scope:
        restorers = {name: contender(name, scope) for name in CONTENDERS}
        expected = restorers["torch nchw"](picture)
        for name, run in restorers.items():
            if not np.allclose(run(picture), expected, atol=1e-4):
                sys.exit(f"the picture of {name} is not that of PyTorch")
        calls = {name: (lambda run=run: run(picture)) for name, run in restorers.items()}
        clock = HostClock(pause=0.02)
        found = [interleaved(calls, clock, rounds, cold=False) for _ in range(runs)]
    return over_runs(found)


def peak_of(name: str, size: tuple[int, int]) -> float:
    """Megabytes of a process of its own, and those it makes, at most."""
    command = [sys.executable, __file__, "--alone", name, "--size", *map(str, size)]
    return peak_megabytes(command)


def alone(name: str, size: tuple[int, int]) -> None:
    """Restore the picture twice in this process."""
    prepared(name)
    picture = picture_of(size)
    with ExitStack() as scope:
        run = contender(name, scope)
        for _ in range(2):
            run(picture)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="samples of each contender in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--alone", choices=CONTENDERS, help="print the peak memory of one, no more")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    size = tuple(chosen.size)
    free_blas()
    if chosen.alone:
        alone(chosen.alone, size)
        return
    memory = {name: peak_of(name, size) for name in CONTENDERS}
    time = times(size, chosen.rounds, chosen.runs)
    share = memory["minigan"] / min(memory[name] for name in CONTENDERS[1:])
    low, high = time["ratios"][0], time["ratios"][-1]
    print(f"time: minigan / torch {time['ratio']:.2f}  ({low:.2f} to {high:.2f})")
    for name in CONTENDERS:
        median = statistics.median(run[name]["median"] for run in time["seconds"])
        print(f"    {name:12} {median:6.2f} s, {memory[name]:5.0f} MB")
    print(f"peak memory: minigan / torch {share:.2f}")
    found = {
        "threads": THREADS,
        "command": f"python benchmarks/restore_cpu.py --rounds {chosen.rounds} --runs {chosen.runs}",
        "size": size,
        "time": time,
        "megabytes": memory,
        "memory ratio": share,
    }
    write(found, chosen.out, "restore-cpu.json")


if __name__ == "__main__":
    main()
