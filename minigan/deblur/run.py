"""One training run and its folder.

settings.json      how the run was made, and the command that repeats it
log.jsonl          one line per report: step, losses, and validation
times.jsonl        when each report came; apart, so that the log has the same bits every time
checkpoints/       the last two complete states of the training, and the best; an interrupted run goes
                   on from the last
lock               which process works in the folder, while one does
model.safetensors  the generator, saved at each validation
twin.safetensors   the L1-only twin, where one was asked for
table.json         the table of methods
report.html        pictures, curves and the table on one page
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.checkpoints import Checkpoint, Checkpoints
from minigan.core.errors import MiniganError, ModelFileError, brief
from minigan.core.parallel import Workers
from minigan.core.tensor import Array
from minigan.deblur import metrics, restore
from minigan.deblur.blur import BlurSettings, quantize
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.evaluate import Method, Row, classical_methods, evaluate
from minigan.deblur.model import FILE_NAME, Model, save_model
from minigan.deblur.networks import GeneratorSettings
from minigan.deblur.pairs import Pair, typical, unseen_pairs
from minigan.deblur.photographs import Photograph, Split, fingerprint
from minigan.deblur.report import Example, Report, write_report
from minigan.deblur.train import Trainer, TrainSettings, fit_least_squares
from minigan.files import remove_leftovers
from minigan.machine import what_decides_bits
from minigan.runs import SETTINGS, json_lines, owned, stop_requests, write_json

OURS, TWIN = "minigan", "L1-only twin"
Progress = Callable[[str, int, int, dict[str, float]], None]  # (network, step, of, figures)

TWIN_FILE_NAME = "twin.safetensors"
CHECKPOINTS = "checkpoints"  # the folder of them, in a run's
TEST_SIZE, TESTS_EACH = 128, 10
VALIDATION_SIZE = 96


@dataclass(frozen=True)
class Run:
    """What a run is to do: where, with which settings and photographs, and how it was asked for.

    data, preset  the folder of photographs and the preset that were named, for the record
    """

    folder: Path
    settings: TrainSettings
    photographs: Split
    twin: bool
    command: Sequence[str]
    version: str
    device: str = "cpu"
    data: Path | None = None
    preset: str = ""


def perform(run: Run, workers: Workers, progress: Progress) -> list[Row]:
    """Train, save, measure, report; returns the table of methods.

    Goes on from the run's last checkpoints, where there are some, and ends with the same bits as if it
    had never been interrupted. Raises KeyboardInterrupt once it has saved where it is, after Ctrl-C.
    """
    folder, settings = run.folder, run.settings
    with owned(folder):
        for place in (folder, folder / CHECKPOINTS):
            remove_leftovers(place)
        if not (folder / SETTINGS).exists():
            write_json(folder / SETTINGS, settings_record(run))
        validation = unseen_pairs(
            run.photographs.unseen, settings.blur, VALIDATION_SIZE, each=2, seed=settings.seed + 1
        )
        models, history = _trained(run, workers, progress, validation)
        pairs = unseen_pairs(run.photographs.unseen, settings.blur, TEST_SIZE, TESTS_EACH)
        rows = evaluate(methods(models, workers), pairs)
        write_json(folder / "table.json", [asdict(row) for row in rows])
        blurry = evaluate(methods(models)[:1], validation)[0]
        levels = {"val_psnr": blurry.psnr.mean, "val_ssim": blurry.ssim.mean}
        report = _report(run, rows, history, models, typical(pairs, TESTS_EACH)[:4], levels)
        write_report(folder / "report.html", report)
        return rows


def _trained(
    run: Run, workers: Workers, progress: Progress, validation: Sequence[Pair]
) -> tuple[dict[str, Model], list[dict[str, float]]]:
    """The models, by name, and what was reported of ours."""
    folder, settings, checkpoints = run.folder, run.settings, run.folder / CHECKPOINTS
    trainer = Trainer(settings, run.photographs.training, device=run.device)
    least_squares = fit_least_squares(trainer)
    with json_lines(folder / "times.jsonl") as times, stop_requests() as stopped:
        training = _Training(folder, validation, least_squares, workers, progress, times, stopped)
        ours = _Course(OURS, trainer, folder / "log.jsonl", Checkpoints(checkpoints, "minigan"))
        ours.go_on_from(ours.checkpoints.newest())
        training.go(ours, settings.first_adversarial_step)
        # Up to here the twin's steps are the same, bit for bit; it takes its own way from now on.
        fork = Checkpoints(checkpoints, "fork", keep=1)
        if run.twin and trainer.steps_done == settings.first_adversarial_step:
            fork.save(trainer.checkpoint())
        training.go(ours, settings.steps)
        models = {OURS: trainer.model(least_squares)}
        save_model(folder / FILE_NAME, models[OURS])
        if run.twin:
            log, saved = folder / "twin-log.jsonl", Checkpoints(checkpoints, "twin")
            twin = _Course(TWIN, trainer.twin(), log, saved)
            start = saved.newest() or fork.newest()
            if start is None:
                raise ModelFileError(
                    f"{checkpoints} holds no state of step {settings.first_adversarial_step}, from "
                    "which the twin goes its own way; a run that is resumed needs it"
                )
            twin.go_on_from(start)
            training.go(twin, settings.steps)
            models[TWIN] = twin.trainer.model(least_squares)
            save_model(folder / TWIN_FILE_NAME, models[TWIN])
    return models, ours.history


def methods(models: dict[str, Model], workers: Workers | None = None) -> list[Method]:
    """The classical methods and the models, in the order of the table."""
    filters = next(iter(models.values())).least_squares

    def runs(model: Model) -> Callable[[Array, Array], Array]:
        return lambda blurry, kernel: restore.restore(model, blurry, workers)

    return [*classical_methods(filters), *(Method(n, runs(m)) for n, m in models.items())]


# ---------------------------------------------------------------------- training, with a log


class _Course:
    """One network's way through its training: where it is, and what was reported on the way."""

    def __init__(self, name: str, trainer: Trainer, log: Path, checkpoints: Checkpoints):
        self.name, self.trainer, self.log, self.checkpoints = name, trainer, log, checkpoints
        self.history: list[dict[str, float]] = []  # the reports
        self.since: list[dict[str, float]] = []  # each step's figures since the last report
        self.logged = 0  # bytes of the log that belong to the steps done

    def go_on_from(self, checkpoint: Checkpoint | None) -> None:
        """Be where a checkpoint was saved; at the beginning without one."""
        if checkpoint is None:
            return
        self.trainer.load(checkpoint)
        record = checkpoint.record
        self.history = record.get("history", [])
        self.since = record.get("since", [])
        self.logged = record.get("logged", 0)

    def save(self) -> None:
        """A checkpoint of where it is; the best one, by PSNR on the validation pairs, stays."""
        record = {"history": self.history, "since": self.since, "logged": self.logged}
        best = max(self.history, key=lambda report: report["val_psnr"], default=None)
        step = None if best is None else int(best["step"])
        self.checkpoints.save(self.trainer.checkpoint(record), step)


