"""One training run and its folder.

settings.json      how the run was made, and the command that repeats it
log.jsonl          one line per report: step, losses, and validation; and one for what goes wrong
times.jsonl        when each report came; apart, so that the log has the same bits every time
tensorboard/       the log's figures as event files, where they were asked for
checkpoints/       the last two complete states of the training, and the best; an interrupted run goes
                   on from the last
lock               which process works in the folder, while one does
model.safetensors  the generator, saved at each validation
twin.safetensors   the L1-only twin, where one was asked for
dynamics.html      the training as a page to scrub through, made of the log and of moments/
table.json         the table of methods
report.html        pictures, curves and the table on one page
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

from minigan.checkpoints import Checkpoints
from minigan.core.errors import ModelFileError
from minigan.core.parallel import Workers
from minigan.core.tensor import Array
from minigan.deblur import restore, tensorboard
from minigan.deblur.course import OURS, Course, Progress, Training
from minigan.deblur.evaluate import Method, Row, classical_methods, evaluate
from minigan.deblur.model import FILE_NAME, Model, save_model
from minigan.deblur.moments import keep_restored, write_page
from minigan.deblur.pairs import Pair, crops_of, spread_out, typical, unseen_pairs
from minigan.deblur.photographs import Photograph, Split
from minigan.deblur.records import CHECKPOINTS, Run, settings_record
from minigan.deblur.report import Report, example_of, write_report
from minigan.deblur.settings import TrainSettings
from minigan.deblur.train import Trainer, fit_least_squares
from minigan.files import remove_leftovers
from minigan.gan.pages.course import FOLDER, moments
from minigan.runs import SETTINGS, json_lines, owned, stop_requests, write_json

TITLES = {
    "deblur": "Deblurring photographs",
    "superres": "Enlarging photographs",
    "sketch": "Photographs made of sketches",
}

TWIN_FILE_NAME = "twin.safetensors"
TEST_SIZE, TESTS_EACH = 128, 10
VALIDATION_SIZE = 96
MOST_UNSEEN = 200  # photographs to validate and to test on, or that would take longer than training


def perform(
    run: Run, workers: Workers, progress: Progress, say: Callable[[str], None] = lambda text: None
) -> list[Row]:
    """Train, save, measure, report; returns the table of methods. `say` gets what goes wrong meanwhile.

    Goes on from the run's last checkpoints, where there are some, and ends with the same bits as if it
    had never been interrupted. Raises KeyboardInterrupt once it has saved where it is, after Ctrl-C.
    """
    folder, settings = run.folder, run.settings
    with owned(folder):
        for place in (folder, folder / CHECKPOINTS, folder / FOLDER):
            remove_leftovers(place)
        if not (folder / SETTINGS).exists():
            if run.start is not None:
                _save_start(run, run.start)
            write_json(folder / SETTINGS, settings_record(run))
        unseen = measured_on(run.photographs)
        validation = unseen_pairs(
            unseen, settings.degradation, VALIDATION_SIZE, each=2, seed=settings.seed + 1
        )
        models, ours = _trained(run, workers, progress, validation, say)
        tests = unseen, settings.degradation, TEST_SIZE, TESTS_EACH
        rows = evaluate(methods(models, workers), crops_of(*tests))
        write_json(folder / "table.json", [asdict(row) for row in rows])
        blurry = evaluate(methods(models)[:1], validation)[0]
        levels = {"val_psnr": blurry.psnr.mean, "val_ssim": blurry.ssim.mean}
        shown = typical(list(crops_of(*tests, only=range(min(4, len(unseen))))), TESTS_EACH)
        report = _report(run, rows, ours, models, shown, levels)
        write_report(folder / "report.html", report)
        return rows


def _save_start(run: Run, start: Model) -> None:
    """A checkpoint of step 0 with a trained model's weights, from which the run goes on like from any.

    It is there before settings.json is, so that whoever resumes the run no longer needs the model.
    """
    trainer = _trainer(run)
    trainer.begin_with(start.generator)
    record = {"settings": asdict(run.settings)}
    Checkpoints(run.folder / CHECKPOINTS, "minigan").save(trainer.checkpoint(record))


def _trainer(run: Run) -> Trainer:
    return Trainer(
        run.settings,
        run.photographs.training,
        device=run.device,
        loaders=run.loaders,
        seen_before=run.seen_before,
    )


def _trained(
    run: Run,
    workers: Workers,
    progress: Progress,
    validation: Sequence[Pair],
    say: Callable[[str], None],
) -> tuple[dict[str, Model], Course]:
    """The models, by name, and our network's way to its own."""
    folder, settings, checkpoints = run.folder, run.settings, run.folder / CHECKPOINTS
    saved = Checkpoints(checkpoints, "minigan")
    start = saved.newest()  # first: if it is damaged, that is told at once
    trainer = _trainer(run)
    least_squares = fit_least_squares(trainer)
    with json_lines(folder / "times.jsonl") as times, stop_requests() as stopped:
        training = Training(
            folder, validation, least_squares, workers, progress, times, stopped, say
        )
        training.tensorboard = folder / tensorboard.FOLDER if run.tensorboard else None
        ours = Course(OURS, trainer, folder / "log.jsonl", saved)
        ours.go_on_from(start)
        training.at_report = _filmed(run, validation)
        if start is None:
            keep_restored(run, trainer, validation)
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
            name = twin_name(settings)
            twin = Course(name, trainer.twin(), log, saved)
            start = saved.newest() or fork.newest()
            if start is None:
                raise ModelFileError(
                    f"{checkpoints} holds no state of step {settings.first_adversarial_step}, from "
                    "which the twin goes its own way; a run that is resumed needs it"
                )
            twin.go_on_from(start)
            training.go(twin, settings.steps)
            models[name] = twin.trainer.model(least_squares)
            save_model(folder / TWIN_FILE_NAME, models[name])
    return models, ours


