"""A whole run: what it writes, that it can be repeated, and what stays when it fails."""

import json
import multiprocessing
import os
import signal

import numpy as np
import pytest

from minigan import serialize
from minigan.checkpoints import Checkpoints
from minigan.core.errors import ImageFileError, ModelFileError, NonFiniteError
from minigan.core.parallel import workers
from minigan.deblur import run
from minigan.deblur.model import load_model
from minigan.deblur.photographs import Split, folder_photographs
from minigan.deblur.stored import PixelCache
from minigan.deblur.tasks import INPUTS
from minigan.deblur.train import Trainer
from minigan.gan import health
from minigan.images import write_image
from minigan.runs import new_folder

BLURRY = INPUTS["deblur"]


@pytest.fixture
def job(photographs, settings, tmp_path, monkeypatch):
    """A run of a few seconds, on small crops."""
    monkeypatch.setattr(run, "TEST_SIZE", 48)
    monkeypatch.setattr(run, "VALIDATION_SIZE", 32)
    monkeypatch.setattr(run, "TESTS_EACH", 2)

    def perform(name="a", twin=False, say=print, progress=lambda *figures: None, **options):
        told = []
        split = Split(tuple(photographs[:2]), tuple(photographs[2:]))
        folder = tmp_path / name
        if not folder.exists():
            new_folder(folder, "deblur")
        task = run.Run(
            folder, settings, split, twin, ["minigan", "deblur", "train"], "0", **options
        )
        with workers(2) as pool:
            rows = run.perform(
                task, pool, lambda *figures: (told.append(figures), progress(*figures))[0], say
            )
        return folder, rows, told

    return perform


def test_a_run_writes_what_it_promises_and_nothing_else(job):
    folder, rows, told = job(twin=True)
    expected = {
        "settings.json",
        "log.jsonl",
        "twin-log.jsonl",
        "times.jsonl",
        "model.safetensors",
        "twin.safetensors",
        "table.json",
        "report.html",
        "dynamics.html",
        "moments",
        "checkpoints",
    }
    assert {path.name for path in folder.iterdir()} == expected
    assert [row.name for row in rows][-2:] == [run.OURS, "L1-only twin"]
    assert [p[:3] for p in told][:2] == [(run.OURS, 1, 6), (run.OURS, 2, 6)]
    assert len(json.loads((folder / "table.json").read_text())) == len(rows)
    assert load_model(folder).notes["steps"] == 6


def test_the_log_has_a_line_for_each_report_with_validation(job):
    folder, _, _ = job()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4, 6]
    assert all({"content", "gradient", "val_psnr", "val_ssim"} <= line.keys() for line in lines)
    assert ["critic" in line for line in lines] == [False, False, True, True]


def test_the_same_run_twice_has_the_same_bits_except_for_times(job):
    a, b = job("a")[0], job("b")[0]
    same = "log.jsonl", "model.safetensors", "settings.json", "table.json", "dynamics.html"
    for name in same:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


def test_batches_drawn_ahead_give_the_same_bits(job):
    a, b = job("a", twin=True)[0], job("b", twin=True, loaders=2)[0]
    for name in SAME:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_photograph_that_goes_during_the_training_is_named(
    settings, photographs, tmp_path, monkeypatch, loaders
):
    """After the step that deletes it; what was decoded is kept no longer than the first batch."""
    for i, photograph in enumerate(photographs):
        write_image(tmp_path / f"{i}.png", photograph.pixels / np.float32(255))
    stored = folder_photographs(tmp_path, cache=PixelCache(limit=0))
    trainer = Trainer(settings, stored, loaders=loaders)
    with workers(1) as pool, trainer.in_processes(pool) as team:
        trainer.step(team)
        for path in tmp_path.glob("*.png"):
            path.unlink()
        with pytest.raises(ImageFileError, match=r"cannot read .*\d\.png: there is no such file"):
            [trainer.step(team) for _ in range(5)]


def test_the_blurry_input_is_the_first_row_and_worse_than_itself_nowhere(job):
    _, rows, _ = job()
    assert rows[0].name == BLURRY
    assert rows[0].psnr.worse == 0
    assert {row.name for row in rows if row.knows_kernel} == {
        "inverse filter",
        "Wiener",
        "Richardson-Lucy",
    }


def test_when_training_stops_the_last_good_model_stays(job, tmp_path, monkeypatch):
    step = Trainer.step

    def failing(self, pool):
        if self.steps_done == 5:
            raise NonFiniteError("training stopped at step 6: made up")
        return step(self, pool)

    monkeypatch.setattr(Trainer, "step", failing)
    with pytest.raises(NonFiniteError):
        job()
    model = load_model(tmp_path / "a")
    assert model.notes["steps"] == 4
    assert all(np.isfinite(array).all() for array in model.generator.state_dict().values())


