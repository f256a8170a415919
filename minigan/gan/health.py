"""What goes wrong in a training while it happens, each trouble said in one line with what to try.

    diverging    the loss that should fall is three times what it was at its best
    exploding    a gradient is a thousand times what it was at its least
    vanishing    the generator's gradient is a thousandth of what it was at its greatest: a
                 discriminator that is too sure passes nothing back (Arjovsky & Bottou 2017)
    silent       the discriminator gives real and created pictures the same number
    running off  its numbers grow without end
    collapsed    the created pictures are all alike

Figures of single steps are noisy, so medians over `WINDOW` steps are compared. (What is no number ends
the training at once; that is said where it happens.)
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from minigan.core.errors import ModelFileError
from minigan.core.tensor import Array

WINDOW = 50  # steps
PATIENCE = 3  # windows of a figure before it is judged: at the start everything moves
DIVERGED, EXPLODED, VANISHED = 3.0, 1e3, 1e-3
SILENT, RAN_OFF = 1e-3, 1e4
ALIKE = 0.25


class Course(NamedTuple):
    """A figure's median over the last window, and the least and greatest of those before."""

    now: float
    least: float
    greatest: float


class Trouble(NamedTuple):
    """What has gone wrong; a kind is told once, until it is over."""

    kind: str
    sentence: str


Rule = Callable[[Mapping[str, Course]], Trouble | None]


def _grown(name: str, times: float, kind: str, sentence: str) -> Rule:
    """The figure is more than so many times what it was at its least."""

    def rule(courses: Mapping[str, Course]) -> Trouble | None:
        now, least, _ = courses[name]
        if not now > times * least > 0:
            return None
        return Trouble(f"{kind} {name}", sentence.format(now=now, least=least, times=now / least))

    return rule


_DIVERGES = (
    "the content loss has risen to {now:.3g}, {times:.0f} times its best: training diverges; a lower "
    "learning rate, or less weight for the adversary, may help"
)
_EXPLODES = (
    "gradient has grown from {least:.3g} to {now:.3g}: it explodes; a lower learning rate may help"
)


def _vanishing(courses: Mapping[str, Course]) -> Trouble | None:
    now, _, greatest = courses["gradient"]
    if now >= VANISHED * greatest:
        return None
    return Trouble(
        "vanishing",
        f"the generator's gradient has shrunk from {greatest:.3g} to {now:.3g}: the discriminator is "
        "too sure and passes nothing back; fewer steps or a lower rate for it, a smaller one, or the "
        "loss non-saturating or wgan-gp may help",
    )


def _silent(courses: Mapping[str, Course]) -> Trouble | None:
    lead = courses["lead"].now
    if lead >= SILENT:
        return None
    return Trouble(
        "silent",
        f"the discriminator gives real and created pictures the same number, but for {lead:.1g}: "
        "there is nothing to learn from it; a higher rate or more steps for it, or a larger one, may "
        "help",
    )


def _running_off(courses: Mapping[str, Course]) -> Trouble | None:
    size = abs(courses["real"].now)
    if size <= RAN_OFF:
        return None
    return Trouble(
        "running off",
        f"the discriminator's numbers have grown to {size:.3g}: it runs off; a lower rate for it, or "
        "the loss wgan-gp, whose penalty holds it, may help",
    )


# By the figure that each needs.
RULES: tuple[tuple[str, Rule], ...] = (
    ("content", _grown("content", DIVERGED, "diverging", _DIVERGES)),
    ("gradient", _grown("gradient", EXPLODED, "exploding", f"the generator's {_EXPLODES}")),
    ("gradient", _vanishing),
    (
        "critic_gradient",
        _grown("critic_gradient", EXPLODED, "exploding", f"the discriminator's {_EXPLODES}"),
    ),
    ("lead", _silent),
    ("real", _running_off),
)


@dataclass
class Watch:
    """Looks at the figures of every step. Its state is JSON, for checkpoints."""

    steps: int = 0
    recent: dict[str, list[float]] = field(default_factory=dict)  # since the last window's end
    seen: dict[str, list[float]] = field(default_factory=dict)  # windows; least, greatest median
    told: list[str] = field(default_factory=list)  # the troubles that are going on

    def look(self, figures: Mapping[str, float]) -> list[Trouble]:
        """Take note of a step; what has begun to go wrong, mostly nothing.

        figures  by name: "content", the loss that shall fall; "gradient" and "critic_gradient", norms
                 of the generator's and the discriminator's; "real" and "fake", the mean numbers that
                 the discriminator gives to real and to created pictures. Any may be missing; others
                 may be there
        """
        for name, value in _known(figures):
            self.recent.setdefault(name, []).append(value)
        self.steps += 1
        if self.steps % WINDOW:
            return []
        medians = {n: statistics.median(v) for n, v in self.recent.items() if len(v) > WINDOW // 2}
        self.recent = {}
        troubles = self._troubles(medians)
        news = [trouble for trouble in troubles if trouble.kind not in self.told]
        self.told = [trouble.kind for trouble in troubles]
        for name, now in medians.items():
            windows, least, greatest = self.seen.get(name, (0.0, now, now))  # all floats, as saved
            self.seen[name] = [windows + 1, min(least, now), max(greatest, now)]
        return news

    def _troubles(self, medians: Mapping[str, float]) -> list[Trouble]:
        courses = {
            name: Course(now, *self.seen[name][1:])
            for name, now in medians.items()
            if self.seen.get(name, (0,))[0] >= PATIENCE
        }
        found = (rule(courses) for name, rule in RULES if name in courses)
        return [trouble for trouble in found if trouble is not None]

    def state(self) -> dict[str, Any]:
        """All that it remembers."""
        return asdict(self)

    @staticmethod
    def from_state(state: Any) -> Watch:
        """The watch whose `state` this is; ModelFileError for anything else."""
        watch = Watch()
        try:
            watch.steps = int(state["steps"])
            watch.recent = {name: list(map(float, v)) for name, v in state["recent"].items()}
            watch.seen = {name: list(map(float, v)) for name, v in state["seen"].items()}
            watch.told = list(map(str, state["told"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"the checkpoint holds no state of a watch ({error!r})") from error
        return watch


def _known(figures: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for name in ("content", "gradient", "critic_gradient", "real"):
        if name in figures:
            yield name, figures[name]
    if "real" in figures and "fake" in figures:
        yield "lead", abs(figures["real"] - figures["fake"])


class Variety:
    """Notices a collapse: created pictures that differ from each other much less than real ones do."""

    def __init__(self, real: Array):
        """real  (N, C, H, W)"""
        self._real, self._told = _spread(real), False

    def look(self, created: Array) -> tuple[float, list[Trouble]]:
        """How varied (N, C, H, W) are, with 1 for as varied as the real ones; and what is wrong."""
        share = _spread(created) / self._real if self._real else 1.0
        collapsed = share < ALIKE
        news = collapsed and not self._told
        self._told = collapsed
        sentence = (
            f"the created pictures differ from each other {share:.2f} times as much as real ones do: "
            "the modes have collapsed; the loss wgan-gp or relativistic-least-squares, or another "
            "seed, may help"
        )
        return share, [Trouble("collapse", sentence)] if news else []


def _spread(pictures: Array) -> float:
    """The standard deviation of a pixel over the pictures, in the mean over all pixels."""
    return float(pictures.std(axis=0).mean())
