"""Computing without NumPy's warnings: infinity and NaN show in the results, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

# NumPy keeps what to do on overflow and the like in a context variable. Running in a copy of a context
# where it is set costs a fifth of entering np.errstate, which would be felt in every small operation.
_QUIET = copy_context()
_QUIET.run(np.seterr, all="ignore")


quiet_context = _QUIET.copy  # a new one for each call: a context is entered once at a time


def quietly(function: Callable[P, R], *args: P.args, **named: P.kwargs) -> R:
    """function(*args, **named), with no warning of overflow, division by zero or invalid values."""
    return quiet_context().run(function, *args, **named)
