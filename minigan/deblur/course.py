"""A network's way through its training: validated, logged, watched, and saved on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.checkpoints import Checkpoint, Checkpoints
from minigan.core.errors import ModelFileError
from minigan.core.parallel import Workers
from minigan.deblur import tensorboard
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import FILE_NAME, save_model
from minigan.deblur.pairs import Pair
from minigan.deblur.train import Trainer
from minigan.gan.health import Trouble, Watch
from minigan.runs import json_lines

OURS = "minigan"
Progress = Callable[[str, int, int, dict[str, float]], None]  # (network, step, of, figures)


class Course:
    """One network's way through its training: where it is, and what was reported on the way."""

    def __init__(self, name: str, trainer: Trainer, log: Path, checkpoints: Checkpoints):
        self.name, self.trainer, self.log, self.checkpoints = name, trainer, log, checkpoints
        self.history: list[dict[str, float]] = []  # the reports
        self.since: list[dict[str, float]] = []  # each step's figures since the last report
        self.watch = Watch()
        self.notices: list[str] = []  # what went wrong, with the step at which that was seen
        self.logged = 0  # bytes of the log that belong to the steps done

    def go_on_from(self, checkpoint: Checkpoint | None) -> None:
        """Be where a checkpoint was saved; at the beginning without one."""
        if checkpoint is None:
            return
        self.trainer.load(checkpoint)
        record = checkpoint.record
        self.history = record.get("history", [])
        self.since = record.get("since", [])
        self.watch = Watch.from_state(record.get("watch", Watch().state()))
        self.notices = record.get("notices", [])
        self.logged = record.get("logged", 0)
        if not (_are_reports(self.history, "step", "val_psnr") and _are_reports(self.since)):
            raise ModelFileError(f"the checkpoint of step {checkpoint.step} holds no reports")
        if not isinstance(self.notices, list) or any(type(n) is not str for n in self.notices):
            raise ModelFileError(f"the checkpoint of step {checkpoint.step} holds no notices")
        if type(self.logged) is not int or self.logged < 0:
            raise ModelFileError(
                f"the checkpoint of step {checkpoint.step} holds no size of the log"
            )

    def save(self) -> None:
        """A checkpoint of where it is; the best one, by PSNR on the validation pairs, stays."""
        record = {
            "history": self.history,
            "since": self.since,
            "watch": self.watch.state(),
            "notices": self.notices,
            "logged": self.logged,
            "settings": asdict(self.trainer.settings),
        }
        best = max(self.history, key=lambda report: report["val_psnr"], default=None)
        step = None if best is None else int(best["step"])
        self.checkpoints.save(self.trainer.checkpoint(record), step)


@dataclass
class Training:
    """What every stretch of training needs: where to write, what to validate on, whom to tell."""

    folder: Path
    validation: Sequence[Pair]
    least_squares: LeastSquaresFilter
    workers: Workers
    progress: Progress
    times: Callable[[dict[str, Any]], None]
    stopped: Callable[[], bool]
    say: Callable[[str], None]
    tensorboard: Path | None = None  # the folder of event files, where there shall be some
    at_report: Callable[[Trainer], None] = lambda trainer: None  # after a report of ours

    def go(self, course: Course, until: int) -> None:
        """Train up to step `until`; a line of means each `report_every` steps, and at the end."""
        trainer = course.trainer
        every, start = trainer.settings.report_every, time.perf_counter()
        events = self.tensorboard and self.tensorboard / course.checkpoints.name
        with (
            trainer.in_processes(self.workers) as workers,
            json_lines(course.log, keep=course.logged) as log,
            tensorboard.events(events, course.history, trainer.steps_done) as draw,
        ):
            while trainer.steps_done < until:
                course.since.append(trainer.step(workers))
                done = trainer.steps_done
                self.progress(course.name, done, trainer.settings.steps, course.since[-1])
                for trouble in course.watch.look(course.since[-1]):
                    self._notice(course, log, trouble)
                if done % every == 0 or done == until:
                    self._report(course, log, draw, time.perf_counter() - start)
                if self.stopped():
                    course.save()
                    raise KeyboardInterrupt

    def _notice(
        self, course: Course, log: Callable[[dict[str, Any]], None], trouble: Trouble
    ) -> None:
        """Log and say what goes wrong."""
        step = course.trainer.steps_done
        text = trouble.sentence.replace("discriminator", "critic")  # the name in the options
        log({"step": step, "kind": trouble.kind, "notice": text})
        course.logged = course.log.stat().st_size
        course.notices.append(f"step {step}: {text}")
        self.say(f"{course.name}, {course.notices[-1]}")

    def _report(
        self,
        course: Course,
        log: Callable[[dict[str, Any]], None],
        draw: Callable[[dict[str, float]], None],
        seconds: float,
    ) -> None:
        """Validate, log, and save where the training is."""
        trainer, done = course.trainer, course.trainer.steps_done
        figures = {"step": done, **_means(course.since), **trainer.validate(self.validation)}
        log(figures)
        draw(figures)
        self.times({"network": course.name, "step": done, "seconds": seconds})
        self.progress(course.name, done, trainer.settings.steps, figures)
        course.history.append(figures)
        course.since = []
        course.logged = course.log.stat().st_size
        course.save()
        if course.name == OURS:
            save_model(self.folder / FILE_NAME, trainer.model(self.least_squares))
            self.at_report(trainer)


def _are_reports(value: Any, *names: str) -> bool:
    """Whether a checkpoint's record holds reports there: figures by name, these among them."""
    return isinstance(value, list) and all(
        isinstance(report, dict)
        and report.keys() >= set(names)
        and all(isinstance(figure, int | float) for figure in report.values())
        for report in value
    )


def _means(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the reports."""
    return {name: float(np.mean([r[name] for r in reports])) for name in reports[-1]}
