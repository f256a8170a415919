"""How training and restoring show themselves: live bars, in a terminal; plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class _WithBar:
    """Shows a bar from the beginning of a block to its end."""

    _bar: Progress

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


class TrainingProgress(_WithBar):
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

    def say(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self._live:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

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


class PixelProgress(_WithBar):
    """Called with the number of pixels after each tile; a bar of megapixels, in a terminal alone."""

    def __init__(self, pixels: int) -> None:
        live = sys.stderr is not None and sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("restoring"),
            BarColumn(),
            TextColumn("{task.completed:.1f}/{task.total:.1f} megapixels"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not live,
            transient=True,
            redirect_stdout=live and sys.stdout is not None and sys.stdout.isatty(),
        )
        self._task = self._bar.add_task("", total=pixels / 1e6)

    def __call__(self, pixels: int) -> None:
        self._bar.advance(self._task, pixels / 1e6)
