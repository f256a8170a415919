"""Whether training computes what PyTorch's does: the losses of step after step, from the same weights.

    python benchmarks/agreement.py                   # writes benchmarks/results/agreement.json

    float64          200 steps of the generator: nothing but the order of sums differs
    float32, exact   20 steps, every convolution by a direct form (minigan.exact)
    float32          20 steps, with Winograd's algorithm where it is faster

The generator, its weights and the batch are those of step_cpu.py. What is printed is the largest distance
of two losses, divided by PyTorch's, in two ways:

    step by step     before each step our weights become PyTorch's: what one step adds
    left alone       from the same weights at first. Training amplifies rounding, in PyTorch too: where
                     ReLU or the L1 loss is near its kink, a last digit decides a derivative. So PyTorch's
                     two layouts, NCHW and channels-last, are compared with each other as well
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import numpy as np
from timing import free_blas, write

import minigan as mg
from minigan import nn, optim
from minigan.core.parallel import Workers, workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu.memory import keep_freed_memory

THREADS = 2
BATCH, SIZE = 4, 64


@dataclass(frozen=True)
class Case:
    """A run, and how far apart its losses may be."""

    name: str
    dtype: str
    exact: bool
    steps: int
    bound: float


CASES = [
    Case("float64", "float64", False, 200, 1e-9),
    Case("float32, exact", "float32", True, 20, 1e-5),
    Case("float32", "float32", False, 20, 1e-4),
]


def batch_of(case: Case) -> list[np.ndarray]:
    """Blurry and sharp in name only, as in step_cpu.py."""
    rng = np.random.default_rng(0)
    return list(rng.random((2, BATCH, 3, SIZE, SIZE), dtype=np.float32).astype(case.dtype))


class Ours:
    """The generator of minigan, and its training step."""

    def __init__(self, case: Case, pool: Workers):
        mg.manual_seed(0)
        self.net = networks.generator(nn).to(case.dtype)
        self._adam = optim.Adam(self.net.parameters(), lr=1e-4)
        self._case, self._pool, self._batch = case, pool, batch_of(case)

    def step(self, weights: Sequence[np.ndarray] | None = None) -> float:
        """The loss; before it, the weights may be set."""
        for p, array in zip(self.net.parameters(), weights or (), strict=bool(weights)):
            p.copy_(array)

        def loss(blurry: np.ndarray, sharp: np.ndarray) -> tuple[Tensor, dict[str, float]]:
            return nn.l1_loss(self.net(Tensor(blurry)), Tensor(sharp)), {}

        with mg.exact() if self._case.exact else nullcontext():
            report = self._pool.gradients(loss, self.net.parameters(), self._batch)
        self._adam.step()
        return report["loss"]


class Theirs:
    """The same of PyTorch, in one of its layouts."""

    def __init__(self, case: Case, arrays: list[np.ndarray], layout: str):
        import torch

        torch.set_num_threads(THREADS)
        form = torch.channels_last if layout == "nhwc" else torch.contiguous_format
        net = networks.load(networks.generator(torch.nn), arrays)
        self._net = net.to(getattr(torch, case.dtype)).to(memory_format=form)
        self._adam = torch.optim.Adam(self._net.parameters(), lr=1e-4)
        self._batch = [torch.from_numpy(a).contiguous(memory_format=form) for a in batch_of(case)]
        self._loss = torch.nn.functional.l1_loss

    def weights(self) -> list[np.ndarray]:
        """Copies of all parameters."""
        return [p.detach().numpy().copy() for p in self._net.parameters()]

    def step(self) -> float:
        """The loss."""
        self._adam.zero_grad(set_to_none=True)
        found = self._loss(self._net(self._batch[0]), self._batch[1])
        found.backward()
        self._adam.step()
        return found.item()


def compared(case: Case) -> dict[str, Any]:
    """All of a case's losses, and how far apart they are."""
    with workers(THREADS) as pool:
        alone, led = Ours(case, pool), Ours(case, pool)
        arrays = networks.weights(alone.net)
        nchw, nhwc = (Theirs(case, arrays, layout) for layout in ("nchw", "nhwc"))
        losses: dict[str, list[float]] = {name: [] for name in ("led", "alone", "nchw", "nhwc")}
        for _ in range(case.steps):
            losses["led"].append(led.step(nchw.weights()))
            losses["alone"].append(alone.step())
            losses["nchw"].append(nchw.step())
            losses["nhwc"].append(nhwc.step())
    distances = {
        name: max(abs(a - b) / b for a, b in zip(losses[name], losses["nchw"], strict=True))
        for name in ("led", "alone", "nhwc")
    }
    print(
        f"{case.name:15} {case.steps:4} steps, loss {losses['nchw'][0]:.3f} to "
        f"{losses['nchw'][-1]:.3f}: step by step {distances['led']:.1e} (bound {case.bound:.0e}), "
        f"left alone {distances['alone']:.1e}; PyTorch's layouts {distances['nhwc']:.1e}",
        flush=True,
    )
    return {"case": case.name, "bound": case.bound, "distances": distances, "losses": losses}


def main(
    arguments: list[str] | None = None, prepare: Callable[[], Any] = keep_freed_memory
) -> None:
    """Train, compare, write; end with an error if a bound is passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", help="the name of one case")
    parser.add_argument("--steps", type=int, help="fewer or more than a case has")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    prepare()
    cases = [case for case in CASES if chosen.only in (None, case.name)]
    if chosen.steps:
        cases = [Case(c.name, c.dtype, c.exact, chosen.steps, c.bound) for c in cases]
    rows = [compared(case) for case in cases]
    write({"cases": rows}, chosen.out, "agreement.json")
    if any(row["distances"]["led"] > row["bound"] for row in rows):
        sys.exit("step by step, a loss is farther from PyTorch's than its bound")


if __name__ == "__main__":
    main()
