"""minigan deblur evaluate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minigan.cli.deblur.sources import data_options
from minigan.cli.deblur.table import print_table
from minigan.cli.options import COUNT, FORCE, PATH, SEED, THREADS, Whole, counted, refuse_replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minigan.core.errors import CommandError
    from minigan.deblur.evaluate import Figures, Method, Row
    from minigan.deblur.layouts import Source
    from minigan.deblur.model import Model
    from minigan.deblur.pairs import Pair
    from minigan.deblur.photographs import Photograph

SHOWN = 4  # pictures in a report
SHOWN_SIDE = 256  # pixels of each of them, at most

MEASURES = (
    "PSNR over all pixels and channels, white is 1; SSIM with Gaussian weights of sigma 1.5, data range"
    "\n1, without a border of 5 pixels, mean over channels; every result rounded to 8 bits before."
)


@click.command()
@click.option(
    "--model",
    "model_path",
    type=PATH,
    help="A model file or run folder [default: what minigan was shipped with].",
)
@data_options
@click.option(
    "--size",
    type=Whole(min=16),
    help="Side of crops [default: 128; pictures that are pairs, whole].",
)
@click.option("--each", type=COUNT, default=10, show_default=True, help="Crops of each picture.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option(
    "--also",
    multiple=True,
    metavar="NAME=COMMAND",
    help='Another restorer in the table: "NAME=command {input} {output}", with paths of PNG files in '
    "their place; can be given several times.",
)
@click.option(
    "--also-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="How long such a command may take for one picture.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--csv", "csv_path", type=PATH, help="Write a line for each picture and method here.")
@click.option("--report", "report_path", type=PATH, help="Write a page with pictures here.")
@FORCE
@click.option("--threads", type=THREADS, help="[default: all processors]")
@click.option("--device", default="cpu", show_default=True)
def evaluate(
    model_path: Path | None,
    source: Source,
    size: int | None,
    each: int,
    seed: int,
    also: tuple[str, ...],
    also_seconds: float,
    as_json: bool,
    csv_path: Path | None,
    report_path: Path | None,
    force: bool,
    threads: int | None,
    device: str,
) -> None:
    """Measure a model beside the classical methods, on photographs that it was not trained on.

    Sharp photographs are blurred as the model's training blurred them; pairs are measured as they are.
    """
    from minigan import devices
    from minigan.core.parallel import workers
    from minigan.deblur.evaluate import measured, table, write_csv
    from minigan.deblur.model import load_model
    from minigan.deblur.report import write_report
    from minigan.deblur.restore import restorer

    devices.available(device)
    _check_outputs(csv_path, report_path, force)
    model = load_model(model_path)
    model.generator.to(device)
    others = _others(also, also_seconds)
    tests = _tests(source, model, size, each, seed)
    failed: dict[str, CommandError] = {}

    def leave_out(method: Method, error: CommandError) -> None:
        failed[method.name] = error

    with workers(threads) as pool, restorer(model, pool) as restored:
        methods = [*_methods(model, restored), *others]
        figures = list(measured(methods, tests.pairs(), leave_out))
        methods = [method for method in methods if method.name not in failed]
        rows = table(figures)
        if csv_path is not None:
            write_csv(csv_path, figures)
        if report_path is not None:
            write_report(report_path, _report(model_path, source, model, tests, rows, methods))
    for name, error in failed.items():
        click.echo(f"{name} is left out: {error}", err=True)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    click.echo(tests.said)
    _say_what_is_missing(methods, figures, rows)
    print_table(rows)
    click.echo(MEASURES)
    for path in filter(None, (csv_path, report_path)):
        click.echo(f"written to {path}")


def _check_outputs(csv_path: Path | None, report_path: Path | None, force: bool) -> None:
    """Every problem with what shall be written is found before anything is measured."""
    from minigan.files import check_writable

    paths = [path for path in (csv_path, report_path) if path is not None]
    if len(paths) == 2 and paths[0].resolve() == paths[1].resolve():
        raise click.UsageError(f"--csv and --report would both go to {paths[0]}")
    refuse_replacing(paths, force)
    for path in paths:
        check_writable(path)


def _others(also: Sequence[str], seconds: float) -> list[Method]:
    from minigan.deblur.evaluate import LEAST_SQUARES
    from minigan.deblur.external import external_method
    from minigan.deblur.run import OURS
    from minigan.deblur.tasks import INPUTS

    methods = [external_method(given, seconds) for given in also]
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1 or name in (*INPUTS.values(), LEAST_SQUARES, OURS):
            raise click.UsageError(f"--also: {name} is the name of another method; give it its own")
    return methods


def _methods(model: Model, restored: Any) -> list[Method]:
    from minigan.deblur.evaluate import Method, classical_methods
    from minigan.deblur.run import OURS

    ours = Method(OURS, lambda blurry, kernel: restored(blurry))
    return [*classical_methods(model.least_squares, model.task), ours]


# ---------------------------------------------------------------------- what is measured on


@dataclass(frozen=True)
class _Tests:
    """The pictures to measure on: as a whole, where `size` is None, or crops of them."""

    photographs: Sequence[Photograph]
    model: Model
    size: int | None
    each: int
    seed: int
    said: str

    def pairs(self) -> Iterator[Pair]:
        """All of them, one after the other."""
        from minigan.deblur.pairs import crops_of, whole_pairs

        if self.size is None:
            return whole_pairs(self.photographs)
        return crops_of(self.photographs, self.model.degradation, self.size, self.each, self.seed)

    def shown(self) -> list[Pair]:
        """A few, from pictures at equal distances; of each one's crops, that of median PSNR."""
        from minigan.deblur.pairs import crops_of, spread_out, typical, whole_pairs

        numbers = spread_out(len(self.photographs), SHOWN)
        if self.size is None:
            return list(whole_pairs([self.photographs[i] for i in numbers]))
        crops = (self.photographs, self.model.degradation, self.size, self.each, self.seed)
        return typical(list(crops_of(*crops, only=numbers)), self.each)


