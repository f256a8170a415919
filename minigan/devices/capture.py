"""A step captured: its launches recorded once, and made again without the Python that led to them.

On a GPU this is a CUDA graph: one call replays hundreds of launches, on which a small network's step of
training spends most of its time otherwise. The emulator records launches and replays them too, so that
what cannot be captured is found without a GPU.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minigan.core.errors import ArgumentError, DeviceError


@dataclass(frozen=True)
class Captured:
    """A captured step.

    results what the step returned; its tensors get new values with each replay
    replay  makes all launches again, in order
    """

    results: Any
    replay: Callable[[], None]


class _Mode(threading.local):
    """Whether this thread is capturing."""

    capturing = False


_mode = _Mode()


@contextmanager
def capturing() -> Iterator[None]:
    """Inside, on this thread, launches are recorded and not run."""
    _mode.capturing = True
    try:
        yield
    finally:
        _mode.capturing = False


def is_capturing() -> bool:
    """Whether this thread is recording a step: no array holds its values then."""
    return _mode.capturing


def refuse_while_capturing(what: str) -> None:
    """Raise DeviceError if a step is being captured: `what` would have to be done each time."""
    if _mode.capturing:
        raise DeviceError(
            f"capture: the step {what}, which a replay would not do again; it needs to work on tensors "
            "that are on the device already, and to draw no random numbers"
        )


def capture(step: Callable[[], Any], device: str = "cuda") -> Captured:
    """Run `step` once, then record its launches on `device`; `replay()` makes them again.

    step    takes nothing: it reads tensors that exist already and writes to them, as a step of training
            reads a batch and writes the parameters. Between replays, `batch.copy_(...)` brings new data
    device  "cuda" or "emulator"

    The recording itself computes nothing, so capture() and n replays make n + 1 steps. Python runs
    only the first two times: what it counts (such as `optimizer.steps`) stands still, and numbers that
    are no tensors stay what they were. Learning rates live on the device: setting `optimizer.lr` works.

    A step that brings values to or from the host (`.numpy()`, `float(loss)`, dropout) raises DeviceError.
    """
    from minigan import devices

    if device not in ("cuda", "emulator"):
        raise ArgumentError(f"capture: device is {device!r}; it needs 'cuda' or 'emulator'")
    step()
    return devices.device(device).capture(step)
