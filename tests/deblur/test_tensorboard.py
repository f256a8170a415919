"""Event files hold what the log holds, as TensorBoard reads them, also after interruptions."""

from __future__ import annotations

import errno
import json
import sys

import pytest
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minigan.cli.main import main
from minigan.core.errors import OutputPathError
from minigan.core.parallel import workers
from minigan.deblur import run, tensorboard
from minigan.deblur.photographs import Split
from minigan.deblur.tensorboard import events


def read(folder) -> dict[str, list[tuple[int, float]]]:
    """By tag, the steps and values that TensorBoard shows."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def reports(*steps):
    return [{"step": s, "loss": s / 2, "val_psnr": 20.0 + s} for s in steps]


def write(folder, history, step, new):
    with events(folder, history, step) as draw:
        for report in new:
            draw(report)


def test_reports_come_back_in_two_groups(tmp_path):
    write(tmp_path / "a", [], 0, reports(2, 4))
    assert read(tmp_path / "a") == {
        "training/loss": [(2, 1.0), (4, 2.0)],
        "validation/psnr": [(2, 22.0), (4, 24.0)],
    }


def test_what_came_after_the_checkpoint_is_superseded(tmp_path):
    write(tmp_path, [], 0, reports(2, 4, 6))
    write(tmp_path, reports(2), 2, [{**report, "loss": 9.0} for report in reports(4, 6)])
    write(tmp_path, reports(2, 4), 6, reports(8))
    assert read(tmp_path)["training/loss"] == [(2, 1.0), (4, 9.0), (6, 9.0), (8, 4.0)]


def test_a_folder_that_is_new_gets_what_was_reported_before(tmp_path):
    write(tmp_path / "new", reports(2, 4), 4, reports(6))
    assert [step for step, _ in read(tmp_path / "new")["training/loss"]] == [2, 4, 6]


def test_without_a_folder_nothing_is_written(tmp_path):
    write(None, [], 0, reports(2))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_is_one_sentence(tmp_path, monkeypatch):
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with events(tmp_path, [], 0) as draw:
        monkeypatch.setattr(RecordWriter, "write", full)
        with pytest.raises(OutputPathError, match=r"cannot write .*tfevents.*: No space left"):
            draw(reports(2)[0])
    (tmp_path / "file").touch()
    with pytest.raises(OutputPathError, match="a file stands where a folder is needed"):
        write(tmp_path / "file", [], 0, [])


def test_a_run_killed_and_resumed_has_each_report_once(
    tmp_path, photographs, settings, monkeypatch
):
    for name, size in (("TEST_SIZE", 48), ("VALIDATION_SIZE", 32), ("TESTS_EACH", 1)):
        monkeypatch.setattr(run, name, size)
    first, second, third = photographs
    split = Split((first, second), (third,))
    job = run.Run(tmp_path, settings, split, True, [], "0", tensorboard=True)
    save, killed = run.Checkpoints.save, []

    def killed_before_saving(self, checkpoint, best=None):
        if checkpoint.step == 4 and not killed:
            killed.append(True)
            raise InterruptedError
        return save(self, checkpoint, best)

    monkeypatch.setattr(run.Checkpoints, "save", killed_before_saving)
    with workers(1) as pool:
        with pytest.raises(InterruptedError):
            run.perform(job, pool, lambda *_: None)
        run.perform(job, pool, lambda *_: None)
    for network, log in (("minigan", "log.jsonl"), ("twin", "twin-log.jsonl")):
        logged = [json.loads(line) for line in (tmp_path / log).read_text().splitlines()]
        shown = read(tmp_path / tensorboard.FOLDER / network)
        assert {"training/loss", "training/gradient", "validation/psnr"} <= shown.keys()
        for tag, group, name in (
            ("training/loss", logged, "loss"),
            ("training/gradient", logged, "gradient"),
            ("validation/psnr", logged, "val_psnr"),
        ):
            assert shown[tag] == [(r["step"], pytest.approx(r[name], rel=1e-6)) for r in group]


def call(*arguments):
    return CliRunner().invoke(main, ["deblur", "train", *map(str, arguments)])


def test_the_option_writes_files_and_a_resumed_run_goes_on_with_them(tmp_path):
    options = ["--preset", "tiny", "--steps", 2, "--out", tmp_path / "run"]
    result = call(*options, "--tensorboard")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "run" / tensorboard.FOLDER / "minigan"
    assert [step for step, _ in read(folder)["training/loss"]] == [1, 2]
    before = len(list(folder.iterdir()))
    result = call("--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert len(list(folder.iterdir())) > before
    assert [step for step, _ in read(folder)["training/loss"]] == [1, 2]


def test_without_tensorboard_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    result = call("--preset", "tiny", "--out", tmp_path / "run", "--tensorboard")
    assert result.exit_code == 2
    assert "pip install 'minigan[tensorboard]'" in result.stderr
    assert not (tmp_path / "run").exists()
