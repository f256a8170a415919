"""One training run and its folder.

settings.json      how the run was made, and the command that repeats it
log.jsonl          one line per report: step, losses, and validation now and then
times.jsonl        when each report came; apart, so that the log has the same bits every time
model.safetensors  the generator, saved at each validation
twin.safetensors   the L1-only twin, where one was asked for
table.json         the table of methods
report.html        pictures, curves and the table on one page
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.parallel import Workers
from minigan.core.tensor import Array
from minigan.deblur import metrics, restore
from minigan.deblur.blur import quantize
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.evaluate import Method, Row, classical_methods, evaluate
from minigan.deblur.model import FILE_NAME, Model, save_model
from minigan.deblur.pairs import Pair, typical, unseen_pairs
from minigan.deblur.photographs import Photograph, Split
from minigan.deblur.report import Example, Report, write_report
from minigan.deblur.train import Trainer, TrainSettings, fit_least_squares
from minigan.runs import SETTINGS, json_lines, write_json

OURS, TWIN = "minigan", "L1-only twin"
Progress = Callable[[str, int, int, dict[str, float]], None]  # (network, step, of, figures)

TWIN_FILE_NAME = "twin.safetensors"
TEST_SIZE, TESTS_EACH = 128, 10
VALIDATION_SIZE = 96


@dataclass(frozen=True)
class Run:
    """What a run is to do: where, with which settings and photographs, and how it was asked for."""

    folder: Path
    settings: TrainSettings
    photographs: Split
    twin: bool
    command: Sequence[str]
    version: str
    device: str = "cpu"


def perform(run: Run, workers: Workers, progress: Progress) -> list[Row]:
    """Train, save, measure, report; returns the table of methods."""
    write_json(run.folder / SETTINGS, _settings_record(run))
    trainer = Trainer(run.settings, run.photographs.training, device=run.device)
    least_squares = fit_least_squares(trainer)
    validation = unseen_pairs(
        run.photographs.unseen,
        run.settings.blur,
        VALIDATION_SIZE,
        each=2,
        seed=run.settings.seed + 1,
    )
    with json_lines(run.folder / "times.jsonl") as times:
        trained = _Training(run.folder, validation, least_squares, workers, progress, times)
        history = trained.go(OURS, trainer, run.settings.first_adversarial_step, "log.jsonl")
        # Up to here the twin's steps are the same, bit for bit; it takes its own way from now on.
        twin = trainer.twin() if run.twin else None
        history += trained.go(OURS, trainer, run.settings.steps, "log.jsonl")
        models = {OURS: trainer.model(least_squares)}
        save_model(run.folder / FILE_NAME, models[OURS])
        if twin is not None:
            trained.go(TWIN, twin, run.settings.steps, "twin-log.jsonl")
            models[TWIN] = twin.model(least_squares)
            save_model(run.folder / TWIN_FILE_NAME, models[TWIN])
    pairs = unseen_pairs(run.photographs.unseen, run.settings.blur, TEST_SIZE, TESTS_EACH)
    rows = evaluate(methods(models, workers), pairs)
    write_json(run.folder / "table.json", [asdict(row) for row in rows])
    blurry = evaluate(methods(models)[:1], validation)[0]
    levels = {"val_psnr": blurry.psnr.mean, "val_ssim": blurry.ssim.mean}
    report = _report(run, rows, history, models, typical(pairs, TESTS_EACH)[:4], levels)
    write_report(run.folder / "report.html", report)
    return rows


def methods(models: dict[str, Model], workers: Workers | None = None) -> list[Method]:
    """The classical methods and the models, in the order of the table."""
    filters = next(iter(models.values())).least_squares

    def runs(model: Model) -> Callable[[Array, Array], Array]:
        return lambda blurry, kernel: restore.restore(model, blurry, workers)

    return [*classical_methods(filters), *(Method(n, runs(m)) for n, m in models.items())]


# ---------------------------------------------------------------------- training, with a log


@dataclass
class _Training:
    """What every stretch of training needs: where to write, what to validate on, whom to tell."""

    folder: Path
    validation: Sequence[Pair]
    least_squares: LeastSquaresFilter
    workers: Workers
    progress: Progress
    times: Callable[[dict[str, Any]], None]

    def go(self, name: str, trainer: Trainer, until: int, log_name: str) -> list[dict[str, float]]:
        """Train up to step `until`; a line of means each `report_every` steps, and at the end."""
        every, of = trainer.settings.report_every, trainer.settings.steps
        history: list[dict[str, float]] = []
        since: list[dict[str, float]] = []
        start = time.perf_counter()
        with (
            trainer.in_processes(self.workers) as workers,
            json_lines(self.folder / log_name) as log,
        ):
            while trainer.steps_done < until:
                since.append(trainer.step(workers))
                done = trainer.steps_done
                self.progress(name, done, of, since[-1])
                if done % every == 0 or done == until:
                    figures = {"step": done, **_means(since), **trainer.validate(self.validation)}
                    log(figures)
                    self.times(
                        {"network": name, "step": done, "seconds": time.perf_counter() - start}
                    )
                    self.progress(name, done, of, figures)
                    history.append(figures)
                    since = []
                    if name == OURS:
                        save_model(self.folder / FILE_NAME, trainer.model(self.least_squares))
        return history


def _means(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the reports."""
    return {name: float(np.mean([r[name] for r in reports])) for name in reports[-1]}


# ---------------------------------------------------------------------- records and report


def _settings_record(run: Run) -> dict[str, Any]:
    return {
        "minigan": run.version,
        "numpy": np.__version__,
        "command": shlex.join(run.command),
        "device": run.device,
        "settings": asdict(run.settings),
        "training photographs": [p.name for p in run.photographs.training],
        "unseen photographs": [p.name for p in run.photographs.unseen],
    }


def _report(
    run: Run,
    rows: Sequence[Row],
    history: Sequence[dict[str, float]],
    models: dict[str, Model],
    shown: Sequence[Pair],
    levels: dict[str, float],
) -> Report:
    training, unseen = run.photographs
    return Report(
        title="Deblurring photographs that training never saw",
        rows=rows,
        examples=[_example(pair, models) for pair in shown],
        history=history,
        settings=asdict(run.settings),
        command=shlex.join(run.command),
        facts={
            "photographs trained on": _named(training),
            "unseen photographs": _named(unseen),
            "test pairs": f"{len(unseen) * TESTS_EACH} crops of {TEST_SIZE} x {TEST_SIZE} pixels",
            "pictures shown": "of each photograph, the crop whose PSNR before restoring is the median",
            "steps": str(run.settings.steps),
            "minigan": run.version,
        },
        reference=OURS,
        val_levels=levels,
    )


def _named(photographs: Sequence[Photograph]) -> str:
    shown = ", ".join(p.name for p in photographs[:12])
    more = f" and {len(photographs) - 12} more" if len(photographs) > 12 else ""
    return f"{len(photographs)}: {shown}{more}"


def _example(pair: Pair, models: dict[str, Model]) -> Example:
    shown = [m for m in methods(models) if m.name != "inverse filter"]
    pictures = {m.name: quantize(m.restore(pair.blurry, pair.kernel)) for m in shown}
    psnr = {name: metrics.psnr(picture, pair.sharp) for name, picture in pictures.items()}
    return Example(pair.name, {**pictures, "sharp": pair.sharp}, psnr, pair.kernel)
