"""minigan import: weights trained elsewhere, as a model of minigan's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minigan.cli.models import is_image_generator
from minigan.cli.options import FORCE, PATH, refuse_replacing

if TYPE_CHECKING:
    from minigan.deblur.model import Model


@click.command("import")
@click.argument("state", type=PATH)
@click.option(
    "--like",
    required=True,
    help="What is built the same way: a model file, a run folder, or a preset of deblur train.",
)
@click.option("-o", "--out", required=True, type=PATH, help="The model file to write.")
@FORCE
def import_(state: Path, like: str, out: Path, force: bool) -> None:
    """Make a model of STATE, a state_dict of PyTorch's saved as safetensors.

    Its names, shapes and number of tensors have to be those of --like, which also says
    everything else that a model of minigan's holds: its settings, and for a deblurring model the
    filter that it is compared with and the photographs that count as seen.
    """
    from minigan.files import check_writable

    check_writable(out)
    refuse_replacing([out], force)
    if Path(like).exists() and is_image_generator(Path(like)):
        _import_image_generator(state, Path(like), out)
    else:
        _import_deblurring(state, like, out)
    click.echo(f"The model: {out}")


def _import_image_generator(state: Path, like: Path, out: Path) -> None:
    from minigan.gan.run import load_generator, save_generator
    from minigan.nn.foreign import load_foreign_weights

    settings, network = load_generator(like)
    load_foreign_weights(network, state)
    save_generator(out, settings, network)


def _import_deblurring(state: Path, like: str, out: Path) -> None:
    from minigan.deblur.model import load_model, save_model
    from minigan.nn.foreign import load_foreign_weights

    model = load_model(like) if Path(like).exists() else _untrained(like)
    load_foreign_weights(model.generator, state)
    notes = {"imported from": state.name, "built like": like}
    save_model(out, replace(model, notes=notes))


def _untrained(preset: str) -> Model:
    """A model of a preset that was not trained; its filter is fitted on the bundled photographs."""
    from minigan.deblur.photographs import bundled_photographs
    from minigan.deblur.settings import PRESETS
    from minigan.deblur.train import Trainer, fit_least_squares

    if preset not in PRESETS:
        raise click.UsageError(
            f"--like is {preset!r}, which is neither there nor a preset; it needs a model file, a run "
            f"folder or one of {', '.join(PRESETS)}"
        )
    trainer = Trainer(PRESETS[preset], bundled_photographs().training)
    return trainer.model(fit_least_squares(trainer))
