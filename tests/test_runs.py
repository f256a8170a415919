"""Run folders: numbered, never overwritten, and logs that say when they cannot be written."""

import json

import pytest

from minigan.core.errors import OutputPathError
from minigan.runs import SETTINGS, json_lines, new_folder, write_json


def test_folders_are_numbered(tmp_path):
    names = [new_folder(None, "gan", tmp_path).name for _ in range(2)]
    assert names == ["gan-001", "gan-002"]
    assert new_folder(None, "deblur", tmp_path).name == "deblur-001"


def test_a_run_is_never_overwritten(tmp_path):
    folder = new_folder(tmp_path / "run", "gan")
    assert new_folder(folder, "gan") == folder  # empty: nothing to lose
    write_json(folder / SETTINGS, {})
    with pytest.raises(OutputPathError, match="holds a run already"):
        new_folder(folder, "gan")


def test_files_of_the_users_are_never_mixed_with_a_run(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputPathError, match="holds other files"):
        new_folder(tmp_path, "deblur")


def test_a_thousandth_run_needs_a_name(tmp_path):
    for n in range(1, 1000):
        (tmp_path / f"gan-{n:03d}").mkdir()
    with pytest.raises(OutputPathError, match="name a folder with --out"):
        new_folder(None, "gan", tmp_path)


def test_lines_are_in_the_file_as_soon_as_they_are_written(tmp_path):
    path = tmp_path / "log.jsonl"
    with json_lines(path) as log:
        log({"step": 1})
        assert json.loads(path.read_text()) == {"step": 1}
        log({"step": 2})
    with json_lines(path) as log:
        log({"step": 3})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with (
        pytest.raises(OutputPathError, match=r"log\.jsonl"),
        json_lines(tmp_path / "no" / "log.jsonl"),
    ):
        pass


def test_errors_of_others_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), json_lines(tmp_path / "log.jsonl"):
        (tmp_path / "missing").read_text()
