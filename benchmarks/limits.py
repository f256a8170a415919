"""What sets the limit on this machine's CPU: matrix products, memory, calls, threads.

    python benchmarks/limits.py

Each figure is a median, on one thread unless it says otherwise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import free_blas, machine

import minigan as mg
from minigan.core.parallel import workers
from minigan.devices.cpu.memory import keep_freed_memory
from minigan.devices.cpu.threads import share_out


def seconds(call: Callable[[], Any], times: int = 31) -> float:
    """The median time of a call."""
    samples = []
    for _ in range(times + 1):
        begin = time.perf_counter()
        call()
        samples.append(time.perf_counter() - begin)
    return statistics.median(samples[1:])


def product_rate(m: int, k: int, n: int) -> float:
    """GFLOP/s of a float32 matrix product (m, k) (k, n)."""
    rng = np.random.default_rng(0)
    a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    return 2 * m * k * n / seconds(lambda: np.matmul(a, b, out=out), 301) / 1e9


def bandwidth(megabytes: int) -> float:
    """GB/s read and written by copying an array that is larger than the caches."""
    source = np.ones(megabytes << 18, np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: np.copyto(target, source)) / 1e9


def call_overhead() -> tuple[float, float]:
    """Microseconds of a NumPy addition of two numbers, and of a recorded one of minigan."""
    a = np.ones(2, np.float32)
    x = mg.tensor(a, requires_grad=True)

    def hundred(call: Callable[[], Any]) -> float:
        return seconds(lambda: [call() for _ in range(100)]) * 1e4

    return hundred(lambda: np.add(a, a)), hundred(lambda: x + x)


def handing_over() -> float:
    """Microseconds that are lost by computing two matrix products on two threads."""
    a = np.random.default_rng(0).random((300, 300), np.float32)
    with workers(2):
        one = seconds(lambda: a @ a, 301)
        two = seconds(lambda: share_out(lambda _: a @ a, 2, 1.0), 301)
    return (two - one) * 1e6


def main() -> None:
    """Measure and print."""
    free_blas()
    keep_freed_memory()
    for name, value in machine().items():
        print(f"{name}: {value}")
    with workers(1):
        for shape in ((512, 512, 512), (32, 128, 128)):
            print(f"matrix product {shape}: {product_rate(*shape):.0f} GFLOP/s")
        print(f"copying 256 MB: {bandwidth(256):.0f} GB/s read and written")
        numpy, ours = call_overhead()
        print(f"an addition: {numpy:.1f} microseconds in NumPy, {ours:.1f} recorded")
    print(f"handing a part to another thread: {handing_over():.0f} microseconds")


if __name__ == "__main__":
    main()
