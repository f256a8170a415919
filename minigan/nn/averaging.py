"""A running mean of a network's weights."""

from __future__ import annotations

from minigan.core.graph import no_grad
from minigan.nn.module import Module


def average(averaged: Module, latest: Module, keep: float, step: int) -> None:
    """Move each averaged weight towards the latest: mean <- keep mean + (1 - keep) weight.

    Where two players chase each other, the latest weights are one point of an orbit; their mean lies
    nearer to what they circle around (Yazici et al. 2019, "The unusual effectiveness of averaging in
    GAN training"). Early on, at small `step`, counted from 1, less is kept: the beginning shall be
    forgotten.
    """
    keep = min(keep, step / (step + 9))
    with no_grad():
        for mean, new in zip(averaged.parameters(), latest.parameters(), strict=True):
            mean.copy_(keep * mean + (1 - keep) * new)
