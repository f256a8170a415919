"""Every variant of convolution and matrix product on a GPU, beside PyTorch; and a step of training.

    python benchmarks/gpu.py                                   # writes benchmarks/results/gpu-CARD.json
    python benchmarks/gpu.py --device emulator --tiny --out x.json      # the same logic without a GPU

All contenders of a layer take turns in one run (timing.py), each captured into a CUDA graph, so that
kernels are timed and not Python. Every result is compared with the first contender's, before and after.
PyTorch (with cuDNN) runs in NCHW and in channels-last, with TF32 forbidden and allowed; the better layout
counts. Ratios are PyTorch's time over ours: above 1 we are faster. Without a GPU, PyTorch has the CPU.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import networks
import numpy as np
from timing import Call, GpuClock, HostClock, Samples, interleaved, machine

import minigan as mg
from minigan import nn, optim
from minigan.core.errors import MiniganError, ShapeError
from minigan.core.tensor import Tensor
from minigan.devices.launch.variants import REGISTRY

OPERATIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
TOLERANCE = {"sum": 1e-4, "tf32": 5e-3}  # of the largest result


@dataclass(frozen=True)
class Layer:
    """A convolution: x (images, channels, height, width), a square kernel."""

    name: str
    images: int
    channels: int
    size: int
    out_channels: int
    kernel: int
    stride: int = 1

    @property
    def padding(self) -> int:
        return self.kernel // 2

    @property
    def out_size(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def flops(self) -> int:
        taps = self.channels * self.kernel**2
        return 2 * self.images * self.out_size**2 * self.out_channels * taps


def deblurgan(images: int, size: int, width: int = 64) -> list[Layer]:
    """The kinds of layers of DeblurGAN's generator (Kupyn et al. 2018), with upsampling convolutions."""
    w, half, quarter = width, size // 2, size // 4
    return [
        Layer("first 7x7", images, 3, size, w, 7),
        Layer("down 1", images, w, size, 2 * w, 3, stride=2),
        Layer("down 2", images, 2 * w, half, 4 * w, 3, stride=2),
        Layer("block", images, 4 * w, quarter, 4 * w, 3),
        Layer("up 1", images, 4 * w, half, 2 * w, 3),
        Layer("up 2", images, 2 * w, size, w, 3),
        Layer("last 7x7", images, w, size, 3, 7),
    ]


# ---------------------------------------------------------------------- ours


class Ours:
    """Calls of our kernels on one device, captured."""

    def __init__(self, device: str):
        self.device = device

    def convolution(self, operation: str, layer: Layer, arrays: dict[str, np.ndarray]) -> Callable:
        on = {name: mg.tensor(a, device=self.device) for name, a in arrays.items()}
        how: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": 1,
            "groups": 1,
        }
        size, kernel = (layer.size,) * 2, (layer.kernel,) * 2
        return {
            "conv2d": lambda: mg.conv2d(on["x"], on["w"], **how),
            "conv2d_dx": lambda: mg.conv2d_dx(on["y"], on["w"], input_size=size, **how),
            "conv2d_dw": lambda: mg.conv2d_dw(on["x"], on["y"], kernel_size=kernel, **how),
        }[operation]

    def product(self, a: np.ndarray, b: np.ndarray) -> Callable:
        left, right = (mg.tensor(m, device=self.device) for m in (a, b))
        return lambda: left @ right

    def captured(self, call: Callable[[], Tensor]) -> tuple[Call, Callable[[], np.ndarray]]:
        step = mg.capture(call, self.device)
        return step.replay, lambda: step.results.numpy()

    def variants(self, operation: str, call: Callable[[], Tensor]) -> Iterator[tuple[str, Any]]:
        """Each variant that can do it, and the one that is taken unasked."""
        yield "ours", self.captured(call)
        for variant in REGISTRY[operation]:
            try:
                with mg.use_kernels(**{operation: variant.name}):
                    yield variant.name, self.captured(call)
            except ShapeError:
                continue  # it is not for this shape


# ---------------------------------------------------------------------- PyTorch


