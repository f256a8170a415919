"""The lessons as pages: the scripts of examples/, read as notebooks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jupytext


def copy_lessons(examples: Path, folder: Path) -> None:
    """Bring a folder up to date; a lesson that has not changed keeps its time, and its output."""
    folder.mkdir(exist_ok=True)
    sources = {path.name: path for path in sorted(examples.glob("[0-9][0-9]_*.py"))}
    for old in folder.glob("*.py"):
        if old.name not in sources:
            old.unlink()
    for name, source in sources.items():
        copy = folder / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            shutil.copyfile(source, copy)


def read(text: str) -> Any:
    """A script in the percent format as a notebook that says which language it is in."""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    return notebook
