"""How the input of a pair is made from a sharp picture: the one place where a task differs from another.

Training draws a crop of a sharp photograph and hands it to a `Degradation`, which makes the picture that
the network shall see. Blur is one (`minigan.deblur.blur.BlurSettings`); a smaller picture, or the edges
alone, would be others, on the same photographs, trainer and tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from minigan.core.tensor import Array


@dataclass(frozen=True, eq=False)
class Degraded:
    """A pair: the network's input and the sharp picture that it shows, float32 (C, H, W) in [0, 1].

    kernel  what blurred it, (rows, columns), or None where it was no convolution
    facts   what was drawn, by name, for the record: anything JSON can hold
    """

    input: Array
    sharp: Array
    kernel: Array | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Degradation(Protocol):
    """A way to make inputs, with settings of its own."""

    @property
    def margin(self) -> int:
        """How many pixels a sharp crop must carry on each side beyond what the pair shows."""
        ...

    def draw(self, rng: np.random.Generator, sharp: Array) -> Degraded:
        """Make a pair of a sharp crop, float32 (3, P + 2 margin, Q + 2 margin): pictures of (3, P, Q).

        The crop may be a view and is not written to. All that is random comes from `rng`.
        """
        ...

    def prepared(self, rng: np.random.Generator) -> Degradation:
        """The same for thousands of crops: what is costly to draw is drawn now, and used again."""
        ...