# ---------------------------------------------------------------------- interrupted, and gone on with


class Killed(BaseException):
    """What no handler in the program catches."""


SAME = ("log.jsonl", "twin-log.jsonl", "model.safetensors", "twin.safetensors", "table.json")


@pytest.mark.parametrize(
    ("how", "at"),
    [
        *(("killed", at) for at in ([3], [8], [1, 2, 4])),
        *(("stopped", at) for at in ([1], [6], [2, 2])),
    ],
)
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bits(job, monkeypatch, how, at):
    """`at`: the steps at which one process after the other ends; from the seventh on, the twin's."""
    expected = job("undisturbed", twin=True)[0]
    step, left, taken = Trainer.step, list(at), []

    def interrupted(self, pool):
        taken.append(None)
        if left and len(taken) == left[0]:
            del left[0], taken[:]
            if how == "killed":
                raise Killed
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, pool)

    monkeypatch.setattr(Trainer, "step", interrupted)
    for _ in at:
        with pytest.raises(Killed if how == "killed" else KeyboardInterrupt):
            job("disturbed", twin=True)
    folder = job("disturbed", twin=True)[0]
    for name in SAME:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    for name in ("minigan-00000006.safetensors", "twin-00000006.safetensors"):
        a, b = (serialize.load(f / "checkpoints" / name) for f in (expected, folder))
        assert a[1] == b[1]
        assert a[0].keys() == b[0].keys()
        assert all(np.array_equal(a[0][key], b[0][key]) for key in a[0])


def test_what_was_logged_after_the_last_checkpoint_is_logged_once(job, monkeypatch):
    """Killed after a line of the log, while its checkpoint is written."""
    expected = (job("undisturbed")[0] / "log.jsonl").read_bytes()
    save, saved = Checkpoints.save, []

    def killed(self, checkpoint, best=None):
        saved.append(checkpoint.step)
        if len(saved) == 3:
            raise Killed
        return save(self, checkpoint, best)

    monkeypatch.setattr(Checkpoints, "save", killed)
    with pytest.raises(Killed):
        job("disturbed")
    assert (job("disturbed")[0] / "log.jsonl").read_bytes() == expected


def test_a_run_that_is_complete_is_measured_again_and_stays(job):
    folder = job(twin=True)[0]
    before = {name: (folder / name).read_bytes() for name in SAME}
    assert job(twin=True)[2] == []  # no step was taken
    assert {name: (folder / name).read_bytes() for name in SAME} == before


def test_the_state_from_which_the_twin_goes_its_own_way_is_missed(job, monkeypatch):
    folder = job()[0]  # a run without a twin has none
    assert not list((folder / "checkpoints").glob("fork*"))
    with pytest.raises(ModelFileError, match="holds no state of step 3, from which the twin"):
        job(twin=True)


def test_a_checkpoint_of_other_networks_is_refused(job, settings, monkeypatch, photographs):
    folder = job()[0]
    path = max((folder / "checkpoints").iterdir())
    arrays, record = serialize.load(path)
    del arrays["generator.enter.weight"]
    serialize.save(path, arrays, record)
    with pytest.raises(
        ModelFileError, match=r"step 6 does not fit these settings: .*enter\.weight"
    ):
        job()


def test_what_goes_wrong_is_said_once_and_logged_also_when_the_run_is_interrupted_and_resumed(
    job, monkeypatch
):
    """A critic that says the same of all pictures, and windows of one step, so that it is seen."""
    monkeypatch.setattr(health, "WINDOW", 1)
    monkeypatch.setattr(health, "PATIENCE", 1)
    monkeypatch.setattr(health, "SILENT", 1e9)
    monkeypatch.setattr(health, "RULES", [rule for rule in health.RULES if rule[0] == "lead"])
    said = []
    folder, _, _ = job(say=said.append)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    (notice,) = [line for line in lines if "notice" in line]
    assert notice["step"] == 5  # the second in which the critic takes part
    assert "the critic" in notice["notice"]  # as the options call it
    assert said == [f"{run.OURS}, step 5: {notice['notice']}"]
    assert notice["notice"] in (folder / "report.html").read_text()

    def interrupted(*progress):
        if progress[1] == 5 and "val_psnr" not in progress[3]:
            os.kill(os.getpid(), signal.SIGTERM)

    again = []
    with pytest.raises(KeyboardInterrupt):
        job("b", say=again.append, progress=interrupted)
    other, _, _ = job("b", say=again.append)
    assert again == said
    assert (other / "log.jsonl").read_bytes() == (folder / "log.jsonl").read_bytes()
