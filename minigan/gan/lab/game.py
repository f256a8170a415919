"""What the lab plays: one game in the plane, on a thread of its own, and what a page may ask of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from minigan.core.errors import ArgumentError, MiniganError, NonFiniteError
from minigan.core.tensor import Array
from minigan.gan.health import Watch
from minigan.gan.toys.film import EXTENT, SIDE, Favourites, frame_of, troubles
from minigan.gan.toys.game import ToyGame, ToyReport, ToySettings
from minigan.gan.toys.mixtures import MIXTURES, Mixture, mixture_named
from minigan.pages.page import number

HISTORY = 600  # reports that the charts show
DRAWN = 4000  # points of a drawing, at most
BLUR = 0.02  # around drawn points, so that they are a distribution
_NEW_PLAYERS = {
    "pack",
    "latent",
    "width",
    "depth",
    "d_width",
    "seed",
}  # settings that the networks depend on
_CHANGEABLE = {
    "loss", "way", "lr", "d_lr", "d_steps", "r1", "pack", "unroll", "batch", "seed"
}  # fmt: skip


class LabGame:
    """A game that runs, pauses and changes as it is told; safe to be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._running = threading.Event()
        self._ended = False
        self._target = "ring"
        self._drawn: Array | None = None
        self._settings = ToySettings()
        self._begin()
        self._thread = threading.Thread(target=self._play, name="lab", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended = True
        self._running.set()
        self._thread.join()

    # ------------------------------------------------------------------ what runs

    def _begin(self) -> None:
        """New players, and nothing learned yet."""
        self._game = ToyGame(self._settings, self._sample)
        self._reports: deque[ToyReport] = deque(maxlen=HISTORY)
        self._notices: list[dict[str, Any]] = []
        self._watch = Watch()
        self._watch_anew()

    def _mixture(self) -> Mixture | None:
        return mixture_named(self._target) if self._target in MIXTURES else None

    def _sample(self, count: int, random: np.random.Generator) -> Array:
        mixture = self._mixture()
        if mixture is not None:
            return mixture.sample(count, random)
        assert self._drawn is not None
        chosen = self._drawn[random.integers(len(self._drawn), size=count)]
        return (chosen + random.normal(scale=BLUR, size=chosen.shape)).astype(np.float32)

    def _play(self) -> None:
        while True:
            self._running.wait()
            if self._ended:
                return
            with self._lock:
                if self._running.is_set():
                    self._step()

    def _step(self) -> None:
        try:
            report = self._game.step()
        except NonFiniteError as error:
            self._running.clear()
            self._notices.append(
                {"step": self._game.steps, "kind": "ended", "sentence": str(error)}
            )
            return
        self._reports.append(report)
        for kind, sentence in troubles(self._watch, report):
            self._notices.append({"step": report.step, "kind": kind, "sentence": sentence})

    # ------------------------------------------------------------------ what the page asks

    def state(self) -> dict[str, Any]:
        """All that the page shows."""
        with self._lock:
            frame = frame_of(self._game, self._mixture())
            if self._favourites is not None:
                for kind, sentence in self._favourites.look(frame):
                    self._notices.append({"step": frame.step, "kind": kind, "sentence": sentence})
            if frame.covered is not None and (not self._found or self._found[-1][0] < frame.step):
                self._found.append((frame.step, frame.covered.modes))
            real = self._sample(len(frame.points), np.random.default_rng(0))
            reports = [asdict(report) for report in self._reports]
            return {
                "step": frame.step,
                "running": self._running.is_set(),
                "target": self._target,
                "settings": asdict(self._settings),
                "points": _rounded(frame.points),
                "pushes": _rounded(frame.pushes, digits=6),
                "surface": _rounded(frame.surface),
                "real": _rounded(real),
                "side": SIDE,
                "extent": EXTENT,
                "covered": None if frame.covered is None else frame.covered._asdict(),
                "of": None if frame.covered is None else len(mixture_named(self._target).centres),
                "figures": {
                    name: [number(r[name]) for r in reports]
                    for name in (reports[0] if reports else ())
                },
                "found": {
                    "step": [step for step, _ in self._found],
                    "modes": [modes for _, modes in self._found],
                },
                "notices": self._notices[-20:],
            }

    def act(self, request: Mapping[str, Any]) -> None:
        """Do what a page asks; ArgumentError, in one sentence, for what cannot be done."""
        do = request.get("do")
        actions = {
            "run": self._running.set,
            "pause": self._running.clear,
            "step": lambda: self._single(self._step),
            "d_step": lambda: self._single(self._game.d_step),
            "g_step": lambda: self._single(self._game.g_step),
            "reset": lambda: self._single(self._begin),
            "settings": lambda: self._change(request.get("settings")),
            "target": lambda: self._choose(request.get("target")),
            "draw": lambda: self._draw(request.get("points")),
        }
        if do not in actions:
            raise ArgumentError(f"the lab cannot do {do!r}; it can do {', '.join(actions)}")
        actions[do]()

    def _single(self, step: Any) -> None:
        with self._lock:
            self._running.clear()
            step()

    def _change(self, wanted: Any) -> None:
        if not isinstance(wanted, Mapping) or not wanted.keys() <= _CHANGEABLE:
            raise ArgumentError(
                f"the lab changes {', '.join(sorted(_CHANGEABLE))}, and got {wanted!r}"
            )
        kinds = {
            field.name: type(getattr(self._settings, field.name)) for field in fields(ToySettings)
        }
        try:
            values = {name: kinds[name](value) for name, value in wanted.items()}
            settings = replace(self._settings, **values)
        except MiniganError:
            raise
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"the lab was given a setting that is no number: {error}"
            ) from error
        with self._lock:
            anew = any(getattr(settings, n) != getattr(self._settings, n) for n in _NEW_PLAYERS)
            self._settings = settings
            if anew:
                self._begin()
            else:
                self._game.change(settings)

    def _choose(self, target: Any) -> None:
        mixture_named(target)  # or an error that lists the names
        with self._lock:
            self._target = target
            self._watch_anew()

    def _draw(self, points: Any) -> None:
        array = _as_points(points)
        with self._lock:
            self._drawn, self._target = array, "drawn"
            self._watch_anew()

    def _watch_anew(self) -> None:
        """The players go on; what counts as trouble is about other data now."""
        mixture = self._mixture()
        self._favourites = None if mixture is None else Favourites(mixture)
        self._found: deque[tuple[int, int]] = deque(maxlen=HISTORY)  # steps, and modes found there


def _as_points(points: Any) -> Array:
    """A drawing from a page: pairs of numbers in the plane."""
    try:
        array = np.asarray(points, np.float32)
    except (TypeError, ValueError):
        array = np.zeros(0, np.float32)
    fits = array.ndim == 2 and array.shape[-1] == 2 and 1 <= len(array) <= DRAWN
    if not fits or not np.isfinite(array).all() or abs(array).max() > EXTENT:
        raise ArgumentError(
            f"a drawing needs 1 to {DRAWN} pairs of numbers from -{EXTENT} to {EXTENT}; got "
            f"an array of shape {array.shape}"
        )
    return array


def _rounded(array: Array, digits: int = 4) -> Sequence[float]:
    return np.round(array.astype(np.float64).reshape(-1), digits).tolist()