class Torch:
    """The same calls by PyTorch, captured on a GPU; `layouts` are NCHW and channels-last."""

    layouts = ("nchw", "nhwc")

    def __init__(self, device: str) -> None:
        import torch

        self.torch, self.device = torch, device
        torch.backends.cudnn.benchmark = True

    def allow_tf32(self, allowed: bool) -> None:
        self.torch.backends.cudnn.allow_tf32 = allowed
        self.torch.backends.cuda.matmul.allow_tf32 = allowed

    def tensor(self, array: np.ndarray, layout: str = "nchw") -> Any:
        t = self.torch.from_numpy(array).to(self.device)
        last = layout == "nhwc" and t.ndim == 4
        return t.contiguous(memory_format=self.torch.channels_last) if last else t

    def convolution(
        self, operation: str, layer: Layer, arrays: dict[str, np.ndarray], layout: str
    ) -> Callable:
        on = {name: self.tensor(a, layout) for name, a in arrays.items()}
        pairs = [[n, n] for n in (layer.stride, layer.padding, 1)]
        if operation == "conv2d":
            forward = self.torch.nn.functional.conv2d
            return lambda: forward(on["x"], on["w"], stride=layer.stride, padding=layer.padding)
        backward = self.torch.ops.aten.convolution_backward
        wants = [operation == "conv2d_dx", operation == "conv2d_dw", False]
        tail = (None, *pairs, False, [0, 0], 1, wants)
        return lambda: backward(on["y"], on["x"], on["w"], *tail)[wants.index(True)]

    def product(self, a: np.ndarray, b: np.ndarray) -> Callable:
        left, right = self.tensor(a), self.tensor(b)
        return lambda: left @ right

    def captured(self, call: Callable) -> tuple[Call, Callable[[], np.ndarray]]:
        torch = self.torch
        if self.device == "cpu":
            latest: list[Any] = []
            return lambda: latest.__setitem__(slice(None), [call()]), lambda: latest[0].numpy()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # cuDNN chooses its algorithm before the capture
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = call()
        # The graph knows addresses alone: `call` keeps what it reads.
        return graph.replay, lambda: (call, result)[1].cpu().numpy()


# ---------------------------------------------------------------------- one line of the table


def contenders(
    operation: str, ours: Ours, torch: Torch | None, our_call: Callable, torch_calls: Any
) -> dict[str, Any]:
    """Every contender, captured: its replay, and how to read its result."""
    made = dict(ours.variants(operation, our_call))
    if torch is not None:
        for tf32 in (False, True):
            torch.allow_tf32(tf32)
            for layout, call in torch_calls():
                name = f"torch {'tf32' if tf32 else 'fp32'} {layout}"
                made[name] = torch.captured(call)
    return made


def tolerance_of(operation: str, name: str) -> float:
    """How far from the first contender's result this one may be."""
    kinds = {v.name: v.tolerance for v in REGISTRY[operation]}
    rounded = kinds.get(name) == "tf32" or "tf32" in name
    return TOLERANCE["tf32" if rounded else "sum"]


def check(operation: str, made: dict[str, Any]) -> None:
    """Raise SystemExit if a contender's result is not that of the first."""
    results = {name: read() for name, (_, read) in made.items()}
    expected = next(iter(results.values()))
    scale = float(np.abs(expected).max())
    for name, result in results.items():
        error = float(np.abs(result - expected).max()) / scale
        if not error <= tolerance_of(operation, name):
            sys.exit(f"{operation}: {name} is off by {error:.1e} of the largest result")


def timed(operation: str, made: dict[str, Any], clock: Any, rounds: int) -> dict[str, Any]:
    """Samples of all contenders, cold and warm, with results checked before and after."""
    calls = {name: replay for name, (replay, _) in made.items()}
    for call in calls.values():
        call()
    check(operation, made)
    kinds = ("cold", "warm") if clock.has_cache_to_flush else ("warm",)
    found = {kind: interleaved(calls, clock, rounds, kind == "cold") for kind in kinds}
    check(operation, made)
    return found


