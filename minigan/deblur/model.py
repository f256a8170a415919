"""A trained restorer in one file: the generator, how it was made, and the filter it has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from minigan import serialize
from minigan.core.errors import MiniganError, ModelFileError
from minigan.core.tensor import Array
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.networks import Generator, GeneratorSettings

KIND = "deblurring generator"
FILE_NAME = "model.safetensors"
_GENERATOR, _FILTER = "generator.", "least_squares.kernel"


@dataclass
class Model:
    """A generator with what one needs to know to use and to judge it.

    crop           side of the training crops in pixels
    blur           what it was trained on
    seen           fingerprints of the photographs it was trained on, so that none is used to judge it
    least_squares  the blind linear filter fitted on the same photographs
    notes          how it was trained (steps, seed, losses), for the record
    """

    generator: Generator
    generator_settings: GeneratorSettings
    crop: int
    blur: BlurSettings
    seen: Sequence[str]
    least_squares: LeastSquaresFilter
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """Where the generator is; `generator.to` moves it."""
        return self.generator.parameters()[0].device


def save_model(path: str | PathLike[str], model: Model) -> None:
    """Write the model to `path`, whole or not at all."""
    if model.least_squares.kernel is None:
        raise ModelFileError(
            f"cannot write {path}: the model's least-squares filter was never fitted"
        )
    tensors = {_GENERATOR + name: a for name, a in model.generator.state_dict().items()}
    tensors[_FILTER] = model.least_squares.kernel
    settings = {
        "kind": KIND,
        "generator": asdict(model.generator_settings),
        "crop": model.crop,
        "blur": asdict(model.blur),
        "seen": list(model.seen),
        "notes": dict(model.notes),
    }
    serialize.save(path, tensors, settings)


def load_model(path: str | PathLike[str]) -> Model:
    """Read a model from a file, or from the run folder that holds one."""
    path = Path(path)
    if path.is_dir():
        if not (path / FILE_NAME).exists():
            raise ModelFileError(f"{path} is a folder without {FILE_NAME}; it needs a run folder")
        path = path / FILE_NAME
    tensors, settings = serialize.load(path)
    if settings.get("kind") != KIND:
        raise ModelFileError(
            f"{path} holds a model of the kind {settings.get('kind')!r}; it needs a {KIND!r}"
        )
    try:
        return _assembled(tensors, settings)
    except (MiniganError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path} does not fit the deblurring generator that it says it holds ({error})"
        ) from error


def _assembled(tensors: Mapping[str, Array], settings: Mapping[str, Any]) -> Model:
    generator_settings = GeneratorSettings(**settings["generator"])
    generator = Generator(generator_settings)
    generator.load_state_dict(
        {n.removeprefix(_GENERATOR): a for n, a in tensors.items() if n.startswith(_GENERATOR)}
    )
    kernel = tensors[_FILTER]
    least_squares = LeastSquaresFilter(size=len(kernel))
    least_squares.kernel = kernel
    return Model(
        generator,
        generator_settings,
        int(settings["crop"]),
        BlurSettings(**settings["blur"]),
        list(settings["seen"]),
        least_squares,
        settings["notes"],
    )
