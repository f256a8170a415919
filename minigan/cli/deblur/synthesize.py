"""minigan deblur synthesize."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minigan.cli.deblur.sources import blur_options, data_options, with_blur
from minigan.cli.options import COUNT, PATH, SEED, counted

if TYPE_CHECKING:
    from minigan.deblur.layouts import Source


@click.command()
@data_options
@blur_options
@click.option("--out", required=True, type=PATH, help="A new folder; or one to go on with.")
@click.option("--size", type=COUNT, help="Side of square crops [default: whole pictures].")
@click.option("--each", type=COUNT, default=1, show_default=True, help="Pairs of each photograph.")
@click.option("--seed", type=SEED, default=0, show_default=True)
def synthesize(
    source: Source,
    blur: dict[str, Any],
    out: Path,
    size: int | None,
    each: int,
    seed: int,
) -> None:
    """Blur sharp photographs and write the pairs, with their kernels, as a data set.

    train and evaluate read it by --data. Interrupted, the same command goes on.
    """
    from minigan.core.errors import OutputPathError
    from minigan.deblur.layouts import find
    from minigan.deblur.photographs import bundled_photographs
    from minigan.deblur.synthesize import SynthesisSettings
    from minigan.deblur.synthesize import synthesize as written

    settings = SynthesisSettings(size=size, each=each, seed=seed)
    settings = replace(settings, blur=with_blur(settings.blur, blur))
    if source.is_given:
        for place in (source.data, source.blurry, source.sharp):
            if place is not None and out.resolve().is_relative_to(place.resolve()):
                raise OutputPathError(
                    f"cannot write to {out}: it lies in {place}, whose pictures are read; name a folder "
                    "outside of it"
                )
        found = find(source)
        click.echo(found.said)
        photographs = found.photographs
        if blur and any(photograph.blurry is not None for photograph in photographs):
            raise click.UsageError(
                f"blur is made for sharp photographs, and {source} has blurry ones"
            )
    else:
        photographs = [photograph for part in bundled_photographs() for photograph in part]
    total = len(photographs) * each
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=total, label="pairs", file=sys.stderr, hidden=hidden) as bar:
        count = written(photographs, settings, out, lambda done: bar.update(done - bar.pos))
    there = f"; {total - count} were there already" if count < total else ""
    click.echo(f"{counted(count, 'pair')} written to {out}{there}")
