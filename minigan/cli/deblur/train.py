"""minigan deblur train."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from minigan.cli.deblur.choices import (
    CHOICES,
    built_like,
    choice_options,
    chosen_settings,
    spelled,
)
from minigan.cli.deblur.sources import (
    DATA,
    blur_arguments,
    blur_options,
    data_options,
    source_arguments,
    source_of,
    with_blur,
)
from minigan.cli.deblur.table import print_table
from minigan.cli.options import COUNT, MINUTES, PATH, SEED, THREADS, Whole
from minigan.core.errors import FileError

if TYPE_CHECKING:
    from minigan.core.parallel import Workers
    from minigan.deblur.layouts import Source
    from minigan.deblur.model import Model
    from minigan.deblur.photographs import Split
    from minigan.deblur.records import Run
    from minigan.deblur.settings import TrainSettings


SHIPPED = Path("shipped")  # what --start calls the weights in the box


@click.command()
@data_options
@blur_options
@click.option("--out", type=PATH, help="Folder for the run [default: the next runs/deblur-NNN].")
@click.option(
    "--preset",
    default="small",
    show_default=True,
    help="Networks, losses and rates: small, tiny, or deblurgan, the published ones at full size.",
)
@click.option("--steps", type=COUNT, help="How many training steps.")
@click.option("--minutes", type=MINUTES, help="Train about this long instead.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--twin", is_flag=True, help="Also train a twin without a critic, to compare with.")
@click.option("--threads", type=THREADS, help="[default: all processors]")
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--loaders",
    type=Whole(min=0),
    default=0,
    show_default=True,
    help="Processes that draw batches ahead; of use where processors are idle.",
)
@click.option(
    "--start",
    type=PATH,
    metavar="MODEL",
    help="Begin with the weights of a model file or run folder, or with those in the box: shipped.",
)
@click.option("--resume", type=PATH, help="Go on with the interrupted run in this folder.")
@click.option("--tensorboard", is_flag=True, help="Also write the log as event files.")
@choice_options
def train(
    source: Source,
    blur: dict[str, Any],
    out: Path | None,
    preset: str,
    steps: int | None,
    minutes: float | None,
    seed: int,
    twin: bool,
    threads: int | None,
    device: str,
    loaders: int,
    start: Path | None,
    resume: Path | None,
    tensorboard: bool,
    **chosen: Any,
) -> None:
    """Train on sharp photographs, which are blurred on the fly, or on pairs; write pictures and figures
    to a report.

    What is not asked for is as the preset has it. Ctrl-C saves and ends; --resume goes on from there, or
    after a crash from the last report, and ends with the same bits as an undisturbed run.
    """
    from minigan.cli.progress import TrainingProgress
    from minigan.core.parallel import workers
    from minigan.deblur import run
    from minigan.deblur.report import verdict
    from minigan.deblur.tensorboard import FOLDER, check_installed
    from minigan.devices.cpu.memory import keep_freed_memory
    from minigan.gan.pages.course import PAGE

    if steps is not None and minutes is not None:
        raise click.UsageError("--steps and --minutes exclude each other")
    tensorboard = tensorboard or (resume is not None and (resume / FOLDER).is_dir())
    if tensorboard:
        check_installed()
    keep_freed_memory()
    with workers(threads) as pool:
        if resume is not None:
            job = _interrupted_run(resume, blur)
        else:
            settings, begun = replace(_preset(preset), seed=seed), _start(start)
            if begun is not None:
                settings = built_like(begun.model, settings, chosen)
            settings = chosen_settings(settings, chosen)
            settings = replace(settings, blur=with_blur(settings.blur, blur))
            job = _new_run(
                source, out, preset, settings, chosen, steps, minutes, twin, device, pool, begun
            )
        job = replace(job, loaders=loaders, tensorboard=tensorboard)
        with TrainingProgress() as progress:
            try:
                rows = run.perform(job, pool, progress, progress.say)
            except KeyboardInterrupt:
                _say_how_to_go_on(job.folder)
                raise
    print_table(rows)
    click.echo(verdict(rows, run.OURS))
    click.echo(f"The training, moment by moment: {job.folder / PAGE}")
    click.echo(f"The report: {job.folder / 'report.html'}")


class _Start(NamedTuple):
    """The model whose weights a run begins with, and where it was found."""

    model: Model
    place: Path


def _start(place: Path | None) -> _Start | None:
    from minigan.deblur.model import load_model

    if place is None:
        return None
    if place == SHIPPED:
        return _Start(load_model(), place)
    return _Start(load_model(place), place.resolve())


def _new_run(
    source: Source,
    out: Path | None,
    preset: str,
    settings: TrainSettings,
    chosen: Mapping[str, Any],
    steps: int | None,
    minutes: float | None,
    twin: bool,
    device: str,
    pool: Workers,
    start: _Start | None,
) -> Run:
    from minigan import devices
    from minigan.deblur.content import content_loss
    from minigan.deblur.records import Run
    from minigan.deblur.train import seconds_per_step, steps_in
    from minigan.runs import new_folder

    devices.available(device)
    photographs, source = _photographs(source, settings)
    seen = [] if start is None else list(start.model.seen)
    photographs = _unseen_by(seen, photographs)
    paired = any(p.blurry is not None for p in photographs.training)
    blurred = settings.blur != _preset(preset).blur
    if blurred and paired:
        raise click.UsageError(f"blur is made for sharp photographs, and {source} has blurry ones")
    if settings.task != "deblur" and (blurred or paired):
        what = f"{source} has blurry ones" if paired else "blur was asked for, too"
        raise click.UsageError(
            f"--task {settings.task} makes its inputs of sharp photographs, and {what}"
        )
    content_loss(settings.content)  # what cannot be used is told before there is a folder
    folder = new_folder(out, "deblur")
    if minutes is not None:
        costs = seconds_per_step(settings, photographs.training, pool, device=device)
        steps = steps_in(settings, 60 * minutes, costs)
        click.echo(f"{minutes:g} minutes are about {steps} steps on this machine.")
    settings = replace(settings, steps=steps or settings.steps)
    command = _command(source, preset, settings, chosen, twin, device)
    run = Run(
        folder, settings, photographs, twin, command, version("minigan"), device, source, preset
    )
    if start is None:
        return run
    place = str(start.place)
    return replace(
        run,
        command=[*command, "--start", place],
        start=start.model,
        started_from=place,
        seen_before=seen,
    )


def _interrupted_run(folder: Path, blur: dict[str, Any]) -> Run:
    """The run in a folder, as its settings.json describes it; --options that differ are refused."""
    from minigan import devices
    from minigan.checkpoints import Checkpoints
    from minigan.deblur.photographs import fingerprint
    from minigan.deblur.records import CHECKPOINTS, Run, check_state, settings_of
    from minigan.machine import what_decides_bits
    from minigan.runs import SETTINGS, read_json

    path = folder / SETTINGS
    if not path.exists():
        raise FileError(f"{folder} holds no run; --resume needs the folder of an interrupted one")
    record = read_json(path)
    settings = settings_of(path, record)
    source = source_of(record)
    places = {name: choice.found(settings) for name, choice in CHOICES.items()}
    places["features"] = places["features"] and Path(places["features"])
    begun = record.get("start") and Path(record["start"])
    recorded = {**record, "start": begun, **asdict(source), **record["settings"], **places}
    _refuse_other_options(folder, recorded)
    if with_blur(settings.blur, blur) != settings.blur:
        raise click.UsageError(
            f"the blur is another than in {folder}; a resumed run keeps its settings"
        )
    check_state(folder, settings)
    devices.available(record["device"])
    photographs, source = _photographs(source, settings)
    seen = record.get("seen before", [])
    photographs = _unseen_by(seen, photographs)
    found = [fingerprint(p) for p in (*photographs.training, *photographs.unseen)]
    if found != record["fingerprints"]:
        place = source if source.is_given else "the installed libraries"
        raise FileError(
            f"the photographs of {place} are not those that {folder} was trained on; resuming needs "
            "the same ones"
        )
    # Only what nothing stands against is told of: a refusal is one sentence.
    done = Checkpoints(folder / CHECKPOINTS, "minigan").steps()
    if not done:
        if record.get("start"):
            raise FileError(
                f"{folder} holds no checkpoint, and began with the weights of {record['start']}; it "
                "needs a new run with --start"
            )
        click.echo(f"{folder} holds no checkpoint: training begins anew.", err=True)
    elif done[-1] == settings.steps and (folder / "report.html").exists():
        click.echo(f"{folder} was complete: it is measured once more.", err=True)
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
        source,
        record["preset"],
        started_from=record.get("start"),
        seen_before=seen,
    )


_OF_RUNS = "out", "minutes", *DATA, "preset", "steps", "seed", "twin", "device", "start"


def _refuse_other_options(folder: Path, recorded: Mapping[str, Any]) -> None:
    """With --resume, options that would make another run are refused."""
    context = click.get_current_context()
    given = [
        name
        for name in (*_OF_RUNS, *CHOICES)
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    for name in given:
        if name in ("out", "minutes"):
            raise click.UsageError(f"--resume and --{name} exclude each other")
        value = context.params[name]
        is_place = isinstance(value, Path) and value != SHIPPED
        if (value.resolve() if is_place else value) != recorded[name]:
            raise click.UsageError(
                f"{spelled(name)} is {value} and was {recorded[name]} in {folder}; a resumed run keeps "
                "its settings"
            )


def _say_how_to_go_on(folder: Path) -> None:
    command = f"minigan deblur train --resume {shlex.quote(str(folder))}"
    click.echo(f"\nTo go on from what was saved: {command}", err=True)


def _preset(name: str) -> TrainSettings:
    from minigan.deblur.settings import PRESETS

    if name not in PRESETS:
        raise click.UsageError(f"--preset is {name!r}; it needs one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _photographs(source: Source, settings: TrainSettings) -> tuple[Split, Source]:
    """The bundled photographs in their fixed split, or a source's, a fifth of them unseen unless it has a
    division of its own; and the source with the layout that was found.
    """
    from minigan.deblur.layouts import find
    from minigan.deblur.photographs import bundled_photographs, check_sizes, distinct, split
    from minigan.deblur.run import TEST_SIZE

    if not source.is_given:
        return bundled_photographs(), source
    found = find(source)
    click.echo(found.said)
    check_sizes(found.photographs, max(settings.crop, TEST_SIZE), settings.degradation.margin)
    kept = distinct(found.photographs)
    if len(kept) < len(found.photographs):
        copies = sorted({p.name for p in found.photographs} - {p.name for p in kept})
        more = f" and {len(copies) - 12} more" if len(copies) > 12 else ""
        click.echo(f"Left out, as copies of others: {', '.join(copies[:12])}{more}")
    layout = None if source.data is None else found.layout
    return split(kept, seed=settings.seed), replace(source, layout=layout)


def _unseen_by(seen: Sequence[str], photographs: Split) -> Split:
    """Without those to measure on that the weights of --start were trained on."""
    from minigan.deblur.photographs import Split, fingerprints

    unseen = tuple(p for p in photographs.unseen if not {*fingerprints([p])} & {*seen})
    if not unseen:
        raise FileError(
            "the model of --start was trained on all the photographs that would be kept to measure on; "
            "it needs others"
        )
    return Split(photographs.training, unseen)


def _command(
    source: Source,
    preset: str,
    settings: TrainSettings,
    chosen: Mapping[str, Any],
    twin: bool,
    device: str,
) -> list[str]:
    """The command that repeats this run: with its number of steps, whatever was asked for."""
    command = ["minigan", "deblur", "train", *source_arguments(source)]
    command += blur_arguments(settings.blur, _preset(preset).blur)
    command += ["--preset", preset, "--steps", str(settings.steps), "--seed", str(settings.seed)]
    for name, value in chosen.items():
        command += [] if value is None else [spelled(name), str(value)]
    command += ["--twin"] if twin else []
    return command + ([] if device == "cpu" else ["--device", device])
