"""What happened in a game in the plane, moment by moment, for a page to be scrubbed through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from minigan.core.tensor import Array
from minigan.gan.health import Trouble, Watch
from minigan.gan.toys.game import ToyGame, ToyReport
from minigan.gan.toys.mixtures import Coverage, Mixture, coverage, nearest

SAMPLES = 400  # points in each frame
ARROWS = 60  # of them with the push that they get
SIDE = 40  # of the grid on which D is asked, in each direction
EXTENT = 1.6  # the plane that is shown: both coordinates from minus to plus this
COLLAPSED = 0.5  # of the samples on one heap, where there are more than two
WANDERED = 3  # times that the favourite heap has changed since the collapse


@dataclass(frozen=True)
class Frame:
    """A moment: the generator's points, where some of them are pushed, what D says of the plane.

    points   (N, 2); pushes (M, 2) of the first M points
    surface  (SIDE, SIDE) probabilities of "real", row 0 at the lowest y
    covered  what the points cover of the mixture; None for data that are no mixture
    """

    step: int
    points: Array
    pushes: Array
    surface: Array
    covered: Coverage | None


@dataclass(frozen=True)
class Notice:
    """Something that began to go wrong at a step, in one sentence."""

    step: int
    kind: str
    sentence: str


@dataclass
class Film:
    """The reports and frames of a game, and what was noticed in it."""

    real: Array
    reports: list[ToyReport] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def plane() -> Array:
    """The points at which D is asked: (SIDE * SIDE, 2)."""
    line = np.linspace(-EXTENT, EXTENT, SIDE, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def frame_of(game: ToyGame, mixture: Mixture | None) -> Frame:
    """The game as it stands."""
    points = game.samples(SAMPLES)
    return Frame(
        step=game.steps,
        points=points,
        pushes=game.pushes(points[:ARROWS]),
        surface=game.beliefs(plane()).reshape(SIDE, SIDE),
        covered=None if mixture is None else coverage(points, mixture),
    )


def filmed(game: ToyGame, mixture: Mixture, steps: int, every: int) -> Film:
    """Play for some steps and keep a frame of each `every`, the first and the last included."""
    film = Film(real=mixture.sample(SAMPLES, np.random.default_rng(0)))
    watch, favourites = Watch(), Favourites(mixture)
    film.frames.append(frame_of(game, mixture))
    for step in range(1, steps + 1):
        report = game.step()
        film.reports.append(report)
        for kind, sentence in troubles(watch, report):
            film.notices.append(Notice(step, kind, sentence))
        if step % every == 0 or step == steps:
            frame = frame_of(game, mixture)
            film.frames.append(frame)
            film.notices += [Notice(step, *found) for found in favourites.look(frame)]
    return film


def troubles(watch: Watch, report: ToyReport) -> list[Trouble]:
    """What the watch over gradients and beliefs says of a step."""
    figures = asdict(report)
    named = {
        "gradient": figures["g_gradient"],
        "critic_gradient": figures["d_gradient"],
        "real": figures["d_real"],
        "fake": figures["d_fake"],
    }
    return watch.look(named)


class Favourites:
    """Notices collapse, where most points lie on one heap, and oscillation, where that heap changes."""

    def __init__(self, mixture: Mixture):
        self._mixture = mixture
        self._since: list[int] = []  # the favourite heaps since the collapse, one after the other
        self._told: set[str] = set()

    def look(self, frame: Frame) -> Iterator[tuple[str, str]]:
        """The kinds and sentences of what has begun with this frame."""
        heaps = len(self._mixture.centres)
        counts = np.bincount(nearest(frame.points, self._mixture), minlength=heaps)
        favourite, share = int(counts.argmax()), counts.max() / counts.sum()
        if heaps < 3 or share < COLLAPSED:
            self._since.clear()
            self._told.clear()
            return
        if not self._since or self._since[-1] != favourite:
            self._since.append(favourite)
        if "collapse" not in self._told:
            self._told.add("collapse")
            yield (
                "collapse",
                f"{share:.0%} of the points are on one of {heaps} heaps: the modes have collapsed. The "
                "discriminator sees one point at a time, and each looks real; PacGAN, unrolling or a "
                "penalty on its slope may help",
            )
        if len(self._since) > WANDERED and "oscillation" not in self._told:
            self._told.add("oscillation")
            yield (
                "oscillation",
                f"the points have gone from heap to heap {len(self._since) - 1} times: each time the "
                "discriminator learns where they are, and they flee. A lower rate, optimistic or "
                "extragradient steps may help",
            )
