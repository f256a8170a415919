"""What a run is to do, and how the settings.json of its folder says so."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minigan.checkpoints import Checkpoints
from minigan.core.errors import MiniganError, ModelFileError, brief
from minigan.deblur.blur import BlurSettings
from minigan.deblur.layouts import Source
from minigan.deblur.model import Model
from minigan.deblur.networks import CriticSettings, GeneratorSettings
from minigan.deblur.photographs import Split, fingerprint
from minigan.deblur.settings import ContentSettings, TrainSettings
from minigan.machine import what_decides_bits
from minigan.runs import SETTINGS

CHECKPOINTS = "checkpoints"  # the folder of them, in a run's


@dataclass(frozen=True)
class Run:
    """What a run is to do: where, with which settings and photographs, and how it was asked for.

    source, preset  where photographs came from and the preset that was named, for the record
    tensorboard     write event files, too
    loaders         processes that draw batches ahead
    start           the model whose weights a new run begins with; None for random ones
    started_from    what was named for it, for the record
    seen_before     fingerprints of the photographs that it was trained on
    """

    folder: Path
    settings: TrainSettings
    photographs: Split
    twin: bool
    command: Sequence[str]
    version: str
    device: str = "cpu"
    source: Source = field(default_factory=Source)
    preset: str = ""
    tensorboard: bool = False
    loaders: int = 0
    start: Model | None = None
    started_from: str | None = None
    seen_before: Sequence[str] = ()


def settings_record(run: Run) -> dict[str, Any]:
    """How the run is made, as settings.json holds it."""
    training, unseen = run.photographs
    return {
        "minigan": run.version,
        "machine": what_decides_bits(),
        "command": shlex.join(run.command),
        "device": run.device,
        **_place(run.source),
        "preset": run.preset,
        "twin": run.twin,
        "start": run.started_from,
        "seen before": list(run.seen_before),
        "settings": asdict(run.settings),
        "training photographs": [p.name for p in training],
        "unseen photographs": [p.name for p in unseen],
        "fingerprints": [fingerprint(p) for p in (*training, *unseen)],
    }


# Of the settings, those that have settings of their own.
_NESTED: dict[str, Any] = {
    "content": ContentSettings,
    "generator": GeneratorSettings,
    "critic": CriticSettings,
    "blur": BlurSettings,
}


def _place(source: Source) -> dict[str, Any]:
    """Where photographs came from, as one finds it again from any folder."""
    return {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in asdict(source).items()
    }


# Of settings.json, what a run is gone on with besides its settings.
_KINDS: dict[str, Any] = {
    "minigan": str,
    "machine": dict,
    "command": str,
    "device": str,
    "data": str | None,
    "preset": str,
    "twin": bool,
    "fingerprints": list,
}
# What older records lack.
_LATER_KINDS: dict[str, Any] = {
    "start": str | None,
    "seen before": list,
    "layout": str | None,
    "blurry": str | None,
    "sharp": str | None,
    "sharp_half": str,
    "frames": int,
}


def settings_of(path: Path, record: Mapping[str, Any]) -> TrainSettings:
    """The settings in a settings.json; ModelFileError if it is not of a run, or of another version's."""
    try:
        given = dict(record["settings"])
        nested = {name: kind(**given.pop(name)) for name, kind in _NESTED.items()}
        later = {name: kind for name, kind in _LATER_KINDS.items() if name in record}
        for name, kind in (_KINDS | later).items():
            if not isinstance(record[name], kind):
                raise TypeError(f"{name} is {brief(record[name])}")
        if any(not isinstance(digest, str) for digest in record.get("seen before", [])):
            raise TypeError("seen before holds no fingerprints")
        shlex.split(record["command"])  # raises ValueError for what is no command
        if "\0" in (record["data"] or ""):
            raise ValueError("data is no path")
        return TrainSettings(**given, **nested)
    except (MiniganError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path} does not describe a run that this version of minigan could go on with ({error})"
        ) from error


def check_state(folder: Path, settings: TrainSettings) -> None:
    """ModelFileError for a run that cannot go on: damaged checkpoints, or others' settings.

    Without its photographs, and before memory is taken for its networks.
    """
    newest = [Checkpoints(folder / CHECKPOINTS, n).newest() for n in ("minigan", "fork", "twin")]
    trained = None if newest[0] is None else newest[0].record.get("settings")
    given = json.loads(json.dumps(asdict(settings)))
    if not isinstance(trained, dict) or trained == given:
        return
    odd = sorted(n for n in trained.keys() | given.keys() if trained.get(n) != given.get(n))
    raise ModelFileError(
        f"{folder / SETTINGS} was changed: {odd[0]} is {brief(given.get(odd[0]))} there and was "
        f"{brief(trained.get(odd[0]))} when the checkpoint was saved"
    )
