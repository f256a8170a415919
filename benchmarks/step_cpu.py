"""Whole training steps on the CPU, beside PyTorch's: the same networks, weights, batches and losses.

    python benchmarks/step_cpu.py                      # writes benchmarks/results/step-cpu.json
    python benchmarks/step_cpu.py --only "generator, batch 4, 64x64" --runs 1

The contenders take turns within a run; a ratio is our median over the median of PyTorch's better layout
(NCHW or channels-last), so below 1 we are faster. Each has two processors: ours computes a shard of the
batch on each, in a process of its own; PyTorch divides every operation over threads. Gradients are summed
and the optimiser's step is part of it, for both. Both profit from freed memory being kept
(minigan.devices.cpu.memory). Before the clocks start, the losses of a first step are compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import numpy as np
from timing import HostClock, free_blas, interleaved, over_runs, write

import minigan as mg
from minigan import nn, optim
from minigan.core.parallel import Workers, workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu.memory import keep_freed_memory
from minigan.processes import in_processes

THREADS = 2
PENALTY = 10.0  # of WGAN-GP's gradient penalty (Gulrajani et al. 2017)
LAYOUTS = ("nchw", "nhwc")


@dataclass(frozen=True)
class Case:
    """A step to be timed: of the generator alone, or of both networks."""

    kind: str
    batch: int
    size: int
    width: int = 32
    blocks: int = 8
    critic_steps: int = 5

    @property
    def name(self) -> str:
        return f"{self.kind}, batch {self.batch}, {self.size}x{self.size}"


CASES = [
    Case("generator", 4, 64),
    Case("generator", 8, 64),
    Case("generator", 4, 128),
    Case("WGAN-GP", 4, 64),
]

Step = Callable[[], float]  # takes a step, returns its loss


def batches(case: Case, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of pictures, blurry and sharp in name only: what is timed does not depend on them."""
    rng = np.random.default_rng(0)
    shape = (case.batch, 3, case.size, case.size)
    both = rng.random((count, 2, *shape), dtype=np.float32)
    return [(blurry, sharp) for blurry, sharp in both]


# ---------------------------------------------------------------------- ours


