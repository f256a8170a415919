"""How training shows itself: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Called after each step with (network, step, of, figures); shows losses and validation.

    Figures that hold a "val_psnr" are the means of a report; others are of one step.
    """

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._psnr = ""
        self._tasks: dict[str, int] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            disable=not self._live,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, network: str, step: int, of: int, figures: dict[str, float]) -> None:
        reported = "val_psnr" in figures
        if reported:
            self._psnr = f"  validation {figures['val_psnr']:.2f} dB"
        losses = "  ".join(f"{n} {figures[n]:.4f}" for n in _LOSSES if n in figures) + self._psnr
        if not self._live:
            if reported:
                print(f"{network}: step {step} of {of}  {losses}", file=sys.stderr, flush=True)
            return
        if network not in self._tasks:
            self._tasks[network] = self._bar.add_task(network, total=of, completed=step, figures="")
        self._bar.update(self._tasks[network], completed=step, figures=losses)  # type: ignore[arg-type]


_LOSSES = ("content", "adversarial", "critic")
