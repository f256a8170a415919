"""minigan gan: train on digits, and draw new ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minigan.cli.options import (
    COUNT,
    FORCE,
    MINUTES,
    PATH,
    SEED,
    THREADS,
    Whole,
    counted,
    refuse_replacing,
)

if TYPE_CHECKING:
    from minigan.core.tensor import Array
    from minigan.gan.train import GanSettings, Report

_LOSSES = (
    "non-saturating (the default), zero-sum, least-squares, relativistic-least-squares, wgan-gp."
)
_PLAIN_LINES = 10  # about so many lines of progress where there is no terminal


@click.group()
def gan() -> None:
    """Train a GAN on small pictures, and draw new ones with it."""


# ---------------------------------------------------------------------- train


def _multiple_of_4(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value % 4:
        raise click.BadParameter(f"{value} is no multiple of 4", ctx, param)
    return value


@gan.command()
@click.option(
    "--data",
    type=PATH,
    help="An MNIST image file (IDX, also gzipped) or a folder of pictures [default: bundled digits].",
)
@click.option(
    "--size",
    type=Whole(min=4),
    callback=_multiple_of_4,
    help="Resize to this side, a multiple of 4.",
)
@click.option("--steps", type=COUNT, help="How many training steps.")
@click.option("--minutes", type=MINUTES, help="Train about this long instead.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--loss", help=_LOSSES)
@click.option("--d-steps", type=COUNT, help="Discriminator steps per step [1].")
@click.option("--batch", type=COUNT, help="Images per step [64].")
@click.option("--threads", type=THREADS, help="[default: all processors]")
@click.option("--out", type=PATH, help="Folder for the run [default: the next runs/gan-NNN].")
def train(
    data: Path | None,
    size: int | None,
    steps: int | None,
    minutes: float | None,
    seed: int,
    loss: str | None,
    d_steps: int | None,
    batch: int | None,
    threads: int | None,
    out: Path | None,
) -> None:
    """Train a generator against a discriminator; write pictures, a log and the model."""
    from minigan.core.parallel import workers
    from minigan.devices.cpu.memory import keep_freed_memory
    from minigan.gan import run
    from minigan.gan.pages.course import PAGE
    from minigan.gan.train import GanSettings, check_images, seconds_per_step
    from minigan.runs import new_folder

    if steps is not None and minutes is not None:
        raise click.UsageError("--steps and --minutes exclude each other")
    chosen = {"size": size, "steps": steps, "loss": loss, "d_steps": d_steps, "batch": batch}
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = GanSettings(seed=seed, **given)  # type: ignore[arg-type]
    images = _images(data, size)
    settings = replace(settings, size=images.shape[-1])
    check_images(settings, images)
    folder = new_folder(out, "gan")
    keep_freed_memory()
    with workers(threads) as pool:
        if minutes is not None:
            seconds = seconds_per_step(settings, images, pool)
            settings = replace(settings, steps=max(1, round(60 * minutes / seconds)))
            click.echo(f"{minutes:g} minutes are about {settings.steps} steps on this machine.")
        command = _command(data, settings)
        job = run.Run(folder, settings, images, command, version("minigan"))
        say = partial(click.echo, err=True)
        try:
            for _ in _shown(run.perform(job, pool, say), settings.steps):
                pass
        finally:
            if (folder / run.GRID).exists():
                click.echo(
                    f"Pictures: {folder / run.GRID} (what it draws now), "
                    f"{folder / run.SAMPLES} (how it got there), {folder / PAGE} (moment by moment)"
                )


def _images(data: Path | None, size: int | None) -> Array:
    from minigan.core.errors import ArgumentError
    from minigan.gan.digits import load_digits

    images = load_digits(data, size)
    height, width = images.shape[2:]
    if height != width or height % 4:
        raise ArgumentError(
            f"the images of {data} are {height} x {width}; they need to be square with a side that "
            "is a multiple of 4, so give one with --size"
        )
    return images


def _command(data: Path | None, settings: GanSettings) -> list[str]:
    """The command that repeats this run: with its number of steps, whatever was asked for."""
    command = ["minigan", "gan", "train"]
    command += [] if data is None else ["--data", str(data)]
    for option in ("size", "steps", "seed", "loss", "d_steps", "batch"):
        command += ["--" + option.replace("_", "-"), str(getattr(settings, option))]
    return command


def _shown(reports: Iterable[Report], steps: int) -> Iterator[Report]:
    """Pass the reports on, and show them: a live bar in a terminal, plain lines elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    live, next_line = sys.stderr.isatty(), 0
    columns = (
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not live) as bar:
        task = bar.add_task("", total=steps)
        for report in reports:
            bar.update(task, completed=report.step, description=_figures(report))
            if not live and (report.step >= next_line or report.step == steps):
                print(
                    f"step {report.step} of {steps}  {_figures(report)}",
                    file=sys.stderr,
                    flush=True,
                )
                next_line = report.step + steps / _PLAIN_LINES
            yield report


def _figures(report: Report) -> str:
    return (
        f"D loss {report.d_loss:.3f}  G loss {report.g_loss:.3f}  "
        f"D(real) {report.d_real:.2f}  D(fake) {report.d_fake:.2f}"
    )


# ---------------------------------------------------------------------- lab


@gan.command()
@click.option("--port", type=Whole(1024, 65535), default=8765, show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open the page.")
def lab(port: int, browser: bool) -> None:
    """Serve a page on which a small GAN plays, and everything about it can be changed.

    Only this machine can reach it. Ctrl-C ends it.
    """
    import webbrowser

    from minigan.gan.lab.server import LabServer

    server = LabServer(port)
    click.echo(f"The GAN lab: {server.url} (Ctrl-C ends it)")
    if browser:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("The lab has ended.")
    finally:
        server.server_close()


# ---------------------------------------------------------------------- sample


@gan.command()
@click.option("--model", required=True, type=PATH, help="A model file or run folder.")
@click.option("-o", "--out", required=True, type=PATH, help="The picture to write.")
@click.option("--count", type=Whole(1, 10_000), default=100, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True)
@FORCE
def sample(model: Path, out: Path, count: int, seed: int, force: bool) -> None:
    """Draw new pictures with a trained generator, as one sheet."""
    from minigan.core.parallel import workers
    from minigan.gan.run import load_generator, sheet
    from minigan.gan.train import create, draw_noise
    from minigan.images import check_image_path, write_image
    from minigan.ops.random import Generator

    check_image_path(out)
    refuse_replacing([out], force)
    settings, network = load_generator(model)
    with workers(1):  # the bits of a matrix product may depend on the threads of BLAS
        images = create(network, draw_noise(settings, count, Generator(seed)))
    write_image(out, sheet(images))
    click.echo(f"{counted(count, 'picture')}: {out}")
