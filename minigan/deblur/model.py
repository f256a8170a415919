"""A trained restorer in one file: the generator, how it was made, and the filter it has to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from minigan import nn, serialize
from minigan.core.errors import ArgumentError, MiniganError, ModelFileError
from minigan.core.tensor import Array
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.degradation import Degradation
from minigan.deblur.networks import SCALE, GeneratorSettings, new_generator
from minigan.deblur.tasks import degradation_of

KIND = "deblurring generator"
FILE_NAME = "model.safetensors"
OWN = "restorer.safetensors"  # what minigan was shipped with, in the package's folder `weights`
_LARGEST_CROP = 2**14  # pixels; a tile of this side fits into no memory
_GENERATOR, _FILTER = "generator.", "least_squares.kernel"


@dataclass
class Model:
    """A generator with what one needs to know to use and to judge it.

    crop           side of the training crops in pixels
    blur           what it was trained on
    seen           fingerprints of the photographs it was trained on, so that none is used to judge it
    least_squares  the blind linear filter fitted on the same photographs
    notes          how it was trained (steps, seed, losses), for the record
    task, scale    what it learned, and how many times larger super-resolution makes pictures
    """

    generator: nn.Module
    generator_settings: GeneratorSettings
    crop: int
    blur: BlurSettings
    seen: Sequence[str]
    least_squares: LeastSquaresFilter
    notes: Mapping[str, Any] = field(default_factory=dict)
    task: str = "deblur"
    scale: int = 2

    @property
    def degradation(self) -> Degradation:
        """How the inputs were made that it was trained on."""
        return degradation_of(self.task, self.blur, self.scale)

    @property
    def enlargement(self) -> int:
        """How many times larger than its file a picture is when it is restored."""
        return self.scale if self.task == "superres" else 1

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
        "task": model.task,
        "scale": model.scale,
    }
    serialize.save(path, tensors, settings)


def load_model(path: str | PathLike[str] | None = None) -> Model:
    """Read a model from a file, or from the run folder that holds one; without either, minigan's own.

    Raises ModelFileError for any other file.
    """
    if path is None:
        with resources.as_file(resources.files("minigan.deblur") / "weights" / OWN) as own:
            return load_model(own)
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
    except (MiniganError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ModelFileError(
            f"{path} does not fit the deblurring generator that it says it holds ({error})"
        ) from error


def _assembled(tensors: Mapping[str, Array], settings: Mapping[str, Any]) -> Model:
    generator_settings = GeneratorSettings(**settings["generator"])
    _refuse_larger(generator_settings, tensors)
    generator = new_generator(generator_settings)
    generator.load_state_dict(
        {n.removeprefix(_GENERATOR): a for n, a in tensors.items() if n.startswith(_GENERATOR)}
    )
    kernel = tensors[_FILTER]
    least_squares = LeastSquaresFilter(size=len(kernel))
    least_squares.kernel = kernel
    crop, seen, notes = (settings[name] for name in ("crop", "seen", "notes"))
    if type(crop) is not int or crop % SCALE or not 0 < crop <= _LARGEST_CROP:
        raise ArgumentError(f"crop is {crop!r}; it needs a multiple of {SCALE}")
    if not isinstance(notes, dict) or any(not isinstance(s, str) for s in seen):
        raise ArgumentError("its notes or fingerprints are of another kind")
    blur = BlurSettings(**settings["blur"])
    # Older files lack them.
    task, scale = settings.get("task", "deblur"), settings.get("scale", 2)
    degradation_of(task, blur, scale)
    generator.eval()
    return Model(
        generator, generator_settings, crop, blur, list(seen), least_squares, notes, task, scale
    )


def _refuse_larger(settings: GeneratorSettings, tensors: Mapping[str, Array]) -> None:
    """ArgumentError for a generator that is larger than the file, before memory is taken for it."""
    largest = max((n for array in tensors.values() for n in array.shape), default=0)
    if settings.width > largest or settings.blocks > len(tensors):
        raise ArgumentError(
            f"it is said to have width {settings.width} and {settings.blocks} blocks, and there are "
            f"{len(tensors)} tensors of {largest} channels at most"
        )