def our_generator_step(case: Case, arrays: dict[str, Any], pool: Workers, scope: ExitStack) -> Step:
    """L1 against the sharp pictures, Adam. Its processes end with the scope."""
    net = _ours(networks.generator(nn, case.width, case.blocks), arrays["generator"])
    adam = optim.Adam(net.parameters(), lr=1e-4)
    parameters = net.parameters()
    (batch,) = batches(case, 1)

    def loss(blurry: np.ndarray, sharp: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        return nn.l1_loss(net(Tensor(blurry)), Tensor(sharp)), {}

    team = scope.enter_context(in_processes(pool, [loss], [net]))

    def step() -> float:
        report = team.gradients(loss, parameters, batch)
        adam.step()
        return report["loss"]

    return step


def our_gan_step(case: Case, arrays: dict[str, Any], pool: Workers, scope: ExitStack) -> Step:
    """Steps of the critic with the gradient penalty, then one of the generator."""
    G = _ours(networks.generator(nn, case.width, case.blocks), arrays["generator"])
    D = _ours(networks.critic(nn, case.width), arrays["critic"])
    g_adam, d_adam = (optim.Adam(n.parameters(), lr=1e-4, betas=(0.5, 0.9)) for n in (G, D))
    g_parameters, d_parameters = G.parameters(), D.parameters()
    data, alphas = batches(case, case.critic_steps), _alphas(case)

    def critic_loss(blurry: np.ndarray, sharp: np.ndarray, alpha: np.ndarray) -> Any:
        with mg.no_grad():
            fake = G(Tensor(blurry)).numpy()
        between = mg.tensor(alpha * sharp + (1 - alpha) * fake, requires_grad=True)
        (slope,) = mg.grad(D(between).sum(), [between], create_graph=True)
        norm = mg.sqrt((slope * slope).sum(axis=(1, 2, 3)) + 1e-12)
        penalty = ((norm - 1) * (norm - 1)).mean()
        return D(Tensor(fake)).mean() - D(Tensor(sharp)).mean() + PENALTY * penalty, {}

    def generator_loss(blurry: np.ndarray, sharp: np.ndarray) -> Any:
        restored = G(Tensor(blurry))
        return 100 * nn.l1_loss(restored, Tensor(sharp)) - D(restored).mean(), {}

    team = scope.enter_context(in_processes(pool, [critic_loss, generator_loss], [G, D]))

    def step() -> float:
        total = 0.0
        for (blurry, sharp), alpha in zip(data, alphas, strict=True):
            total += team.gradients(critic_loss, d_parameters, (blurry, sharp, alpha))["loss"]
            d_adam.step()
        total += team.gradients(generator_loss, g_parameters, data[0])["loss"]
        g_adam.step()
        return total

    return step


def _ours(network: nn.Module, arrays: list[np.ndarray]) -> nn.Module:
    for p, array in zip(network.parameters(), arrays, strict=True):
        p.copy_(array)
    return network


def _alphas(case: Case) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    shape = (case.batch, 1, 1, 1)
    return [rng.random(shape, dtype=np.float32) for _ in range(case.critic_steps)]


# ---------------------------------------------------------------------- PyTorch


def torch_generator_step(case: Case, arrays: dict[str, Any], layout: str) -> Step:
    """The same in PyTorch."""
    import torch

    net = _theirs(
        networks.generator(torch.nn, case.width, case.blocks), arrays["generator"], layout
    )
    adam = torch.optim.Adam(net.parameters(), lr=1e-4)
    blurry, sharp = (_tensor(a, layout) for a in batches(case, 1)[0])

    def step() -> float:
        adam.zero_grad(set_to_none=True)
        loss = torch.nn.functional.l1_loss(net(blurry), sharp)
        loss.backward()
        adam.step()
        return loss.item()

    return step


def torch_gan_step(case: Case, arrays: dict[str, Any], layout: str) -> Step:
    """The same in PyTorch."""
    import torch

    G = _theirs(networks.generator(torch.nn, case.width, case.blocks), arrays["generator"], layout)
    D = _theirs(networks.critic(torch.nn, case.width), arrays["critic"], layout)
    g_adam, d_adam = (torch.optim.Adam(n.parameters(), lr=1e-4, betas=(0.5, 0.9)) for n in (G, D))
    data = [[_tensor(a, layout) for a in pair] for pair in batches(case, case.critic_steps)]
    alphas = [torch.from_numpy(a) for a in _alphas(case)]

    def critic_loss(blurry: Any, sharp: Any, alpha: Any) -> Any:
        with torch.no_grad():
            fake = G(blurry)
        between = (alpha * sharp + (1 - alpha) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(D(between).sum(), [between], create_graph=True)
        norm = ((slope * slope).sum(dim=(1, 2, 3)) + 1e-12).sqrt()
        return D(fake).mean() - D(sharp).mean() + PENALTY * ((norm - 1) ** 2).mean()

    def step() -> float:
        total = 0.0
        for (blurry, sharp), alpha in zip(data, alphas, strict=True):
            d_adam.zero_grad(set_to_none=True)
            loss = critic_loss(blurry, sharp, alpha)
            loss.backward()
            d_adam.step()
            total += loss.item()
        g_adam.zero_grad(set_to_none=True)
        restored = G(data[0][0])
        for p in D.parameters():  # the generator's step needs no gradient of the critic's weights
            p.requires_grad_(False)
        loss = 100 * torch.nn.functional.l1_loss(restored, data[0][1]) - D(restored).mean()
        loss.backward()
        for p in D.parameters():
            p.requires_grad_(True)
        g_adam.step()
        return total + loss.item()

    return step


def _tensor(array: np.ndarray, layout: str) -> Any:
    import torch

    t = torch.from_numpy(array)
    return t.contiguous(memory_format=torch.channels_last) if layout == "nhwc" else t


def _theirs(network: Any, arrays: list[np.ndarray], layout: str) -> Any:
    import torch

    networks.load(network, arrays)
    return network.to(memory_format=torch.channels_last) if layout == "nhwc" else network


# ---------------------------------------------------------------------- side by side


def contenders(case: Case, pool: Workers, scope: ExitStack) -> dict[str, Step]:
    """Ours, and PyTorch in both layouts, from the same weights."""
    mg.manual_seed(0)
    arrays = {
        "generator": networks.weights(networks.generator(nn, case.width, case.blocks)),
        "critic": networks.weights(networks.critic(nn, case.width)),
    }
    ours, theirs = {
        "generator": (our_generator_step, torch_generator_step),
        "WGAN-GP": (our_gan_step, torch_gan_step),
    }[case.kind]
    made = {"minigan": ours(case, arrays, pool, scope)}
    return made | {f"torch {layout}": theirs(case, arrays, layout) for layout in LAYOUTS}


def compared_losses(steps: dict[str, Step], count: int = 3) -> dict[str, list[float]]:
    """The losses of the first steps, once the very first are known to agree to float32 accuracy.

    (After a step of Adam, which divides by the gradient's size, rounding has been amplified.)
    """
    losses = {name: [step() for _ in range(count)] for name, step in steps.items()}
    for name, found in losses.items():
        if not np.isclose(found[0], losses["torch nchw"][0], rtol=1e-3):
            sys.exit(f"the losses of {name} are {found}; PyTorch's are {losses['torch nchw']}")
    return losses


def measured(case: Case, rounds: int, runs: int) -> dict[str, Any]:
    """Everything about one case, as it goes into the file."""
    with workers(THREADS) as pool, ExitStack() as scope:
        steps = contenders(case, pool, scope)
        losses = compared_losses(steps)
        clock = HostClock(pause=0.02, least=0.2)  # steps follow each other, as in training
        found = [interleaved(steps, clock, rounds, cold=False) for _ in range(runs)]
    row = over_runs(found)
    low, high = row["ratios"][0], row["ratios"][-1]
    print(f"{case.name:32} minigan / torch {row['ratio']:.2f}  ({low:.2f} to {high:.2f})")
    for name in steps:
        times = [samples[name] for samples in found]
        median = statistics.median(s.median for s in times)
        print(f"    {name:12} {1e3 * median:8.1f} ms  +-{max(s.spread for s in times):.0%}")
    return {"case": case.name, **row, "losses": losses}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="samples of each contender in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", help="the name of one case")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try it out")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    import torch

    keep_freed_memory()
    torch.set_num_threads(THREADS)
    cases = [c for c in CASES if chosen.only in (None, c.name)]
    if chosen.tiny:
        cases = [Case("generator", 2, 16, 4, 1), Case("WGAN-GP", 2, 32, 4, 1, critic_steps=1)]
    rows = [measured(case, chosen.rounds, chosen.runs) for case in cases]
    found = {
        "threads": THREADS,
        "command": f"python benchmarks/step_cpu.py --rounds {chosen.rounds} --runs {chosen.runs}",
        "steps": rows,
    }
    write(found, chosen.out, "step-cpu.json")


if __name__ == "__main__":
    main()
