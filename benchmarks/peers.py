"""A training step beside other engines written in Python: the same network, weights, batch and loss.

    pip install tinygrad autograd dezero matplotlib jax      # those that are missing are left out
    python benchmarks/peers.py                       # writes benchmarks/results/peers-cpu.json

    autograd   HIPS' autograd, on NumPy: it has no convolution, so one is made of slices and a product
    dezero     the engine of a textbook, on NumPy, with a convolution of its own
    tinygrad   compiles what it is asked for by clang; here with its TinyJit
    jax        compiles by XLA; no eager peer, but what a compiler makes of the step

The step is that of the generator in step_cpu.py: the L1 loss, both passes, Adam. minigan has two
threads, the others what they take by themselves. Losses of the first two steps are compared before the
clocks start.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import networks
import numpy as np
from step_cpu import Case, batches, our_generator_step
from timing import HostClock, free_blas, interleaved, machine, write

import minigan as mg
from minigan import nn
from minigan.core.parallel import workers
from minigan.devices.cpu.memory import keep_freed_memory

THREADS = 2
RATE, BETAS, EPS = 1e-4, (0.9, 0.999), 1e-8  # of Adam
NORM_EPS = 1e-5

Step = Callable[[], float]


def generator(layers: Any, weights: list[Any], x: Any, blocks: int) -> Any:
    """networks.generator, by another library's functions: `layers.conv`, `.norm_relu` and `.double`."""
    pairs = iter(zip(weights[::2], weights[1::2], strict=True))

    def stage(x: Any, stride: int = 1) -> Any:
        return layers.norm_relu(layers.conv(x, *next(pairs), stride))

    x = stage(stage(stage(x), 2), 2)
    for _ in range(blocks):
        x = stage(x)
    for _ in range(2):
        x = stage(layers.double(x))
    return layers.conv(x, *next(pairs), 1)


# ---------------------------------------------------------------------- the peers


