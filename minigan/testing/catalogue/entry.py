"""What the catalogue says of one operation, and the references that several entries share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minigan.ops  # noqa: F401 - fills the registry
from minigan.core.errors import MiniganError
from minigan.core.op import REGISTRY, Op

from .draws import Call


@dataclass(frozen=True)
class Bad:
    """A call that must be refused, and words that the error must contain."""

    call: Call
    error: type[MiniganError]
    words: Sequence[str]


@dataclass(frozen=True)
class Entry:
    """Everything the generic tests need to know of an operation.

    calls      strategy for good calls
    reference  the result, computed in another way (arrays and keywords as the operation gets them)
    torch      PyTorch's function for the same, on torch tensors; None with `no_torch` saying why
    bad        calls that must be refused
    float32    tolerance of a float32 run against the reference, relative to the largest value
    """

    op: Op
    calls: st.SearchStrategy[Call]
    reference: Callable[..., np.ndarray]
    torch: Callable[..., Any] | None
    bad: Sequence[Bad]
    no_torch: str = ""
    float32: float = 1e-5


CATALOGUE: dict[str, Entry] = {}


def describe(
    name: str,
    calls: st.SearchStrategy[Call],
    reference: Callable[..., np.ndarray],
    torch: Callable[..., Any] | str,
    *bad: Bad,
    float32: float = 1e-5,
) -> None:
    """Enter an operation; `torch` is PyTorch's function, or the reason why there is none."""
    assert name not in CATALOGUE, name
    function, reason = (None, torch) if isinstance(torch, str) else (torch, "")
    CATALOGUE[name] = Entry(REGISTRY[name], calls, reference, function, bad, reason, float32)


def adjoint(forward: Callable[..., np.ndarray], shape: Sequence[int], g: np.ndarray) -> np.ndarray:
    """A^T g for a linear map A given as a function, from A's columns: (A^T g)_k = <A e_k, g>."""
    result = np.zeros(shape)
    for k in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[k] = 1
        result[k] = np.sum(forward(unit) * g)
    return result
