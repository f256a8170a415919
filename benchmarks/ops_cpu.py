"""Single operations on the CPU, beside PyTorch's: forward, and forward with backward.

    python benchmarks/ops_cpu.py                    # writes benchmarks/results/ops-cpu.json
    python benchmarks/ops_cpu.py --only conv --runs 1

Both go through their autograd, with two threads. The contenders take turns within a run; a ratio is our
median over the median of PyTorch's better layout (NCHW or channels-last), so below 1 we are faster.
Before the clocks start, results and gradients are compared.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from timing import HostClock, free_blas, interleaved, over_runs, write

import minigan as mg
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu.memory import keep_freed_memory

THREADS = 2
LAYOUTS = ("nchw", "nhwc")
TOLERANCE = 1e-3  # of the largest number
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Case:
    """An operation on arrays of these shapes, by minigan and by PyTorch; all of them want gradients."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    ours: Callable[..., Tensor]
    theirs: Callable[..., Any]
    flops: int = 0  # of the forward pass


def convolution(x: tuple[int, ...], o: int, k: int, stride: int, padding: int) -> Case:
    """A layer of the facts: images of shape x, o filters of k x k."""
    out = (x[2] + 2 * padding - k) // stride + 1
    name = f"conv {k}x{k} s{stride} {x} -> {o}"
    how = {"stride": stride, "padding": padding}
    return Case(
        name,
        (x, (o, x[1], k, k)),
        lambda x, w: mg.conv2d(x, w, **how),
        lambda x, w: _torch().nn.functional.conv2d(x, w, **how),
        2 * x[0] * out**2 * o * x[1] * k**2,
    )


def functional(name: str, shape: tuple[int, ...], ours: Any, theirs: Any) -> Case:
    """An operation of one array."""
    return Case(f"{name} {shape}", (shape,), ours, lambda x: theirs(_torch(), x))


def _torch() -> Any:
    import torch

    return torch


def cases() -> list[Case]:
    """Layers of deblurring networks, and operations between them."""
    image, million = (4, 64, 64, 64), (1 << 20,)
    return [
        convolution((4, 64, 64, 64), 64, 3, 1, 1),
        convolution((4, 128, 32, 32), 128, 3, 1, 1),
        convolution((4, 256, 16, 16), 256, 3, 1, 1),
        convolution((8, 32, 64, 64), 32, 3, 1, 1),
        convolution((1, 64, 256, 256), 64, 3, 1, 1),
        convolution((4, 64, 64, 64), 128, 3, 2, 1),
        convolution((4, 64, 64, 64), 128, 4, 2, 1),
        convolution((4, 3, 64, 64), 64, 7, 1, 3),
        convolution((4, 64, 64, 64), 3, 7, 1, 3),
        convolution((4, 64, 64, 64), 64, 1, 1, 0),
        Case(
            "linear (512, 1024) -> 1024",
            ((512, 1024), (1024, 1024), (1024,)),
            mg.linear,
            lambda x, w, b: _torch().nn.functional.linear(x, w, b),
            2 * 512 * 1024**2,
        ),
        functional(
            "max-pool 2",
            image,
            lambda x: mg.max_pool2d(x, kernel_size=2),
            lambda t, x: t.nn.functional.max_pool2d(x, 2),
        ),
        functional(
            "upsample 2",
            image,
            lambda x: mg.upsample_nearest2d(x, scale_factor=2),
            lambda t, x: t.nn.functional.interpolate(x, scale_factor=2),
        ),
        functional(
            "instance norm + relu",
            image,
            lambda x: mg.instance_norm(x, relu=True),
            lambda t, x: t.relu(t.nn.functional.instance_norm(x)),
        ),
        functional(
            "reflection pad 3",
            image,
            lambda x: mg.reflection_pad2d(x, padding=3),
            lambda t, x: t.nn.functional.pad(x, (3,) * 4, mode="reflect"),
        ),
        functional("relu", million, mg.relu, lambda t, x: t.relu(x)),
        functional("relu", (16 << 20,), mg.relu, lambda t, x: t.relu(x)),
        functional(
            "leaky relu",
            million,
            lambda x: mg.leaky_relu(x, negative_slope=0.2),
            lambda t, x: t.nn.functional.leaky_relu(x, 0.2),
        ),
        functional("tanh", million, mg.tanh, lambda t, x: t.tanh(x)),
        functional("sigmoid", million, mg.sigmoid, lambda t, x: t.sigmoid(x)),
    ]


# ---------------------------------------------------------------------- the contenders


