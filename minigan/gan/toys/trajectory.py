"""Games of two numbers, such as f(x, y) = x y and the Dirac-GAN: where the players go in their plane.

The solution is (0, 0). Whether they arrive shows each time they have gone round it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Array
from minigan.gan.toys.film import Notice

Push = Callable[[float, float], tuple[float, float]]
SAME = 0.05  # by which the distance may change in a turn that leads neither in nor out


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where two players have been.

    places  (T + 1, 2): their numbers before the first of T steps, and after each
    push    (x, y) -> in which direction gradient descent of both would move them from there
    names   of the two numbers

    Raises ShapeError for places of another shape, ArgumentError for one that is not finite.
    """

    places: Array
    push: Push
    names: Sequence[str] = ("x", "y")

    def __post_init__(self) -> None:
        if self.places.ndim != 2 or self.places.shape[1] != 2 or len(self.places) < 2:
            raise ShapeError(
                f"Trajectory: places has shape {self.places.shape}; it needs (T + 1, 2) with T >= 1"
            )
        bad = np.flatnonzero(~np.isfinite(self.places).all(axis=1))
        if bad.size:
            raise ArgumentError(
                f"Trajectory: places[{bad[0]}] is {self.places[bad[0]]}; it needs finite numbers, so "
                "leave out what comes after the players have run off"
            )

    def distances(self) -> Array:
        """From the solution, (T + 1,)."""
        return np.hypot(self.places[:, 0], self.places[:, 1])

    def notices(self) -> list[Notice]:
        """Where it began to go round and round, or outwards: each is told once."""
        told: dict[str, Notice] = {}
        for notice in self._turns():
            told.setdefault(notice.kind, notice)
        return list(told.values())

    def _turns(self) -> Iterator[Notice]:
        """A notice for each whole turn that does not lead in."""
        r = self.distances()
        angle = np.unwrap(np.arctan2(self.places[:, 1], self.places[:, 0]))
        before = 0
        for step in range(1, len(r)):
            if abs(angle[step] - angle[before]) < 2 * np.pi:
                continue
            then, now = r[before], r[step]
            before = step
            if now > (1 + SAME) * then:
                yield Notice(step, "divergence", _OUTWARDS.format(then=then, now=now))
            elif now > (1 - SAME) * then:
                yield Notice(step, "oscillation", _ROUND.format(then=then, now=now))


_HELP = "Looking ahead (extragradient), foretelling (optimistic) or a penalty may help"
_ROUND = (
    "after a whole turn round the solution the players are {now:.3g} from it, and were {then:.3g}: "
    f"they go round and never arrive. {_HELP}"
)
_OUTWARDS = (
    "in a whole turn round the solution the players have gone from {then:.3g} to {now:.3g} away from "
    f"it: they spiral outwards. {_HELP}; a lower rate only makes it slower"
)