class Autograd:
    """HIPS' autograd."""

    def __init__(self) -> None:
        import autograd.numpy as anp

        self.np = anp

    def conv(self, x: Any, weight: Any, bias: Any, stride: int) -> Any:
        """A slice for each tap, side by side; then one product."""
        (o, c, k, _), (n, _, h, w), p = weight.shape, x.shape, weight.shape[2] // 2
        x = self.np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), "constant")
        out_h, out_w = (h + 2 * p - k) // stride + 1, (w + 2 * p - k) // stride + 1
        taps = [
            x[:, :, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
            for i in range(k)
            for j in range(k)
        ]
        seen = self.np.stack(taps, axis=2).reshape(n, c * k * k, out_h * out_w)
        y = self.np.matmul(weight.reshape(o, -1), seen) + bias.reshape(1, -1, 1)
        return y.reshape(n, o, out_h, out_w)

    def norm_relu(self, x: Any) -> Any:
        """Instance norm, then ReLU."""
        centred = x - self.np.mean(x, axis=(2, 3), keepdims=True)
        variance = self.np.mean(centred * centred, axis=(2, 3), keepdims=True)
        return self.np.maximum(centred / self.np.sqrt(variance + NORM_EPS), 0)

    def double(self, x: Any) -> Any:
        """Each pixel twice, along both axes."""
        return self.np.repeat(self.np.repeat(x, 2, axis=2), 2, axis=3)

    def step(
        self, arrays: list[np.ndarray], batch: tuple[np.ndarray, np.ndarray], blocks: int
    ) -> Step:
        """A training step."""
        from autograd import value_and_grad

        weights, states = [a.copy() for a in arrays], [Moments(a) for a in arrays]

        def loss(weights: list[Any]) -> Any:
            return self.np.mean(self.np.abs(generator(self, weights, batch[0], blocks) - batch[1]))

        both = value_and_grad(loss)

        def run() -> float:
            value, gradients = both(weights)
            for w, g, state in zip(weights, gradients, states, strict=True):
                state.update(w, g)
            return float(value)

        return run


class Moments:
    """Adam in plain NumPy, for a library whose own takes over the loop."""

    def __init__(self, w: np.ndarray):
        self.mean, self.square, self.count = np.zeros_like(w), np.zeros_like(w), 0

    def update(self, w: np.ndarray, g: np.ndarray) -> None:
        """One step, in place."""
        self.count += 1
        self.mean += (1 - BETAS[0]) * (g - self.mean)
        self.square += (1 - BETAS[1]) * (g * g - self.square)
        scale = np.sqrt(self.square / (1 - BETAS[1] ** self.count)) + EPS
        w -= RATE / (1 - BETAS[0] ** self.count) * self.mean / scale


class DeZero:
    """The engine of "Deep Learning from Scratch 3"."""

    def __init__(self) -> None:
        if not hasattr(np, "int"):
            vars(np)["int"] = int  # it was written for NumPy before 1.24
        import dezero.functions as functions

        self.f = functions

    def conv(self, x: Any, weight: Any, bias: Any, stride: int) -> Any:
        """Its own, by im2col."""
        return self.f.conv2d(x, weight, bias, stride, weight.shape[2] // 2)

    def norm_relu(self, x: Any) -> Any:
        """Instance norm, then ReLU; its sums keep axes only of size 1."""
        pixels = x.shape[2] * x.shape[3]
        centred = x - self._spread(self.f.sum(x, axis=(2, 3), keepdims=True) / pixels, x.shape)
        variance = self.f.sum(centred * centred, axis=(2, 3), keepdims=True) / pixels
        return self.f.relu(centred * self._spread((variance + NORM_EPS) ** -0.5, x.shape))

    def _spread(self, x: Any, shape: tuple[int, ...]) -> Any:
        return self.f.broadcast_to(x, shape)

    def double(self, x: Any) -> Any:
        """Each pixel twice, along both axes."""
        n, c, h, w = x.shape
        return self._spread(x.reshape(n, c, h, 1, w, 1), (n, c, h, 2, w, 2)).reshape(
            n, c, 2 * h, 2 * w
        )

    def step(
        self, arrays: list[np.ndarray], batch: tuple[np.ndarray, np.ndarray], blocks: int
    ) -> Step:
        """A training step; |x| as relu(x) + relu(-x), because it has none."""
        from dezero import Parameter

        weights, states = [Parameter(a.copy()) for a in arrays], [Moments(a) for a in arrays]

        def run() -> float:
            error = generator(self, weights, batch[0], blocks) - batch[1]
            loss = self.f.sum(self.f.relu(error) + self.f.relu(-error)) / error.size
            for w in weights:
                w.cleargrad()
            loss.backward()
            for w, state in zip(weights, states, strict=True):
                state.update(w.data, w.grad.data)
            return float(loss.data)

        return run


class TinyGrad:
    """tinygrad on the CPU."""

    def __init__(self) -> None:
        os.environ.setdefault("DEV", "CPU")
        import tinygrad
        import tinygrad.helpers

        self.lib = tinygrad

    def conv(self, x: Any, weight: Any, bias: Any, stride: int) -> Any:
        """Its own."""
        return x.conv2d(weight, bias, stride=stride, padding=weight.shape[2] // 2)

    def norm_relu(self, x: Any) -> Any:
        """Instance norm, then ReLU."""
        centred = x - x.mean(axis=(2, 3), keepdim=True)
        variance = (centred * centred).mean(axis=(2, 3), keepdim=True)
        return (centred * (variance + NORM_EPS).rsqrt()).relu()

    def double(self, x: Any) -> Any:
        """Each pixel twice, along both axes."""
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    def step(
        self, arrays: list[np.ndarray], batch: tuple[np.ndarray, np.ndarray], blocks: int
    ) -> Step:
        """A training step, compiled at its first calls."""
        from tinygrad.nn.optim import Adam

        tensor = self.lib.Tensor
        weights = [tensor(a) for a in arrays]
        adam = Adam(weights, lr=RATE, b1=BETAS[0], b2=BETAS[1], eps=EPS)
        blurry, sharp = (tensor(a).realize() for a in batch)

        @self.lib.TinyJit
        def train(blurry: Any, sharp: Any) -> Any:
            with self.lib.helpers.Context(TRAINING=1):
                adam.zero_grad()
                loss = (generator(self, weights, blurry, blocks) - sharp).abs().mean()
                loss.backward()
                return loss.realize(*adam.schedule_step())

        return lambda: float(train(blurry, sharp).item())


class Jax:
    """JAX with jit."""

    def __init__(self) -> None:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        self.jax, self.np = jax, jax.numpy

    def conv(self, x: Any, weight: Any, bias: Any, stride: int) -> Any:
        """Its own."""
        p = weight.shape[2] // 2
        y = self.jax.lax.conv_general_dilated(x, weight, (stride, stride), ((p, p), (p, p)))
        return y + bias.reshape(1, -1, 1, 1)

    def norm_relu(self, x: Any) -> Any:
        """Instance norm, then ReLU."""
        centred = x - x.mean(axis=(2, 3), keepdims=True)
        variance = (centred * centred).mean(axis=(2, 3), keepdims=True)
        return self.np.maximum(centred * self.jax.lax.rsqrt(variance + NORM_EPS), 0)

    def double(self, x: Any) -> Any:
        """Each pixel twice, along both axes."""
        return x.repeat(2, axis=2).repeat(2, axis=3)

    def step(
        self, arrays: list[np.ndarray], batch: tuple[np.ndarray, np.ndarray], blocks: int
    ) -> Step:
        """A training step, compiled at its first call."""

        def loss(weights: list[Any]) -> Any:
            return self.np.abs(generator(self, weights, batch[0], blocks) - batch[1]).mean()

        @self.jax.jit
        def train(weights: Any, means: Any, squares: Any, count: Any) -> Any:
            value, gradients = self.jax.value_and_grad(loss)(weights)
            moved = []
            for w, g, m, v in zip(weights, gradients, means, squares, strict=True):
                m, v = m + (1 - BETAS[0]) * (g - m), v + (1 - BETAS[1]) * (g * g - v)
                scale = self.np.sqrt(v / (1 - BETAS[1] ** count)) + EPS
                moved.append((w - RATE / (1 - BETAS[0] ** count) * m / scale, m, v))
            return value, *(list(column) for column in zip(*moved, strict=True))

        zeros = [np.zeros_like(a) for a in arrays]
        state = [arrays, zeros, zeros]
        count = 0

        def run() -> float:
            nonlocal count
            count += 1
            value, *state[:] = train(*state, float(count))
            return float(value)

        return run


PEERS: dict[str, Callable[[], Any]] = {
    "autograd": Autograd,
    "dezero": DeZero,
    "tinygrad": TinyGrad,
    "jax": Jax,
}


# ---------------------------------------------------------------------- side by side


def contenders(case: Case, pool: Any, scope: ExitStack) -> dict[str, Step]:
    """minigan and those of the peers that are installed."""
    mg.manual_seed(0)
    arrays = networks.weights(networks.generator(nn, case.width, case.blocks))
    (batch,) = batches(case, 1)
    steps = {"minigan": our_generator_step(case, {"generator": arrays}, pool, scope)}
    for name, peer in PEERS.items():
        try:
            steps[name] = peer().step([a.copy() for a in arrays], batch, case.blocks)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return steps


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="samples of each contender in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a small network, to try it out")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    keep_freed_memory()
    case = Case("generator", 2, 16, 4, 1) if chosen.tiny else Case("generator", 4, 64)
    with workers(THREADS) as pool, ExitStack() as scope:
        steps = contenders(case, pool, scope)
        losses = {name: [step() for _ in range(2)] for name, step in steps.items()}
        for name, found in losses.items():
            if not np.allclose(found, losses["minigan"], rtol=1e-3):
                sys.exit(f"the losses of {name} are {found}; ours are {losses['minigan']}")
        found = [
            interleaved(steps, HostClock(pause=0.05), chosen.rounds, cold=False)
            for _ in range(chosen.runs)
        ]
    rows = {}
    for name in steps:
        ratios = sorted(run[name].median / run["minigan"].median for run in found)
        seconds = statistics.median(run[name].median for run in found)
        print(
            f"{name:10} {1e3 * seconds:9.1f} ms, {statistics.median(ratios):6.1f} times minigan's"
        )
        rows[name] = {
            "times minigan's": statistics.median(ratios),
            "ratios": ratios,
            "seconds": [run[name].as_json() for run in found],
            "losses": losses[name],
        }
    versions = {n: importlib.metadata.version(n) for n in PEERS if n in steps}
    result = {
        "machine": machine() | versions,
        "threads": THREADS,
        "command": f"python benchmarks/peers.py --rounds {chosen.rounds} --runs {chosen.runs}",
        "case": case.name,
        "steps": rows,
    }
    write(result, chosen.out, "peers-cpu.json")


if __name__ == "__main__":
    main()