def best(samples: dict[str, Samples], prefix: str) -> float:
    return min((s.median for n, s in samples.items() if n.startswith(prefix)), default=math.nan)


def summary(samples: dict[str, Samples], operation: str) -> dict[str, float]:
    """PyTorch's best time over ours: what is taken unasked, in FP32; our best in TF32."""
    tensor_cores = [v.name for v in REGISTRY[operation] if v.tolerance == "tf32"]
    ours = min((samples[n].median for n in tensor_cores if n in samples), default=math.nan)
    return {
        "fp32": best(samples, "torch fp32") / samples["ours"].median,
        "tf32": best(samples, "torch tf32") / ours,
    }


def report(title: str, flops: int, found: dict[str, dict[str, Samples]]) -> None:
    """One block of the printed table."""
    print(f"\n{title}")
    for kind, samples in found.items():
        for name, s in sorted(samples.items(), key=lambda item: item[1].median):
            rate = f"{flops / s.median / 1e12:8.2f} TFLOP/s" if flops else ""
            micro = f"{1e6 * s.median:10.1f} us  +-{s.spread:4.0%}"
            print(f"  {kind}  {name:24}{micro}{rate}")


# ---------------------------------------------------------------------- a step of training


def our_step(device: str, width: int, blocks: int, batch: np.ndarray, weights: Any) -> Callable:
    """A step of the generator: L1 against the sharp picture, Adam. Gives the loss."""
    net = networks.generator(nn, width, blocks)
    for p, array in zip(net.parameters(), weights, strict=True):
        p.copy_(array)
    net.to(device)
    adam = optim.Adam(net.parameters(), lr=1e-4)
    blurry, sharp = (mg.tensor(a, device=device) for a in (batch, batch[:, :, ::-1].copy()))

    def step() -> Tensor:
        net.zero_grad()
        loss = (net(blurry) - sharp).abs().mean()
        loss.backward()
        adam.step()
        return loss

    return step


def torch_step(torch: Torch, width: int, blocks: int, batch: np.ndarray, weights: Any) -> Callable:
    """The same in PyTorch; capturable, so that the same step can be made a graph."""
    t = torch.torch
    net = networks.load(networks.generator(t.nn, width, blocks), weights).to(torch.device)
    adam = t.optim.Adam(net.parameters(), lr=1e-4, capturable=torch.device == "cuda")
    blurry, sharp = (torch.tensor(a) for a in (batch, batch[:, :, ::-1].copy()))

    def step() -> Any:
        adam.zero_grad(set_to_none=True)
        loss = (net(blurry) - sharp).abs().mean()
        loss.backward()
        adam.step()
        return loss

    return step


def training(
    ours: Ours, torch: Torch | None, clock: Any, rounds: int, tiny: bool
) -> dict[str, Any]:
    """Eager and captured steps of the same network from the same weights."""
    width, blocks, shape = (4, 1, (1, 3, 16, 16)) if tiny else (32, 8, (4, 3, 64, 64))
    batch = np.random.default_rng(0).random(shape, dtype=np.float32)
    mg.manual_seed(0)
    weights = networks.weights(networks.generator(nn, width, blocks))
    make = partial(our_step, ours.device, width, blocks, batch, weights)
    calls: dict[str, Call] = {"ours eager": make()}
    losses = {"ours": float(calls["ours eager"]())}
    calls["ours captured"] = mg.capture(make(), ours.device).replay
    if torch is not None:
        torch.allow_tf32(False)
        calls["torch eager"] = torch_step(torch, width, blocks, batch, weights)
        losses["torch"] = calls["torch eager"]().item()
        if torch.device == "cuda":
            step = torch_step(torch, width, blocks, batch, weights)
            calls["torch captured"] = torch.captured(step)[0]
        if not math.isclose(losses["ours"], losses["torch"], rel_tol=1e-4):
            sys.exit(f"training: the first losses differ: {losses}")
    samples = interleaved(calls, clock, rounds, cold=False)
    report(
        f"one step of training, batch {shape}, width {width}, {blocks} blocks", 0, {"warm": samples}
    )
    return {
        "batch": shape,
        "width": width,
        "blocks": blocks,
        "losses": losses,
        "seconds": {name: s.as_json() for name, s in samples.items()},
    }


