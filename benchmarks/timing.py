"""Fair timings: contenders take turns in one run, every sample is kept, and the machine is described.

On a GPU, time is what passes between two events on its stream. Cold samples come after the L2 cache was
overwritten, outside the timed region; warm ones are several calls in a row, divided.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigan.machine import blas_kernels, processor

Call = Callable[[], Any]

_WARM_SECONDS = 2e-3  # a warm sample lasts at least so long, or the cost of launching would show
_CACHES = 4  # times the L2 cache is overwritten, before cold samples: its policy is no strict one


@dataclass
class Samples:
    """Seconds that one contender took, each call of which computes `flops`."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a share of the median."""
        if len(self.seconds) < 4:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4)
        return (high - low) / 2 / self.median

    def as_json(self) -> dict[str, Any]:
        samples = [float(f"{s:.4g}") for s in self.seconds]
        return {"median": self.median, "spread": self.spread, "samples": samples}


class HostClock:
    """The host's clock: for the CPU and the emulator, where calls return when they are done."""

    has_cache_to_flush = False

    def __init__(self, pause: float = 0.0, least: float = 0.0):
        self._pause = (
            pause  # before each sample: threads of the last contender may spin for some ms
        )
        self._least = least  # seconds: a sample is as many calls in a row as take so long

    def seconds(self, call: Call, cold: bool) -> float:
        """How long one call takes."""
        time.sleep(self._pause)
        calls, begin = 0, time.perf_counter()
        while True:
            call()
            calls, passed = calls + 1, time.perf_counter() - begin
            if passed >= self._least:
                return passed / calls


class GpuClock:
    """Events on the GPU's current stream."""

    has_cache_to_flush = True

    def __init__(self, cupy: Any):
        self._cuda = cupy.cuda
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        self._cache = cupy.empty(_CACHES * properties["l2CacheSize"], "u1")

    def seconds(self, call: Call, cold: bool) -> float:
        """How long one call takes: cold, one; warm, the mean of several in a row."""
        if cold:
            return self._elapsed(call, 1)
        once = self._elapsed(call, 1, flush=False)
        return self._elapsed(call, max(1, round(_WARM_SECONDS / max(once, 1e-7))), flush=False)

    def _elapsed(self, call: Call, times: int, flush: bool = True) -> float:
        begin, end = self._cuda.Event(), self._cuda.Event()
        # What is launched first keeps the GPU busy while the host queues the rest.
        if flush:
            self._cache.data.memset_async(0, self._cache.nbytes, self._cuda.get_current_stream())
        else:
            call()
        begin.record()
        for _ in range(times):
            call()
        end.record()
        end.synchronize()
        return self._cuda.get_elapsed_time(begin, end) / 1e3 / times


def interleaved(
    contenders: Mapping[str, Call], clock: HostClock | GpuClock, rounds: int, cold: bool
) -> dict[str, Samples]:
    """`rounds` samples of each contender; in every round each has one turn, after one to warm up."""
    results = {name: Samples() for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            results[name].seconds.append(clock.seconds(call, cold))
    return results


def ratio_of(samples: dict[str, Samples]) -> float:
    """Our median over that of PyTorch's better layout."""
    best = min(s.median for name, s in samples.items() if name.startswith("torch"))
    return samples["minigan"].median / best


def over_runs(runs: Sequence[dict[str, Samples]]) -> dict[str, Any]:
    """The ratio in the middle of the runs', all of them, and every sample: as it goes into a file."""
    ratios = sorted(map(ratio_of, runs))
    seconds = [{name: s.as_json() for name, s in run.items()} for run in runs]
    return {"ratio": statistics.median(ratios), "ratios": ratios, "seconds": seconds}


def write(found: dict[str, Any], out: Path | None, name: str) -> None:
    """What was measured, after the machine's description, as JSON: to `out`, or to results/`name`."""
    path = out or Path(__file__).parent / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine()} | found, indent=1) + "\n")
    print(f"written to {path}")


def free_blas() -> None:
    """Start this program again where the environment holds OpenBLAS to a processor's older kernels.

    What would be measured then is that setting: PyTorch's CPU build does not heed it.
    """
    forced = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    if forced:
        for name in forced:
            del os.environ[name]
        os.execv(sys.executable, [sys.executable, *sys.argv])


def machine(cupy: Any = None) -> dict[str, str]:
    """Processor or card, and the versions of what computes."""
    described = {"python": platform.python_version(), "processor": processor()}
    for package in ("numpy", "torch", "cupy-cuda12x", "cupy-cuda13x"):
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    described |= blas_kernels()
    if cupy is not None:
        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
        described |= {
            "gpu": properties["name"].decode(),
            "driver": str(runtime.driverGetVersion()),
            "runtime": str(runtime.runtimeGetVersion()),
        }
    return described
