"""Draws the picture of docs/performance.md from what the benchmarks have measured.

    python docs/performance_picture.py       writes docs/images/performance.png

On the left the time of a training step over that of PyTorch, for growing pictures, batches and widths; on
the right the training steps of benchmarks/step_cpu.py and a picture restored, and how much of PyTorch's
memory they take.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from minigan.files import atomic_write

IMAGES = Path(__file__).parent / "images"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
OURS, THEIRS = "#1f6f8b", "#99a8b2"
VARIED = {
    "side": "side of the picture (batch 4, width 32)",
    "batch": "pictures in a batch (64 x 64, width 32)",
    "width": "channels of the first layer (batch 4, 64 x 64)",
}


def results(name: str) -> Any:
    """A file of benchmarks/results."""
    return json.loads((RESULTS / name).read_text())


def scaling(axes: Any) -> None:
    """A line for one thread and one for two, under each other for what was varied."""
    rows = results("scaling-cpu.json")["steps"]
    for axis, (what, label) in zip(axes, VARIED.items(), strict=True):
        values = [row["value"] for row in rows if row["varied"] == what]
        ratios = [row["ratios"] for row in rows if row["varied"] == what]
        for threads, style in ((1, "-o"), (2, "--s")):
            name = "one processor each" if threads == 1 else "two processors each"
            axis.plot(values, [r[threads - 1] for r in ratios], style, color=OURS, label=name)
        axis.axhline(1, color=THEIRS, linewidth=1)
        axis.set_xscale("log", base=2)
        axis.set_xticks(values, [str(v) for v in values])
        axis.set_ylim(0, 2)
        axis.set_xlabel(label, fontsize=8)
        axis.set_ylabel("minigan / PyTorch", fontsize=8)
    axes[0].legend(fontsize=8, loc="upper right")
    axes[0].set_title("time of a training step", fontsize=10)


def bars(axis: Any, names: list[str], ratios: list[float], title: str) -> None:
    """One bar for each case; PyTorch's is the line at 1."""
    axis.barh(names, ratios, color=OURS, height=0.6)
    axis.axvline(1, color=THEIRS, linewidth=1)
    for i, ratio in enumerate(ratios):
        axis.text(
            ratio - 0.02, i, f"{ratio:.2f}", va="center", ha="right", fontsize=8, color="white"
        )
    axis.set_xlim(0, 1.6)
    axis.invert_yaxis()
    axis.set_xlabel("minigan / PyTorch", fontsize=8)
    axis.set_title(title, fontsize=10)


def main() -> None:
    """Draw it."""
    figure = plt.figure(figsize=(10, 7))
    grid = figure.add_gridspec(6, 2, width_ratios=(1, 1.05))
    left = [figure.add_subplot(grid[2 * i : 2 * i + 2, 0]) for i in range(3)]
    scaling(left)
    steps, memory = results("step-cpu.json")["steps"], results("memory-cpu.json")["steps"]
    restored = results("restore-cpu.json")
    names = [row["case"].replace(", ", "\n", 1) for row in steps] + ["restoring\n1280x720"]
    times = figure.add_subplot(grid[:3, 1])
    ratios = [row["ratio"] for row in steps] + [restored["time"]["ratio"]]
    bars(times, names, ratios, "time, two processors each")
    peaks = figure.add_subplot(grid[3:, 1])
    ratios = [row["ratio"] for row in memory] + [restored["memory ratio"]]
    bars(peaks, names, ratios, "peak memory")
    for axis in (*left, times, peaks):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path = IMAGES / "performance.png"
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
    print(path)


if __name__ == "__main__":
    main()
