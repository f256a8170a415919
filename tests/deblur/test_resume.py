"""Training runs that are killed, stopped, or find the disk full, as the system does it."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILL = Path(__file__).parents[1] / "kill_training.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")


def test_runs_killed_at_random_moments_end_with_the_same_bits():
    done = subprocess.run([sys.executable, KILL, "--kills", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 kills in" in done.stdout


def test_a_disk_that_is_full_loses_nothing_and_is_told_in_one_sentence(tmp_path):
    """A limit on the size of files stands for the disk: checkpoints are larger than it, logs are not."""
    limited = [
        sys.executable,
        "-c",
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)\n"
        "from minigan.cli.main import main\n"
        "main()",
    ]
    command = ["deblur", "train", "--preset", "tiny", "--steps", "40", "--seed", "3"]
    folder = tmp_path / "run"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    full = subprocess.run(
        [*limited, "20000", *command, "--out", str(folder)], capture_output=True, text=True
    )
    assert full.returncode == 2, full.stderr
    (message,) = [line for line in full.stderr.splitlines() if line.startswith("Error")]
    assert "cannot write" in message
    assert "Traceback" not in full.stderr
    assert not list(folder.rglob(".minigan-*"))
    again = subprocess.run(
        [sys.executable, "-m", "minigan", "deblur", "train", "--resume", str(folder)],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    folder = tmp_path / "a run"
    command = [sys.executable, "-m", "minigan", "deblur", "train"]
    with subprocess.Popen(
        [*command, "--preset", "tiny", "--steps", "4000", "--out", folder],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(folder.glob("checkpoints/*")):
            assert process.poll() is None
            time.sleep(0.05)
        second = subprocess.run(
            [*command, "--resume", folder], capture_output=True, text=True, check=False
        )
        assert second.returncode == 2
        assert f"is in use by process {process.pid}" in second.stderr
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"To go on from what was saved: minigan deblur train --resume '{folder}'" in told
    assert not (folder / "lock").exists()
    assert len(list(folder.glob("checkpoints/*"))) <= 3
