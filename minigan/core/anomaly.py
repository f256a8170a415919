"""Finding the operation where NaN or infinity began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan.core.errors import NonFiniteError
from minigan.core.graph import mode
from minigan.core.op import Op
from minigan.core.tensor import Tensor


@contextmanager
def detect_nonfinite() -> Iterator[None]:
    """Inside, on this thread, the first operation with a result that is not finite raises.

    The NonFiniteError names the operation, and the argument if NaN or infinity came in with it.
    Backward passes are covered too, because vjps are operations. Every result is looked at, so this
    is for finding a fault, not for every step.
    """
    before = mode.observer
    mode.observer = _look
    try:
        yield
    finally:
        mode.observer = before


def _look(operation: Op, args: Sequence[Any], params: Mapping[str, Any], out: Tensor) -> None:
    if out.dtype.kind != "f" or np.isfinite(out.numpy()).all():
        return
    for i, argument in enumerate(args):
        if isinstance(argument, Tensor) and argument.dtype.kind == "f":
            bad = np.count_nonzero(~np.isfinite(argument.numpy()))
            if bad:
                name = operation.variadic or operation.inputs[i]
                raise NonFiniteError(
                    f"{operation.name}: its argument {name!r} of shape {argument.shape} already holds "
                    f"{bad} values that are not finite"
                )
    count = int(np.count_nonzero(~np.isfinite(out.numpy())))
    raise NonFiniteError(
        f"{operation.name} was the first operation to give a value that is not finite: {count} of "
        f"{out.numel()} in its result of shape {out.shape}"
    )