# ---------------------------------------------------------------------- the whole


def run(device: str, rounds: int, tiny: bool, cupy: Any) -> Iterator[tuple[str, Any]]:
    """All measurements by name, as they go into the file; the layers each time that there are more."""
    torch = _torch("cuda" if device == "cuda" else "cpu")
    clock = GpuClock(cupy) if cupy is not None else HostClock()
    ours = Ours(device)
    sets = (
        {"tiny": deblurgan(1, 16, 4)}
        if tiny
        else {
            "batch 1, 256x256": deblurgan(1, 256),
            "batch 16, 64x64": deblurgan(16, 64),
        }
    )
    rows, ratios = [], []
    for title, layers in sets.items():
        for layer in layers:
            for operation in OPERATIONS:
                arrays = _arrays(layer)
                call = ours.convolution(operation, layer, arrays)

                def torch_calls(operation=operation, layer=layer, arrays=arrays):
                    for layout in Torch.layouts:
                        yield layout, torch.convolution(operation, layer, arrays, layout)

                made = contenders(operation, ours, torch, call, torch_calls)
                found = timed(operation, made, clock, rounds)
                report(f"{title}: {layer.name}, {operation}", layer.flops, found)
                rows.append(_row(title, operation, asdict(layer), layer.flops, found))
                ratios.append(summary(found["warm"], operation))
                yield "layers", rows
    for size in (64,) if tiny else (1024, 2048, 4096):
        a, b = (np.random.default_rng(i).standard_normal((size, size), np.float32) for i in (0, 1))
        call = ours.product(a, b)

        def products(a=a, b=b):
            yield "", torch.product(a, b)

        made = contenders("matmul", ours, torch, call, products)
        found = timed("matmul", made, clock, rounds)
        report(f"matrix product of {size}", 2 * size**3, found)
        rows.append(_row("matmul", "matmul", {"size": size}, 2 * size**3, found))
    means = {
        kind: math.exp(np.mean([math.log(r[kind]) for r in ratios])) for kind in ("fp32", "tf32")
    }
    print("\nPyTorch's time over ours, convolutions, warm, geometric mean:", means)
    yield "layers", rows
    yield "torch over ours, geometric mean of convolutions", means
    yield "training", training(ours, torch, clock, rounds, tiny)


def _torch(device: str) -> Torch | None:
    try:
        return Torch(device)
    except ImportError:
        print("PyTorch is not installed: only our own kernels are timed", file=sys.stderr)
        return None


def _arrays(layer: Layer) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "x": (layer.images, layer.channels, layer.size, layer.size),
        "w": (layer.out_channels, layer.channels, layer.kernel, layer.kernel),
        "y": (layer.images, layer.out_channels, layer.out_size, layer.out_size),
    }
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def _row(title: str, operation: str, what: Any, flops: int, found: Any) -> dict[str, Any]:
    times = {k: {n: s.as_json() for n, s in samples.items()} for k, samples in found.items()}
    return {"set": title, "operation": operation, "layer": what, "flops": flops, "seconds": times}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "emulator"), default="cuda")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="small layers, to try it out")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    chosen = parser.parse_args(arguments)
    cupy = __import__("cupy") if chosen.device == "cuda" else None
    described = machine(cupy)
    card = described.get("gpu", chosen.device).lower().replace(" ", "-")
    out = chosen.out or Path(__file__).parent / "results" / f"gpu-{card}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "machine": described,
        "command": f"python benchmarks/gpu.py --device {chosen.device} --rounds {chosen.rounds}",
    }
    try:
        for name, part in run(chosen.device, chosen.rounds, chosen.tiny, cupy):
            found[name] = part
            out.write_text(json.dumps(found, indent=1) + "\n")  # what is known by now
    except MiniganError as error:
        sys.exit(f"Error: {error}")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
