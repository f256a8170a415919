"""The page of a training on pictures, made of what is in its folder.

log.jsonl       figures by step, and what was noticed
moments/        a picture of some of the steps, named by its number
dynamics.html   the page: these moments to scrub through, beside the figures
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.tensor import Array
from minigan.gan.pages.dynamics import columns, write_page
from minigan.images import image_grid, write_image
from minigan.images.inline import address_of_png, png_address
from minigan.images.levels import as_levels

FOLDER, PAGE = "moments", "dynamics.html"
COUNT = 24  # moments of a training


def moments(steps: int, every: int = 1) -> set[int]:
    """The steps to keep a picture of: about `COUNT` of them, all multiples of `every`, and the last."""
    stride = every * max(1, round(steps / COUNT / every))
    return {*range(stride, steps + 1, stride), steps}


def keep_moment(folder: Path, step: int, *rows: Array) -> None:
    """Write the picture of a step: rows of pictures (N, C, H, W) in [0, 1], one below the other."""
    (folder / FOLDER).mkdir(exist_ok=True)
    write_image(folder / FOLDER / f"{step:07d}.png", _sheet(*rows))


def pushed(slope: Array) -> Array:
    """Where a loss would have pixels move, minus its slope, as a picture: grey is nowhere.

    White or black is where it is steepest.
    """
    steepest = abs(slope).max()
    return 0.5 - 0.5 * slope / (steepest if steepest > 0 else 1)


def write_course(
    folder: Path,
    title: str,
    about: str,
    caption: str,
    references: Mapping[str, Array],
    names: Mapping[str, str] | None = None,
    probabilities: bool = False,
) -> None:
    """Write the page of the run in a folder.

    caption        what the pictures of the moments show
    references     pictures (N, C, H, W) to compare them with, by what they are
    names          of figures in the log by those that the page knows; the same, where not given
    probabilities  D's numbers are probabilities, and no scores
    """
    lines = list(_lines(folder / "log.jsonl"))
    reports: dict[int, dict[str, Any]] = {}
    for line in lines:
        if "notice" not in line:
            reports.setdefault(line["step"], {}).update(_renamed(line, names or {}))
    frames = [
        {"step": int(path.stem), "picture": address_of_png(path.read_bytes())}
        for path in sorted((folder / FOLDER).glob("*.png"))
    ]
    data = {
        "kind": "pictures",
        "title": title,
        "about": about,
        "caption": caption,
        "references": [
            {"caption": what, "picture": png_address(_levels(_sheet(row)))}
            for what, row in references.items()
        ],
        "probabilities": probabilities,
        "figures": columns(list(reports.values())),
        "frames": frames,
        "notices": [
            {"step": line["step"], "kind": line.get("kind", ""), "sentence": line["notice"]}
            for line in lines
            if "notice" in line
        ],
    }
    write_page(folder / PAGE, title, data)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def _renamed(line: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in line.items()}


def _levels(picture: Array) -> Array:
    return as_levels(np.moveaxis(picture, 0, -1), np.uint8)


def _sheet(*rows: Array) -> Array:
    """Rows of pictures (N, C, H, W), one below the other."""
    return image_grid(np.concatenate(rows), len(rows[0]))
