"""minigan deblur: train, restore, evaluate."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minigan.cli.options import COUNT, FORCE, MINUTES, SEED, counted, refuse_replacing
from minigan.core.errors import FileError

if TYPE_CHECKING:
    from minigan.core.parallel import Workers
    from minigan.deblur.evaluate import Row
    from minigan.deblur.photographs import Split
    from minigan.deblur.run import Run
    from minigan.deblur.train import TrainSettings

PATH = click.Path(path_type=Path)


@click.group()
def deblur() -> None:
    """Train a GAN that sharpens blurred photographs, and use it."""


# ---------------------------------------------------------------------- train


@deblur.command()
@click.option("--data", type=PATH, help="Folder of sharp photographs [default: bundled ones].")
@click.option("--out", type=PATH, help="Folder for the run [default: the next runs/deblur-NNN].")
@click.option("--preset", default="small", show_default=True, help="Size of networks: small, tiny.")
@click.option("--steps", type=COUNT, help="How many training steps.")
@click.option("--minutes", type=MINUTES, help="Train about this long instead.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--twin", is_flag=True, help="Also train an L1-only twin, to compare with.")
@click.option("--threads", type=COUNT, help="[default: all processors]")
@click.option("--device", default="cpu", show_default=True)
@click.option("--resume", type=PATH, help="Go on with the interrupted run in this folder.")
def train(
    data: Path | None,
    out: Path | None,
    preset: str,
    steps: int | None,
    minutes: float | None,
    seed: int,
    twin: bool,
    threads: int | None,
    device: str,
    resume: Path | None,
) -> None:
    """Train on photographs that are blurred on the fly; write pictures and figures to a report.

    Ctrl-C saves and ends; --resume goes on from there, or after a crash from the last report, and ends
    with the same bits as an undisturbed run.
    """
    from minigan.cli.progress import TrainingProgress
    from minigan.core.parallel import workers
    from minigan.deblur import run
    from minigan.deblur.report import verdict
    from minigan.devices.cpu.memory import keep_freed_memory

    if steps is not None and minutes is not None:
        raise click.UsageError("--steps and --minutes exclude each other")
    keep_freed_memory()
    with workers(threads) as pool:
        if resume is not None:
            job = _interrupted_run(resume)
        else:
            job = _new_run(data, out, preset, steps, minutes, seed, twin, device, pool)
        with TrainingProgress() as progress:
            try:
                rows = run.perform(job, pool, progress)
            except KeyboardInterrupt:
                _say_how_to_go_on(job.folder)
                raise
    _print_table(rows)
    click.echo(verdict(rows, run.OURS))
    click.echo(f"The report: {job.folder / 'report.html'}")


def _new_run(
    data: Path | None,
    out: Path | None,
    preset: str,
    steps: int | None,
    minutes: float | None,
    seed: int,
    twin: bool,
    device: str,
    pool: Workers,
) -> Run:
    from minigan import devices
    from minigan.deblur.run import Run
    from minigan.deblur.train import seconds_per_step, steps_in
    from minigan.runs import new_folder

    devices.available(device)
    settings = replace(_preset(preset), seed=seed)
    photographs = _photographs(data, settings)
    folder = new_folder(out, "deblur")
    if minutes is not None:
        costs = seconds_per_step(settings, photographs.training, pool, device=device)
        steps = steps_in(settings, 60 * minutes, costs)
        click.echo(f"{minutes:g} minutes are about {steps} steps on this machine.")
    settings = replace(settings, steps=steps or settings.steps)
    command = _command(data, preset, settings, twin, device)
    return Run(
        folder, settings, photographs, twin, command, version("minigan"), device, data, preset
    )


def _interrupted_run(folder: Path) -> Run:
    """The run in a folder, as its settings.json describes it; --options that differ are refused."""
    from minigan import devices
    from minigan.deblur.photographs import fingerprint
    from minigan.deblur.run import Run, settings_of
    from minigan.machine import what_decides_bits
    from minigan.runs import SETTINGS, read_json

    path = folder / SETTINGS
    if not path.exists():
        raise FileError(f"{folder} holds no run; --resume needs the folder of an interrupted one")
    record = read_json(path)
    settings = settings_of(path, record)
    data = None if record["data"] is None else Path(record["data"])
    _refuse_other_options(folder, {**record, "data": data, **record["settings"]})
    devices.available(record["device"])
    photographs = _photographs(data, settings)
    found = [fingerprint(p) for p in (*photographs.training, *photographs.unseen)]
    if found != record["fingerprints"]:
        raise FileError(
            f"the photographs of {data or 'the installed libraries'} are not those that {folder} was "
            "trained on; resuming needs the same ones"
        )
    here = what_decides_bits()
    odd = [
        f"{name} {record['machine'].get(name)} then, {value} now"
        for name, value in here.items()
        if record["machine"].get(name) != value
    ]
    if odd:
        click.echo(f"The last bits may differ from an undisturbed run: {'; '.join(odd)}.", err=True)
    return Run(
        folder,
        settings,
        photographs,
        record["twin"],
        shlex.split(record["command"]),
        record["minigan"],
        record["device"],
        data,
        record["preset"],
    )


def _refuse_other_options(folder: Path, recorded: Mapping[str, Any]) -> None:
    """With --resume, options that would make another run are refused."""
    context = click.get_current_context()
    given = [
        name
        for name in ("out", "minutes", "data", "preset", "steps", "seed", "twin", "device")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    for name in given:
        if name in ("out", "minutes"):
            raise click.UsageError(f"--resume and --{name} exclude each other")
        value = context.params[name]
        if (value.resolve() if isinstance(value, Path) else value) != recorded[name]:
            raise click.UsageError(
                f"--{name} is {value} and was {recorded[name]} in {folder}; a resumed run keeps its "
                "settings"
            )


def _say_how_to_go_on(folder: Path) -> None:
    command = f"minigan deblur train --resume {shlex.quote(str(folder))}"
    click.echo(f"\nTo go on from what was saved: {command}", err=True)


def _preset(name: str) -> TrainSettings:
    from minigan.deblur.train import PRESETS

    if name not in PRESETS:
        raise click.UsageError(f"--preset is {name!r}; it needs one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _photographs(data: Path | None, settings: TrainSettings) -> Split:
    """The bundled photographs in their fixed split, or a folder's, a fifth of them unseen."""
    from minigan.deblur.photographs import (
        bundled_photographs,
        distinct,
        folder_photographs,
        split,
    )
    from minigan.deblur.run import TEST_SIZE

    if data is None:
        return bundled_photographs()
    smallest = max(settings.crop, TEST_SIZE) + 2 * settings.blur.margin
    found = folder_photographs(data, smallest)
    kept = distinct(found)
    if len(kept) < len(found):
        copies = sorted({p.name for p in found} - {p.name for p in kept})
        click.echo(f"Left out, as copies of others: {', '.join(copies)}")
    return split(kept, seed=settings.seed)