@dataclass
class _Training:
    """What every stretch of training needs: where to write, what to validate on, whom to tell."""

    folder: Path
    validation: Sequence[Pair]
    least_squares: LeastSquaresFilter
    workers: Workers
    progress: Progress
    times: Callable[[dict[str, Any]], None]
    stopped: Callable[[], bool]

    def go(self, course: _Course, until: int) -> None:
        """Train up to step `until`; a line of means each `report_every` steps, and at the end."""
        trainer = course.trainer
        every, start = trainer.settings.report_every, time.perf_counter()
        with (
            trainer.in_processes(self.workers) as workers,
            json_lines(course.log, keep=course.logged) as log,
        ):
            while trainer.steps_done < until:
                course.since.append(trainer.step(workers))
                done = trainer.steps_done
                self.progress(course.name, done, trainer.settings.steps, course.since[-1])
                if done % every == 0 or done == until:
                    self._report(course, log, time.perf_counter() - start)
                if self.stopped():
                    course.save()
                    raise KeyboardInterrupt

    def _report(
        self, course: _Course, log: Callable[[dict[str, Any]], None], seconds: float
    ) -> None:
        """Validate, log, and save where the training is."""
        trainer, done = course.trainer, course.trainer.steps_done
        figures = {"step": done, **_means(course.since), **trainer.validate(self.validation)}
        log(figures)
        self.times({"network": course.name, "step": done, "seconds": seconds})
        self.progress(course.name, done, trainer.settings.steps, figures)
        course.history.append(figures)
        course.since = []
        course.logged = course.log.stat().st_size
        course.save()
        if course.name == OURS:
            save_model(self.folder / FILE_NAME, trainer.model(self.least_squares))


def _means(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the reports."""
    return {name: float(np.mean([r[name] for r in reports])) for name in reports[-1]}


# ---------------------------------------------------------------------- records and report


def settings_record(run: Run) -> dict[str, Any]:
    """How the run is made, as settings.json holds it."""
    training, unseen = run.photographs
    return {
        "minigan": run.version,
        "machine": what_decides_bits(),
        "command": shlex.join(run.command),
        "device": run.device,
        "data": None if run.data is None else str(run.data.resolve()),
        "preset": run.preset,
        "twin": run.twin,
        "settings": asdict(run.settings),
        "training photographs": [p.name for p in training],
        "unseen photographs": [p.name for p in unseen],
        "fingerprints": [fingerprint(p) for p in (*training, *unseen)],
    }


# Of settings.json, what a run is gone on with besides its settings.
_KINDS: dict[str, Any] = {
    "minigan": str,
    "machine": dict,
    "command": str,
    "device": str,
    "data": str | None,
    "preset": str,
    "twin": bool,
    "fingerprints": list,
}


def settings_of(path: Path, record: Mapping[str, Any]) -> TrainSettings:
    """The settings in a settings.json; ModelFileError if it is not of a run, or of another version's."""
    try:
        given = dict(record["settings"])
        generator, blur = given.pop("generator"), given.pop("blur")
        for name, kind in _KINDS.items():
            if not isinstance(record[name], kind):
                raise TypeError(f"{name} is {brief(record[name])}")
        return TrainSettings(
            **given, generator=GeneratorSettings(**generator), blur=BlurSettings(**blur)
        )
    except (MiniganError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} does not describe a run that this version of minigan could go on with ({error})"
        ) from error


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
