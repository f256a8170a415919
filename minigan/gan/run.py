"""One training run of the GAN and its folder.

settings.json      how the run was made, and the command that repeats it bit for bit
log.jsonl          one line per report: step, losses, what D believes, norms of the gradients; and
                   one for what goes wrong
times.jsonl        when each report came; apart, so that the log has the same bits every time
dynamics.html      the training as a page to scrub through, made of the log and of moments/
samples.png        the same noises at several moments of the training, one row for each moment
grid.png           what the generator draws
model.safetensors  the averaged generator with the settings

The pictures and the model are brought up to date at each of those moments, and when Ctrl-C ends the run.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from minigan import nn, serialize
from minigan.core.engine import grad
from minigan.core.errors import MiniganError, ModelFileError, NonFiniteError, require
from minigan.core.graph import no_grad
from minigan.core.parallel import Workers
from minigan.core.tensor import Array, Tensor
from minigan.gan.health import Trouble, Variety, Watch
from minigan.gan.losses import loss_named
from minigan.gan.pages.course import keep_moment, moments, pushed, write_course
from minigan.gan.train import (
    GanSettings,
    Players,
    Report,
    check_images,
    create,
    draw_noise,
    mean_report,
    new_generator,
    settings_from,
    train,
)
from minigan.images import image_grid, write_image
from minigan.ops.random import Generator as Random
from minigan.runs import SETTINGS, json_lines, write_json

KIND = "image generator"
FILE_NAME = "model.safetensors"
GRID, SAMPLES = "grid.png", "samples.png"

REPORTS = 100  # lines in the log, where there are as many steps
MOMENTS, COLUMNS = 8, 12  # rows and columns of samples.png
MOMENT_COLUMNS = 6  # on the page
GRID_COUNT = 100  # pictures in grid.png
SHOWN_SIZE = 64  # small images are enlarged to about this many pixels, to be looked at


@dataclass(frozen=True)
class Run:
    """What a run is to do: where, with which settings and images, and how it was asked for."""

    folder: Path
    settings: GanSettings
    images: Array
    command: Sequence[str]
    version: str


def perform(
    run: Run, workers: Workers, say: Callable[[str], None] = lambda text: None
) -> Iterator[Report]:
    """Train and write the folder's files, yielding each report, the mean of the steps since the last.

    `say` gets what goes wrong meanwhile, one sentence at a time.

    Raises what `train` raises, and OutputPathError where the folder cannot be written to.
    KeyboardInterrupt passes through, once the model as it is by then has been written.
    """
    settings, players = run.settings, Players(run.settings)
    check_images(settings, run.images)
    write_json(run.folder / SETTINGS, _record(run))
    pictures = _Pictures(run, players)
    pictures.film(0)
    milestones, filmed = _milestones(settings.steps), moments(settings.steps)
    every = math.ceil(settings.steps / REPORTS)
    since: list[Report] = []
    watch = Watch()
    start = time.perf_counter()
    with (
        json_lines(run.folder / "log.jsonl") as log,
        json_lines(run.folder / "times.jsonl") as times,
    ):
        try:
            for report in train(settings, run.images, players, workers):
                since.append(report)
                troubles = watch.look(_figures(report))
                if report.step in filmed:
                    variety, news = pictures.film(report.step)
                    log({"step": report.step, "variety": variety})
                    troubles += news
                for trouble in troubles:
                    log({"step": report.step, "kind": trouble.kind, "notice": trouble.sentence})
                    say(f"step {report.step}: {trouble.sentence}")
                if report.step in milestones:
                    pictures.keep()
                if report.step % every == 0 or report.step == settings.steps:
                    mean, since = mean_report(since), []
                    log(asdict(mean))
                    times({"step": report.step, "seconds": time.perf_counter() - start})
                    yield mean
        except KeyboardInterrupt:
            pictures.keep()
            _write_page(run)
            raise
        except NonFiniteError:
            _write_page(run)  # which shows how it came to this
            raise
    _write_page(run)


def _figures(report: Report) -> dict[str, float]:
    """A step's figures by the names that `Watch` knows."""
    return {
        "gradient": report.g_gradient,
        "critic_gradient": report.d_gradient,
        "real": report.d_real,
        "fake": report.d_fake,
    }


def _milestones(steps: int) -> set[int]:
    """When samples are drawn: at the end, at half of that, ... since most happens early."""
    return {max(1, steps >> halvings) for halvings in range(MOMENTS - 1)}


# ---------------------------------------------------------------------- pictures


