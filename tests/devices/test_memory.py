"""Keeping freed memory: in a process of its own, because the setting stays until the process ends."""

import platform
import subprocess
import sys

import pytest

from minigan.devices.cpu.memory import keep_freed_memory

# Frees and takes 16 MB again and again, touching every page, and prints how many pages were new.
PROGRAM = """
import resource, sys
import numpy as np
from minigan.devices.cpu.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):
    np.ones(4 << 20, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(4 << 20, np.float32), np.ones(4 << 20, np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(mode: str) -> int:
    command = [sys.executable, "-c", PROGRAM, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_memory_that_was_freed_is_used_again():
    assert new_pages("keep") < new_pages("as it is") / 4


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
