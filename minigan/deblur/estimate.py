"""How long restoring will take and how much memory, from one tile that is restored and measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from minigan.deblur.model import Model
from minigan.deblur.restore import restore
from minigan.deblur.tiles import tiles_of, tiling_for
from minigan.images import Header

# Of a picture there is, at the most, what Pillow decoded or encodes (4 bytes a pixel where it has 3), the
# picture and the result.
_COPIES = 3.4


@dataclass(frozen=True)
class Estimate:
    """Seconds without reading and writing; megabytes of all processes, or None where they are untold."""

    seconds: float
    megabytes: float | None


def estimate(model: Model, pictures: Sequence[Header], processes: int) -> Estimate:
    """What restoring the pictures by so many processes will take on this machine."""
    largest = max(pictures, key=lambda header: header.pixels)
    work = [prod(tiles_of(model, (p.height, p.width))) for p in pictures]  # pixels, rims included
    height, width = tiling_for(model, (largest.height, largest.width)).kept
    sample = np.zeros((3, min(height, largest.height), min(width, largest.width)), np.uint8)
    before = _peak_megabytes()
    restore(model, sample[:, :8, :8])  # what only the first does: to transform weights, say
    begin = time.perf_counter()
    restore(model, sample)
    per_pixel = (time.perf_counter() - begin) / prod(tiles_of(model, sample.shape[1:]))
    after = _peak_megabytes()
    megabytes = None
    if after is not None and before is not None:
        megabytes = after + (processes - 1) * (after - before) + _COPIES * largest.megabytes
    return Estimate(per_pixel * sum(work) / processes, megabytes)


def _peak_megabytes() -> float | None:
    """The most memory that this process has had."""
    if sys.platform != "linux":  # elsewhere the unit is another one, or there is none
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
