"""What each operation was given and gave, and which line of the user's called it.

The graph itself keeps only what the chain rule needs. To explain a backward pass one wants more, so
`recording` keeps it beside the graph, for as long as the graph lives.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary

import minigan
from minigan import devices
from minigan.core import engine
from minigan.core.graph import Node, mode
from minigan.core.op import Op
from minigan.core.tensor import Array, Tensor
from minigan.nn.module import Module

_OURS = str(Path(minigan.__file__).parent)
_CALL: CodeType = Module.__call__.__code__
_VJPS: CodeType = engine._run_vjps.__code__


@dataclass(frozen=True)
class Place:
    """A line of source, as an editor counts them: from 1."""

    file: str
    line: int

    @property
    def text(self) -> str:
        """The line without its indentation; "" where the source is not to be had."""
        return linecache.getline(self.file, self.line).strip()


@dataclass(frozen=True)
class Applied:
    """One application of an operation.

    args     its tensor arguments: arrays (on the host), numbers, None
    out      its result
    place    the innermost line outside minigan; None where there is none
    modules  where in a network it ran: the outermost module's class, then the names that lead to the
             innermost, ("Sequential", "0"); () outside modules
    layer    the class of the innermost module, "Conv2d" say; "" outside modules
    nested   whether the chain rule itself ran it, in a backward pass that was recorded
    """

    args: tuple[Any, ...]
    out: Array
    place: Place | None
    modules: tuple[str, ...]
    layer: str
    nested: bool


_applied: WeakKeyDictionary[Node, Applied] = WeakKeyDictionary()
_names: WeakKeyDictionary[Node, str] = WeakKeyDictionary()  # of parameters


def applied(node: Node) -> Applied | None:
    """What was recorded of a node; None for leaves and for what ran outside `recording`."""
    return _applied.get(node)


def parameter_name(node: Node) -> str | None:
    """The name of a leaf that a module owns, where that module ran inside `recording`."""
    return _names.get(node)


@contextmanager
def recording() -> Iterator[None]:
    """Keep, on this thread, what operations compute inside the block, for `trace`.

    Every result is kept as long as its graph, so this is for looking at a step, not for training.
    """
    before, mode.observer = mode.observer, _note
    try:
        yield
    finally:
        mode.observer = before


def _note(op: Op, args: Sequence[Any], params: Mapping[str, Any], out: Tensor) -> None:
    if out._node is None:
        return  # no graph: a constant to all that uses it
    place, layers, nested = _where()
    _applied[out._node] = Applied(
        args=tuple(on_host(a) if isinstance(a, Tensor) else a for a in args),
        out=on_host(out),
        place=place,
        modules=_path(layers),
        layer=type(layers[-1]).__name__ if layers else "",
        nested=nested,
    )


def on_host(t: Tensor) -> Array:
    """A tensor's values: its own memory, or a copy from a GPU."""
    return devices.to_host(t._array, t.device)


# ---------------------------------------------------------------------- who called


def _where() -> tuple[Place | None, list[Module], bool]:
    """The user's line, the modules around it from the outermost on, and whether vjps called."""
    place, nested = None, False
    layers: list[Module] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code is _CALL:
            layers.append(frame.f_locals["self"])
        elif place is None and code is _VJPS:
            nested = True
        elif place is None and is_users(code.co_filename):
            place = Place(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return place, layers[::-1], nested


def is_users(file: str) -> bool:
    """Whether a file with code is neither minigan's nor Python's own machinery of imports."""
    return not file.startswith((_OURS, "<frozen"))


_paths: WeakKeyDictionary[Module, dict[int, str]] = WeakKeyDictionary()  # of the modules in one


def _path(layers: list[Module]) -> tuple[str, ...]:
    """The class of the outermost module, and the names that lead to the innermost."""
    if not layers:
        return ()
    root = layers[0]
    if root not in _paths:
        _paths[root] = {id(module): path for path, module in root.named_modules()}
        for name, tensor in root.named_tensors():
            if tensor._node is not None:
                _names.setdefault(tensor._node, name)
    path = _paths[root].get(id(layers[-1]), "")
    return (type(root).__name__, *filter(None, path.split(".")))
