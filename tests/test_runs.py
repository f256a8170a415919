"""Run folders: numbered, never overwritten, and logs that say when they cannot be written."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from minigan.core.errors import ModelFileError, OutputPathError
from minigan.runs import (
    LOCK,
    SETTINGS,
    json_lines,
    new_folder,
    owned,
    read_json,
    stop_requests,
    write_json,
)


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


def test_a_log_goes_on_after_what_is_kept_of_it(tmp_path):
    path = tmp_path / "log.jsonl"
    with json_lines(path) as log:
        log({"step": 1})
        kept = path.stat().st_size
        log({"step": 2})
    for keep, steps in ((None, [1, 2, 3]), (kept, [1, 3]), (0, [3]), (10**6, [3, 3])):
        with json_lines(path, keep) as log:
            log({"step": 3})
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == steps


def test_json_comes_back_and_anything_else_is_named(tmp_path):
    write_json(tmp_path / "a.json", {"x": 0.1})
    assert read_json(tmp_path / "a.json") == {"x": 0.1}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"cannot read .*b\.json: it is no JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(ModelFileError, match=r"cannot read .*c\.json: No such file"):
        read_json(tmp_path / "c.json")


# ---------------------------------------------------------------------- one owner, and how to stop it


OWNER = """
import pathlib, sys, time
from minigan.runs import owned
with owned(pathlib.Path(sys.argv[1])):
    print("here", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_a_folder_has_one_owner_who_is_named_and_forgotten_when_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        in_use = rf"is in use by process {process.pid}; wait"
        with pytest.raises(OutputPathError, match=in_use), owned(tmp_path):
            pass
        process.kill()
    with owned(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"process {os.getpid()}\n"
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_request_to_stop_is_noted_and_the_second_interrupts(number):
    before = signal.getsignal(number)
    with stop_requests() as stopped:
        assert not stopped()
        os.kill(os.getpid(), number)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) is before


def test_in_other_threads_nobody_asks_to_stop():
    found = []

    def work():
        with stop_requests() as stopped:
            found.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