class _Pictures:
    """What a run draws of its players on the way, always of the same noises."""

    def __init__(self, run: Run, players: Players):
        self._run, self._players = run, players
        self._noise = draw_noise(run.settings, GRID_COUNT, Random(run.settings.seed))
        self._rows = [create(players.averaged, self._noise[:COLUMNS])]
        self._variety = Variety(run.images)

    def keep(self) -> None:
        """Write both sheets and the model as they are by now."""
        folder, averaged = self._run.folder, self._players.averaged
        self._rows.append(create(averaged, self._noise[:COLUMNS]))
        write_image(folder / SAMPLES, sheet(np.concatenate(self._rows), COLUMNS))
        write_image(folder / GRID, sheet(create(averaged, self._noise)))
        save_generator(folder / FILE_NAME, self._run.settings, averaged)

    def film(self, step: int) -> tuple[float, list[Trouble]]:
        """Write a moment for the page; how varied the pictures are, and what is wrong with that."""
        created = create(self._players.generator, self._noise)
        shown = created[:COLUMNS]
        rows = map(_in_rows, (_enlarged(shown), _enlarged(pushed(self._slope(shown)))))
        keep_moment(
            self._run.folder, step, *(row for both in zip(*rows, strict=True) for row in both)
        )
        return self._variety.look(created)

    def _slope(self, created: Array) -> Array:
        """Of the generator's loss by the pixels that it made."""
        kind, D = loss_named(self._run.settings.loss), self._players.discriminator
        x = Tensor(created).requires_grad_()
        with no_grad():
            real = D(Tensor(self._run.images[: len(created)]))
        (slope,) = grad(kind.generator(real if kind.generator_sees_real else None, D(x)), x)
        return slope.numpy()


def _in_rows(pictures: Array) -> list[Array]:
    return [pictures[i : i + MOMENT_COLUMNS] for i in range(0, len(pictures), MOMENT_COLUMNS)]


def _write_page(run: Run) -> None:
    count = f"{len(run.images):,} pictures of {run.settings.size} x {run.settings.size} pixels"
    write_course(
        run.folder,
        "A GAN that learns pictures",
        f"{shlex.join(run.command)}; {count}",
        "What the generator makes of the same noises, and below each where its loss would have its "
        "pixels go, white for brighter, black for darker, grey for nowhere.",
        {"Some of the real pictures": _enlarged(run.images[:MOMENT_COLUMNS])},
        probabilities=True,
    )


def sheet(images: Array, columns: int | None = None) -> Array:
    """Images (N, 1, S, S), enlarged smoothly, as one picture (1, H, W): as square as can be, or
    with `columns` in a row."""
    return image_grid(_enlarged(images), columns or math.ceil(math.sqrt(len(images))))


def _enlarged(images: Array) -> Array:
    """By the whole factor that brings the side to about `SHOWN_SIZE`, with cubic interpolation."""
    size = images.shape[-1]
    factor = max(1, SHOWN_SIZE // size)
    if factor == 1:
        return images
    pillow = require("PIL.Image", "deblur", "enlarge pictures")
    shape = (size * factor, size * factor)
    enlarged = [pillow.fromarray(i).resize(shape, pillow.Resampling.BICUBIC) for i in images[:, 0]]
    return np.clip(np.stack([np.asarray(i) for i in enlarged])[:, None], 0, 1)


# ---------------------------------------------------------------------- the model


def save_generator(path: str | PathLike[str], settings: GanSettings, network: nn.Module) -> None:
    """Write a generator and its settings to `path`, whole or not at all."""
    serialize.save(path, network.state_dict(), {"kind": KIND, "gan": asdict(settings)})


def load_generator(path: str | PathLike[str]) -> tuple[GanSettings, nn.Sequential]:
    """The generator in a file that `save_generator` wrote, or in a run's folder.

    Raises ModelFileError for anything else.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    tensors, record = serialize.load(path)
    if record.get("kind") != KIND:
        raise ModelFileError(
            f"{path} holds a model of the kind {record.get('kind')!r}; it needs an {KIND!r}"
        )
    try:
        settings = settings_from(record["gan"])
        network = new_generator(settings, Random(0))
        network.load_state_dict(tensors)
    except (MiniganError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"{path} holds a generator that does not fit: {error}") from error
    return settings, network


# ---------------------------------------------------------------------- records


def _record(run: Run) -> dict[str, Any]:
    return {
        "minigan": run.version,
        "numpy": np.__version__,
        "command": shlex.join(run.command),
        "settings": asdict(run.settings),
        "images": {"count": len(run.images), "checksum": serialize.checksum(run.images)},
    }
