"""Weights that were trained elsewhere: a state_dict of PyTorch's for a network built the same way."""

from __future__ import annotations

from os import PathLike

import numpy as np

from minigan.core.errors import MiniganError, ModelFileError
from minigan.core.quiet import quietly
from minigan.nn.module import Module
from minigan.serialize import load_foreign

_WRAPPER = "module."  # what PyTorch's DataParallel puts before every name


def load_foreign_weights(network: Module, path: str | PathLike[str]) -> None:
    """Take over the weights in a safetensors file that another program saved.

    The names are those of `network.state_dict()`, which are PyTorch's for modules of these names, or
    the same behind "module."; numbers are converted to the network's types.

    Raises ModelFileError, and changes nothing, for a file that cannot be read, a tensor that is missing,
    not the network's, of another shape or kind, or holds values that are not finite.
    """
    state = load_foreign(path)
    if state and all(name.startswith(_WRAPPER) for name in state):
        state = {name.removeprefix(_WRAPPER): array for name, array in state.items()}
    for name, tensor in network.named_tensors():
        if name in state and state[name].dtype.kind == "f" and tensor.dtype.kind == "f":
            state[name] = quietly(state[name].astype, tensor.dtype)
            if not np.isfinite(state[name]).all():
                raise ModelFileError(
                    f"{path} does not fit: {name!r} holds values that are not finite in {tensor.dtype}"
                )
    try:
        network.load_state_dict(state)
    except MiniganError as error:
        reason = str(error).removeprefix("load_state_dict: ")
        raise ModelFileError(f"{path} does not fit: {reason}") from error
