"""minigan export: a model as an ONNX file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from minigan.cli.models import is_image_generator
from minigan.cli.options import FORCE, PATH, refuse_replacing


@click.command()
@click.argument("model", type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="The ONNX file to write.")
@FORCE
def export(model: Path, out: Path, force: bool) -> None:
    """Write MODEL, a model file or run folder, as ONNX: for programs that run it without minigan.

    A deblurring model takes batches of RGB pictures of any height and width, float32
    (N, 3, H, W) in [0, 1], and gives restored ones of the same shape. A GAN's generator takes
    noise and gives pictures.
    """
    from minigan.files import atomic_write, check_writable

    check_writable(out)
    refuse_replacing([out], force)
    content = _as_onnx(model)
    with atomic_write(out) as temporary:
        temporary.write_bytes(content)
    click.echo(f"{out}: {len(content) / 1000:,.0f} kB")


def _as_onnx(path: Path) -> bytes:
    """The content of the file, whichever kind of model it is."""
    if is_image_generator(path):
        from minigan.gan.export import onnx_model as picture_model
        from minigan.gan.run import load_generator

        return picture_model(*load_generator(path), version("minigan"))
    from minigan.deblur.export import onnx_model
    from minigan.deblur.model import load_model

    return onnx_model(load_model(path), version("minigan"))