def _command(
    data: Path | None, preset: str, settings: TrainSettings, twin: bool, device: str
) -> list[str]:
    """The command that repeats this run: with its number of steps, whatever was asked for."""
    command = ["minigan", "deblur", "train"]
    command += [] if data is None else ["--data", str(data)]
    command += ["--preset", preset, "--steps", str(settings.steps), "--seed", str(settings.seed)]
    command += ["--twin"] if twin else []
    return command + ([] if device == "cpu" else ["--device", device])


# ---------------------------------------------------------------------- restore


@deblur.command()
@click.argument("images", nargs=-1, required=True, type=PATH)
@click.option("--model", "model_path", required=True, type=PATH, help="A model file or run folder.")
@click.option(
    "-o", "--out", required=True, type=PATH, help="A picture, or for several images a folder."
)
@FORCE
@click.option("--threads", type=COUNT, help="[default: all processors]")
@click.option("--device", default="cpu", show_default=True)
def restore(
    images: tuple[Path, ...],
    model_path: Path,
    out: Path,
    force: bool,
    threads: int | None,
    device: str,
) -> None:
    """Sharpen pictures of any size, grey or colour."""
    from minigan import devices
    from minigan.core.parallel import workers
    from minigan.deblur.model import load_model
    from minigan.deblur.restore import restorer
    from minigan.images import read_picture, stored_size, write_image

    devices.available(device)
    model = load_model(model_path)
    model.generator.to(device)
    targets = _targets(images, out, force)
    for source in images:
        stored_size(source)  # a name mistyped at the end is found at the beginning
    with workers(threads) as pool, restorer(model, pool) as restored:
        for source, target in zip(images, targets, strict=True):
            picture = read_picture(source)
            pixels = restored(picture.pixels)
            write_image(target, pixels, picture.alpha, picture.bit_depth, picture.profile)
            click.echo(f"{source} -> {target}")


