"""minigan deblur restore."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minigan.cli.options import FORCE, PATH, THREADS, counted, printable, refuse_replacing

if TYPE_CHECKING:
    from minigan.core.parallel import Workers
    from minigan.deblur.batch import Wishes
    from minigan.deblur.model import Model
    from minigan.deblur.naming import Found, Job
    from minigan.images import Header

SUFFIXES = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "webp": ".webp", "bmp": ".bmp"}
FAILED = 2


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=str)
@click.option(
    "--model",
    "model_path",
    type=PATH,
    help="A model file or run folder [default: what minigan was shipped with].",
)
@click.option(
    "-o",
    "--out",
    type=str,
    help="A picture, a folder, or - for standard output "
    "[default: NAME-restored.SUFFIX beside each picture].",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(SUFFIXES)),
    help="Of the restored pictures [default: as the name says, or like the picture].",
)
@FORCE
@click.option(
    "--compare", is_flag=True, help="Write NAME-compare.png, before and after side by side, too."
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be done, how long and with how much memory."
)
@click.option("--threads", type=THREADS, help="[default: all processors]")
@click.option("--device", default="cpu", show_default=True)
def restore(
    pictures: tuple[str, ...],
    model_path: Path | None,
    out: str | None,
    format_: str | None,
    force: bool,
    compare: bool,
    dry_run: bool,
    threads: int | None,
    device: str,
) -> None:
    """Sharpen pictures: files, folders, patterns such as 'trip/**/*.jpg', or - for standard input.

    A model of another task enlarges them, or makes photographs of sketches.

    A restored picture is as its original was: grey or colour, 8 or 16 bits, with its transparency,
    colour profile, date and place. One that cannot be read is told, and the others are restored; the
    exit status is then 2.
    """
    from minigan import devices
    from minigan.core.parallel import workers
    from minigan.deblur.batch import Wishes, readable
    from minigan.deblur.model import load_model
    from minigan.deblur.naming import check_apart, found, is_file, jobs

    devices.available(device)
    model = load_model(model_path)
    model.generator.to(device)
    failures = _Failures()
    good = list(readable(found(pictures, _content(pictures), out), failures))
    suffix = None if format_ is None else SUFFIXES[format_]
    todo = jobs([p for p, _ in good], [h.format for _, h in good], out, suffix)
    check_apart(todo, compare)
    good, todo = _still_to_do(good, todo, force)
    written = check_apart(todo, compare)
    _check_outputs(written, todo, out is not None and is_file(out), force, compare)
    headers = [header for _, header in good]
    with workers(threads) as pool:
        if dry_run:
            _tell_plan(todo, headers, model, pool)
        elif todo:
            _carry_out(todo, headers, model, pool, Wishes(force, compare), failures)
    if failures.count:
        raise click.exceptions.Exit(FAILED)


def _still_to_do(
    good: list[tuple[Found, Header]], todo: list[Job], force: bool
) -> tuple[list[tuple[Found, Header]], list[Job]]:
    """Without those from folders and patterns whose twins are there already, so that a command can be
    given again: after it was interrupted, or when there are more pictures.
    """
    kept = [
        i
        for i, ((picture, _), job) in enumerate(zip(good, todo, strict=True))
        if force or not picture.searched or job.target is None or not job.target.exists()
    ]
    if len(kept) < len(todo):
        passed = counted(len(todo) - len(kept), "picture")
        click.echo(f"Passed over, as restored already: {passed}; --force does them again", err=True)
    return [good[i] for i in kept], [todo[i] for i in kept]


class _Failures:
    """Tells what went wrong with single pictures, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, sentence: str) -> None:
        self.count += 1
        # Not err=True: while a bar is live, sys.stderr is the stream that writes above it.
        click.echo(f"Error: {printable(sentence)}", file=sys.stderr)


def _content(names: Sequence[str]) -> bytes | None:
    """What comes by standard input, where it is asked for."""
    from minigan.core.errors import ImageFileError
    from minigan.deblur.naming import PIPE

    if PIPE not in names:
        return None
    if list(names).count(PIPE) > 1:
        raise ImageFileError("standard input holds one picture, and - was given more than once")
    if sys.stdin is None or sys.stdin.closed:
        raise ImageFileError("cannot read standard input: it is closed")
    if sys.stdin.isatty():
        raise ImageFileError(
            "cannot read standard input: it is a terminal, and a picture is needed"
        )
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise ImageFileError(f"cannot read standard input: {error.strerror}") from error


def _check_outputs(
    written: Sequence[Path], todo: Sequence[Job], one_file: bool, force: bool, compare: bool
) -> None:
    """Every problem with the outputs that can be found before the work; no trace is left."""
    from minigan.core.errors import OutputPathError
    from minigan.files import check_writable
    from minigan.images import check_image_path

    if any(job.target is None for job in todo):
        if sys.stdout is None:
            raise OutputPathError("cannot write to standard output: it is closed")
        if sys.stdout.isatty():
            raise OutputPathError(
                "cannot write the picture to a terminal; name a file with -o, or send it to one"
            )
        if compare:
            raise OutputPathError(
                "cannot write a comparison beside standard output; name a file with -o"
            )
    refuse_replacing(written, force)
    for target in written:
        folder = target.parent
        if folder.exists() or one_file:
            check_image_path(target)
            continue
        while not folder.exists() and folder != folder.parent:  # it will be made
            folder = folder.parent
        check_writable(folder / "probe")


def _tell_plan(todo: Sequence[Job], headers: Sequence[Header], model: Model, pool: Workers) -> None:
    from minigan.deblur.estimate import estimate
    from minigan.images.levels import name_of

    for job, header in zip(todo, headers, strict=True):
        size = f"{header.width} x {header.height}, {header.pixels / 1e6:.1f} megapixels"
        click.echo(printable(f"{name_of(job.source)}  {size} -> {job.shown_target}"))
    if not todo:
        return
    large = [header.enlarged(model.enlargement) for header in headers]
    expected = estimate(model, large, pool.count)
    memory = "" if expected.megabytes is None else f", {expected.megabytes:.0f} MB of memory"
    total = sum(header.pixels for header in headers) / 1e6
    click.echo(
        f"{counted(len(todo), 'picture')}, {total:.1f} megapixels: some {expected.seconds:.1f} s besides "
        f"reading and writing{memory}, with --threads {pool.count}; nothing was written"
    )


def _carry_out(
    todo: Sequence[Job],
    headers: Sequence[Header],
    model: Model,
    pool: Workers,
    wishes: Wishes,
    failures: _Failures,
) -> None:
    from minigan.cli.progress import PixelProgress
    from minigan.deblur.batch import restore_files
    from minigan.deblur.restore import restorer

    piped = any(job.target is None for job in todo)
    begin = time.perf_counter()
    with (
        restorer(model, pool) as restored,
        PixelProgress(
            sum(header.enlarged(model.enlargement).pixels for header in headers)
        ) as progress,
    ):
        done = restore_files(
            restored,
            todo,
            wishes,
            lambda line: click.echo(printable(line), file=sys.stderr if piped else sys.stdout),
            failures,
            progress,
        )
    seconds = time.perf_counter() - begin
    pixels = {id(job): header.pixels for job, header in zip(todo, headers, strict=True)}
    megapixels = sum(pixels[id(job)] for job in done) / 1e6
    if done:
        rate = f", {seconds / megapixels:.2f} s per megapixel" if megapixels > 0.1 else ""
        click.echo(
            f"{counted(len(done), 'picture')}, {megapixels:.2f} megapixels in {seconds:.1f} s with "
            f"reading and writing{rate}",
            err=True,
        )
