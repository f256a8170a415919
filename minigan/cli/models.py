"""Which kind of model a file holds, for commands that take every kind."""

from __future__ import annotations

from pathlib import Path


def is_image_generator(path: Path) -> bool:
    """Whether a model file or run folder holds a GAN's generator; False for a deblurring generator.

    Raises ModelFileError where it is neither, is damaged or is not there.
    """
    from minigan import serialize
    from minigan.core.errors import ModelFileError
    from minigan.deblur import model as deblur
    from minigan.gan import run as gan

    file = path / deblur.FILE_NAME if path.is_dir() else path
    if path.is_dir() and not file.exists():
        raise ModelFileError(f"{path} is a folder without {file.name}; it needs a run folder")
    _, settings = serialize.load(file)
    kind = settings.get("kind")
    if kind not in (deblur.KIND, gan.KIND):
        raise ModelFileError(
            f"{file} holds a model of the kind {kind!r}; it needs {deblur.KIND!r} or {gan.KIND!r}"
        )
    return kind == gan.KIND