def _targets(images: tuple[Path, ...], out: Path, force: bool) -> list[Path]:
    """Where each restored picture goes; every problem with that is found before any work is done."""
    from minigan.core.errors import OutputPathError
    from minigan.files import ensure_folder
    from minigan.images import WRITTEN_SUFFIXES, check_image_path

    one_file = bool(out.suffix) and not out.is_dir()
    if one_file and len(images) > 1:
        raise OutputPathError(
            f"cannot write {len(images)} pictures to {out}; several need a folder, a name without suffix"
        )
    suffixes = [i.suffix if i.suffix.lower() in WRITTEN_SUFFIXES else ".png" for i in images]
    names = [out / (i.stem + s) for i, s in zip(images, suffixes, strict=True)]
    targets = [out] if one_file else names
    for i, target in enumerate(targets):
        if target in targets[:i]:
            raise OutputPathError(
                f"cannot write {target} twice: {images[i]} and {images[targets.index(target)]} "
                "would both go there"
            )
        if target.exists() and images[i].exists() and target.samefile(images[i]):
            raise OutputPathError(f"cannot write {target}: it is the picture to restore itself")
    refuse_replacing(targets, force)
    if not one_file:
        ensure_folder(out)
    for target in targets:
        check_image_path(target)
    return targets


# ---------------------------------------------------------------------- evaluate


@deblur.command()
@click.option("--model", "model_path", required=True, type=PATH, help="A model file or run folder.")
@click.option("--data", type=PATH, help="Folder of sharp photographs [default: bundled ones].")
@click.option("--each", type=COUNT, default=10, show_default=True, help="Crops each.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--threads", type=COUNT, help="[default: all processors]")
@click.option("--device", default="cpu", show_default=True)
def evaluate(
    model_path: Path,
    data: Path | None,
    each: int,
    seed: int,
    as_json: bool,
    threads: int | None,
    device: str,
) -> None:
    """Measure a model beside the classical methods, on photographs that it was not trained on."""
    from minigan import devices
    from minigan.core.errors import ArgumentError
    from minigan.core.parallel import workers
    from minigan.deblur import run
    from minigan.deblur.evaluate import evaluate as measured
    from minigan.deblur.model import load_model
    from minigan.deblur.pairs import unseen_pairs
    from minigan.deblur.photographs import bundled_photographs, fingerprint, folder_photographs

    devices.available(device)
    model = load_model(model_path)
    model.generator.to(device)
    if data is None:
        found = [p for part in bundled_photographs() for p in part]
    else:
        found = folder_photographs(data, run.TEST_SIZE + 2 * model.blur.margin)
    unseen = [p for p in found if fingerprint(p) not in model.seen]
    if not unseen:
        raise ArgumentError(
            f"evaluate: all {len(found)} photographs were trained on; it needs at least one that was not"
        )
    pairs = unseen_pairs(unseen, model.blur, run.TEST_SIZE, each, seed)
    with workers(threads) as pool:
        rows = measured(run.methods({run.OURS: model}, pool), pairs)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    left_out = len(found) - len(unseen)
    click.echo(
        f"{counted(len(pairs), 'crop')} of {counted(len(unseen), 'photograph')}"
        + (f"; {left_out} that training showed left out" if left_out else "")
    )
    _print_table(rows)


def _print_table(rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(caption="* knows the true kernel. Mean ± standard deviation over the crops.")
    table.add_column("method")
    for column in ("PSNR dB", "SSIM", "sharpness", "GMSD", "made worse"):
        table.add_column(column, justify="right")
    for row in rows:
        worse = row.psnr.worse
        table.add_row(
            row.name + (" *" if row.knows_kernel else ""),
            f"{row.psnr.mean:.2f} ± {row.psnr.std:.2f}",
            f"{row.ssim.mean:.3f} ± {row.ssim.std:.3f}",
            f"{row.sharpness.mean:.3f}",
            f"{row.gmsd.mean:.4f}",
            "" if worse is None else f"{100 * worse:.0f} %",
        )
    Console(file=sys.stdout, width=100).print(table)
