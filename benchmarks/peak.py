"""The memory that a command takes: the most at any time, of its process and those it makes together."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PAUSE = 0.003  # seconds between two looks


def peak_megabytes(command: Sequence[str]) -> float:
    """Run the command and watch it, on Linux; the program ends here if it fails."""
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(megabytes, [process.pid, *children(process.pid)])))
            time.sleep(PAUSE)
    if process.returncode:
        sys.exit(f"{' '.join(command[1:])} failed with exit code {process.returncode}")
    return peak


def children(pid: int) -> list[int]:
    """The processes that a process has made, by any of its threads, and that still run."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    try:
        return [int(child) for file in lists for child in file.read_text().split()]
    except OSError:  # it has ended meanwhile
        return []


def megabytes(pid: int) -> float:
    """A process's memory; what it shares with others counts in parts, so that sums are right."""
    try:
        found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except OSError:
        found = None
    return int(found[1]) / 1024 if found else 0.0
