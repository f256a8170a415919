"""Every lesson runs from top to bottom, its assertions hold, and it draws its figure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LESSONS = sorted((Path(__file__).parents[2] / "examples").glob("[0-9][0-9]_*.py"))


LONG = ("13", "16", "17")  # over half a minute


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * path.stem.startswith(LONG))
        for path in LESSONS
    ],
)
def test_a_lesson_holds(lesson, tmp_path):
    # Tests run beside each other, and threads that wait for each other's processors take minutes.
    environment = {**os.environ, "MPLBACKEND": "agg", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", str(lesson)]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "runs/lessons" / f"{lesson.stem}.png").stat().st_size > 10_000


def test_the_lessons_are_numbered_without_gaps_in_the_prose():
    for lesson in LESSONS:
        number, title = lesson.stem[:2], lesson.read_text(encoding="utf-8").splitlines()[1]
        assert title.startswith(f"# # {number} · ")