def arrays_of(case: Case) -> tuple[list[np.ndarray], np.ndarray]:
    """The operands, images with channels innermost as our layers hand them on, and what flows back."""
    rng = np.random.default_rng(0)
    operands = [rng.standard_normal(s, np.float32) for s in case.shapes]
    if len(case.shapes[0]) == 4:
        operands[0] = _channels_innermost(operands[0])
    with mg.no_grad():
        out = case.ours(*map(Tensor, operands)).shape
    grad = rng.standard_normal(out, np.float32)
    return operands, _channels_innermost(grad) if len(out) == 4 else grad


def _channels_innermost(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def our_calls(case: Case, operands: Sequence[np.ndarray], grad: np.ndarray) -> Pair:
    """Forward alone; and both, which gives the result and the gradients."""
    leaves = [Tensor(a).requires_grad_() for a in operands]  # mg.tensor would make the layout NCHW
    flowing = Tensor(grad)

    def forward() -> Any:
        with mg.no_grad():
            return case.ours(*leaves)

    def both() -> list[Any]:
        out = case.ours(*leaves)
        return [out, *mg.grad(out, leaves, flowing)]

    return forward, both


def torch_calls(case: Case, operands: Sequence[np.ndarray], grad: np.ndarray, layout: str) -> Pair:
    """The same in PyTorch."""
    torch = _torch()

    def tensor(array: np.ndarray) -> Any:
        t = torch.from_numpy(np.ascontiguousarray(array))
        last = layout == "nhwc" and t.ndim == 4
        return t.contiguous(memory_format=torch.channels_last) if last else t

    leaves = [tensor(a).requires_grad_() for a in operands]
    flowing = tensor(grad)

    def forward() -> Any:
        with torch.no_grad():
            return case.theirs(*leaves)

    def both() -> list[Any]:
        out = case.theirs(*leaves)
        return [out, *torch.autograd.grad(out, leaves, flowing)]

    return forward, both


def check(case: Case, ours: Callable[[], list[Any]], theirs: Callable[[], list[Any]]) -> None:
    """End the program if a result or a gradient is not PyTorch's."""
    for i, (a, b) in enumerate(zip(ours(), theirs(), strict=True)):
        expected = b.detach().numpy()
        error = np.abs(a.numpy() - expected).max() / np.abs(expected).max()
        if not error <= TOLERANCE:
            what = "result" if i == 0 else f"gradient {i}"
            sys.exit(f"{case.name}: the {what} is off by {error:.1e} of the largest number")


# ---------------------------------------------------------------------- side by side


def measured(case: Case, rounds: int, runs: int) -> dict[str, Any]:
    """Everything about one case, as it goes into the file."""
    operands, grad = arrays_of(case)
    pairs = {"minigan": our_calls(case, operands, grad)}
    layouts = LAYOUTS if len(case.shapes[0]) == 4 else LAYOUTS[:1]
    pairs |= {f"torch {layout}": torch_calls(case, operands, grad, layout) for layout in layouts}
    check(case, pairs["minigan"][1], pairs["torch nchw"][1])
    clock = HostClock(pause=0.02, least=0.1)
    row: dict[str, Any] = {"case": case.name, "flops": case.flops}
    for which, kind in enumerate(("forward", "both")):
        calls = {name: pair[which] for name, pair in pairs.items()}
        found = [interleaved(calls, clock, rounds, cold=False) for _ in range(runs)]
        row[kind] = over_runs(found)
    ours = statistics.median(r["minigan"]["median"] for r in row["both"]["seconds"])
    rate = f"{3 * case.flops / ours / 1e9:5.0f} GFLOP/s" if case.flops else ""
    forward, both = row["forward"]["ratio"], row["both"]["ratio"]
    print(f"{case.name:38} {forward:5.2f} {both:5.2f}  {1e3 * ours:8.2f} ms {rate}", flush=True)
    return row


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="samples of each contender in a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose names begin so")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    free_blas()
    keep_freed_memory()
    _torch().set_num_threads(THREADS)
    print(f"{'minigan / torch':38} {'fwd':>5} {'both':>5}")
    with workers(THREADS):
        rows = [
            measured(case, chosen.rounds, chosen.runs)
            for case in cases()
            if case.name.startswith(chosen.only)
        ]
    if not rows:
        sys.exit(f"no case begins with {chosen.only!r}")
    mean = math.exp(statistics.mean(math.log(row["both"]["ratio"]) for row in rows))
    print(f"geometric mean, forward and backward: {mean:.2f}")
    found = {
        "threads": THREADS,
        "command": f"python benchmarks/ops_cpu.py --rounds {chosen.rounds} --runs {chosen.runs}",
        "geometric mean, both": mean,
        "operations": rows,
    }
    write(found, chosen.out, "ops-cpu.json")


if __name__ == "__main__":
    main()