def _filmed(run: Run, validation: Sequence[Pair]) -> Callable[[Trainer], None]:
    """What is done at a report: a picture of some of them, for the page."""
    filmed = moments(run.settings.steps, run.settings.report_every)

    def keep(trainer: Trainer) -> None:
        if trainer.steps_done in filmed:
            keep_restored(run, trainer, validation)
            write_page(run, TITLES[run.settings.task], validation)

    return keep


def twin_name(settings: TrainSettings) -> str:
    """What tables call the same network without its adversary."""
    return "L1-only twin" if settings.content.loss == "l1" else "twin without critic"


def measured_on(photographs: Split) -> list[Photograph]:
    """The unseen photographs, or, of very many, some at equal distances."""
    return [photographs.unseen[i] for i in spread_out(len(photographs.unseen), MOST_UNSEEN)]


def methods(models: dict[str, Model], workers: Workers | None = None) -> list[Method]:
    """The classical methods and the models, in the order of the table."""
    filters = next(iter(models.values())).least_squares

    def runs(model: Model) -> Callable[[Array, Any], Array]:
        return lambda blurry, kernel: restore.restore(model, blurry, workers)

    task = next(iter(models.values())).task
    return [*classical_methods(filters, task), *(Method(n, runs(m)) for n, m in models.items())]


# ---------------------------------------------------------------------- the report


def _report(
    run: Run,
    rows: Sequence[Row],
    course: Course,
    models: dict[str, Model],
    shown: Sequence[Pair],
    levels: dict[str, float],
) -> Report:
    training, unseen = run.photographs
    shown_methods = [method for method in methods(models) if method.name != "inverse filter"]
    crops = f"crops of {TEST_SIZE} x {TEST_SIZE} pixels"
    return Report(
        title=f"{TITLES[run.settings.task]} that training never saw",
        rows=rows,
        examples=[example_of(pair, shown_methods) for pair in shown],
        history=course.history,
        settings=asdict(run.settings),
        command=shlex.join(run.command),
        facts={
            "photographs trained on": _named(training),
            "unseen photographs": _named(unseen),
            "test pairs": f"{len(measured_on(run.photographs)) * TESTS_EACH} {crops}",
            "pictures shown": "of each photograph, the crop whose PSNR before restoring is the median",
            "steps": str(run.settings.steps),
            **({"began with": run.started_from} if run.started_from else {}),
            "minigan": run.version,
            **({"noticed": "; ".join(course.notices)} if course.notices else {}),
        },
        reference=OURS,
        val_levels=levels,
        inputs=inputs_of(run.settings.task, training),
    )


def inputs_of(
    task: str, photographs: Sequence[Photograph]
) -> Literal["blurred", "found", "superres", "sketch"]:
    """Where the networks' inputs came from, as a report tells it."""
    if task == "superres" or task == "sketch":
        return task
    return "blurred" if photographs[0].blurry is None else "found"


def _named(photographs: Sequence[Photograph]) -> str:
    shown = ", ".join(p.name for p in photographs[:12])
    more = f" and {len(photographs) - 12} more" if len(photographs) > 12 else ""
    return f"{len(photographs)}: {shown}{more}"