def _tests(source: Source, model: Model, size: int | None, each: int, seed: int) -> _Tests:
    """What the model was not trained on; a data set's own test part, where it has one."""
    from minigan.core.errors import ArgumentError
    from minigan.deblur.layouts import find
    from minigan.deblur.photographs import (
        bundled_photographs,
        check_sizes,
        fingerprints,
        held_out_part,
        read_all,
    )
    from minigan.deblur.run import TEST_SIZE

    if source.is_given:
        found = find(source)
        part = held_out_part(found.photographs)
        photographs = [p for p in found.photographs if not part or p.part == part]
        said = [found.said.rstrip("."), f"measured: {part}"] if part else [found.said.rstrip(".")]
    else:
        photographs = list(chain(*bundled_photographs()))
        said = ["the bundled photographs"]
    if model.task != "deblur" and any(p.blurry is not None for p in photographs):
        raise ArgumentError(
            f"evaluate: a model of the task {model.task} makes its inputs of sharp photographs, and "
            f"{source} has blurry ones"
        )
    whole = size is None and all(p.blurry is not None for p in photographs)
    side = 16 if whole else size or TEST_SIZE
    check_sizes(photographs, side, model.degradation.margin)
    read_all(photographs)
    unseen = [p for p in photographs if not {*fingerprints([p])} & {*model.seen}]
    if not unseen:
        raise ArgumentError(
            f"evaluate: all {counted(len(photographs), 'photograph')} were trained on; it needs at least "
            "one that was not"
        )
    if whole:
        said.append(f"{counted(len(unseen), 'whole picture')}")
    else:
        crops = counted(len(unseen) * each, "crop")
        said.append(f"{crops} of {counted(len(unseen), 'photograph')}")
    left_out = len(photographs) - len(unseen)
    said += [f"{left_out} that training showed left out"] if left_out else []
    return _Tests(unseen, model, None if whole else side, each, seed, "; ".join(said))


def _say_what_is_missing(
    methods: Sequence[Method], figures: Sequence[Figures], rows: Sequence[Row]
) -> None:
    missing = [m.name for m in methods if m.name not in {row.name for row in rows}]
    if missing:
        counts = {f.picture for f in figures if f.knows_kernel}
        whom = f"of all but {counted(len(counts), 'picture')}" if counts else "of these pictures"
        click.echo(f"Left out, because the kernels {whom} are not known: {', '.join(missing)}")


# ---------------------------------------------------------------------- the page


def _report(
    model_path: Path | None,
    source: Source,
    model: Model,
    tests: _Tests,
    rows: list[Row],
    methods: Sequence[Method],
) -> Any:
    import shlex
    import sys

    from minigan.deblur.report import Report, example_of
    from minigan.deblur.run import OURS, TITLES, inputs_of

    shown = [method for method in methods if method.name != "inverse filter"]
    return Report(
        title=f"{TITLES[model.task]} that the model was not trained on",
        rows=rows,
        examples=[example_of(pair, shown, SHOWN_SIDE) for pair in tests.shown()],
        history=[],
        settings={
            "task": model.task,
            "training blur" if model.task == "deblur" else "scale": (
                asdict(model.blur) if model.task == "deblur" else model.scale
            ),
            "generator": asdict(model.generator_settings),
            "training": dict(model.notes),
        },
        command=shlex.join(["minigan", *sys.argv[1:]]),
        facts={
            "model": "what minigan was shipped with" if model_path is None else str(model_path),
            "pictures": tests.said,
            "pictures shown": "at equal distances; of each, "
            + (
                f"the middle, at most {SHOWN_SIDE} pixels wide"
                if tests.size is None
                else "the crop whose PSNR before restoring is the median"
            ),
        },
        reference=OURS,
        inputs=inputs_of(model.task, tests.photographs),
    )
