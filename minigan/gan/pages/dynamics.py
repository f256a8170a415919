"""What happened in a run as a page: moments to scrub through, figures, and what was noticed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from minigan.files import atomic_write
from minigan.gan.toys.film import EXTENT, SIDE, Film, Frame
from minigan.gan.toys.mixtures import Mixture
from minigan.gan.toys.trajectory import Trajectory
from minigan.pages.arrays import described
from minigan.pages.page import assembled, number

MOMENTS = 600  # of a trajectory, at most
_FIELD = 13  # arrows in each direction of the plane
_PARTS = ("dynamics.html", "gan.css", "charts.js", "plane.js", "dynamics.js")


def write_film(
    film: Film, mixture: Mixture, path: str | os.PathLike[str], title: str, about: str = ""
) -> None:
    """Write a game in the plane as a page of one file.

    Raises `OutputPathError` for a path that cannot be written.
    """
    data = {
        "kind": "plane",
        "title": title,
        "about": about,
        "probabilities": True,
        "figures": columns([asdict(report) for report in film.reports]),
        "frames": [_frame(frame) for frame in film.frames],
        "notices": [asdict(notice) for notice in film.notices],
        "real": described(film.real.astype(np.float32)),
        "extent": EXTENT,
        "side": SIDE,
        "modes": len(mixture.centres),
    }
    write_page(path, title, data)


def write_trajectory(
    trajectory: Trajectory, file: str | os.PathLike[str], title: str, about: str = ""
) -> None:
    """Write a game of two numbers as a page of one file: where the players have been, and the field of
    pushes that they follow. Of more than `MOMENTS` steps it shows some, evenly chosen.

    Raises `OutputPathError` for a file that cannot be written.
    """
    chosen = np.unique(np.linspace(0, len(trajectory.places) - 1, MOMENTS).astype(int))
    places, distances = trajectory.places[chosen], trajectory.distances()[chosen]
    extent = 1.15 * float(np.abs(trajectory.places).max()) or 1.0
    line = np.linspace(-extent, extent, _FIELD)
    field = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    data = {
        "kind": "trajectory",
        "title": title,
        "about": about,
        "names": list(trajectory.names),
        "figures": {
            "step": chosen.tolist(),
            "distance": [number(r) for r in distances],
            "first": [number(x) for x in places[:, 0]],
            "second": [number(y) for y in places[:, 1]],
        },
        "frames": [
            {"step": int(step), "push": [number(d) for d in trajectory.push(*place)]}
            for step, place in zip(chosen, places.tolist(), strict=True)
        ],
        "trail": described(places.astype(np.float32)),
        "field": described(field.astype(np.float32)),
        "field_pushes": described(
            np.array([trajectory.push(*at) for at in field.tolist()], np.float32)
        ),
        "notices": [asdict(notice) for notice in trajectory.notices()],
        "extent": extent,
    }
    write_page(file, title, data)


def write_page(path: str | os.PathLike[str], title: str, data: Mapping[str, Any]) -> None:
    """Write the page with its data."""
    page = assembled(title, "minigan.gan.pages", _PARTS, data)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def columns(reports: Sequence[Mapping[str, Any]], most: int = 1500) -> dict[str, list[Any]]:
    """Figures by name instead of by step; of more than `most` steps, means of neighbouring ones."""
    if not reports:
        return {"step": []}
    length = -(-len(reports) // most)
    groups = [reports[i : i + length] for i in range(0, len(reports), length)]
    names = dict.fromkeys(name for report in reports for name in report)
    found: dict[str, list[Any]] = {
        name: [_mean([report[name] for report in group if name in report]) for group in groups]
        for name in names
        if name != "step"
    }
    return {"step": [group[-1]["step"] for group in groups], **found}


def _mean(values: Sequence[float]) -> float | str | None:
    return number(float(np.mean(values))) if values else None


def _frame(frame: Frame) -> dict[str, Any]:
    found: dict[str, Any] = {
        "step": frame.step,
        "points": described(frame.points.astype(np.float32)),
        "pushes": described(frame.pushes.astype(np.float32)),
        "surface": described(np.rint(255 * frame.surface).astype(np.uint8)),
    }
    if frame.covered is not None:
        found |= {"modes": frame.covered.modes, "good": number(frame.covered.good)}
    return found
