"""Module: a tree of layers that knows its parameters by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minigan import devices, ops
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Array, Tensor


def parameter(array: Array) -> Tensor:
    """A leaf that a Module trains: the array itself, with requires_grad."""
    return Tensor(np.asarray(array, order="C")).requires_grad_()


class Module:
    """A layer, or a tree of layers. Attributes that are tensors or Modules belong to its state.

    A tensor is a parameter unless its name stands in the class's `buffers` (running statistics, say),
    which are saved and moved but not trained. Subclasses define `forward`.
    """

    buffers: tuple[str, ...] = ()
    forward: Callable[..., Any]  # computes the output; every subclass defines it

    def __init__(self) -> None:
        self.training = True

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    # ------------------------------------------------------------------ the tree

    def children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, parents first, with their full names ("" for itself)."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Parameters and buffers with their full names, such as "layers.0.weight"."""
        for path, module in self.named_modules():
            yield from module._own_tensors(path)

    def _own_tensors(self, path: str) -> Iterator[tuple[str, Tensor]]:
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                yield f"{path}.{name}" if path else name, value

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The trained tensors with their full names; a shared one once, under its first name."""
        first: dict[int, tuple[str, Tensor]] = {}
        for path, module in self.named_modules():
            for name, tensor in module._own_tensors(path):
                if name.rpartition(".")[2] not in module.buffers:
                    first.setdefault(id(tensor), (name, tensor))
        return iter(first.values())

    def parameters(self) -> list[Tensor]:
        """The trained tensors."""
        return [t for _, t in self.named_parameters()]

    # ------------------------------------------------------------------ modes and places

    def train(self, training: bool = True) -> Module:
        """Set the mode of this module and all below (dropout and batch norm differ); returns itself."""
        for _, module in self.named_modules():
            module.training = training
        return self

    def eval(self) -> Module:
        """train(False)."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Train all parameters, or none; returns itself."""
        for tensor in self.parameters():
            tensor.requires_grad_(requires_grad)
        return self

    def to(self, target: str | npt.DTypeLike) -> Module:
        """Move everything to a device, or change the dtype of all floating-point tensors, in place."""
        if isinstance(target, str) and target not in ("float32", "float64"):
            return self._to_device(devices.available(target))
        dtype = np.dtype(target)
        if dtype.kind != "f":
            raise ArgumentError(
                f"to: {type(self).__name__} cannot be trained in {dtype}; it needs a device or a "
                "floating-point dtype"
            )
        for _, tensor in self.named_tensors():
            if tensor.dtype.kind == "f" and tensor.dtype != dtype:
                trained = tensor.requires_grad
                tensor.requires_grad_(False)
                tensor._array = ops.cast(tensor, dtype=dtype)._array
                tensor._version[0] += 1
                tensor.requires_grad_(trained)
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.detach().to(dtype)
        return self

    def _to_device(self, target: str) -> Module:
        for _, tensor in self.named_tensors():
            if tensor.device != target:
                trained = tensor.requires_grad
                tensor.requires_grad_(False)
                tensor._array = devices.moved(tensor._array, tensor.device, target)
                tensor.device = target
                tensor._version[0] += 1
                tensor.requires_grad_(trained)
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.detach().to(target)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for tensor in self.parameters():
            tensor.grad = None

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by name, under PyTorch's keys."""
        return {name: t.numpy().copy() for name, t in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Take over the values in `state`; every name must be there with the right shape, no other.

        Nothing is changed unless everything fits.
        """
        own = dict(self.named_tensors())
        missing, strange = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or strange:
            raise ArgumentError(
                f"load_state_dict: {type(self).__name__} needs {len(own)} tensors; "
                f"missing: {_some(missing)}; not its own: {_some(strange)}"
            )
        arrays = {name: np.asarray(state[name]) for name in own}
        for name, tensor in own.items():
            if arrays[name].shape != tensor.shape:
                raise ShapeError(
                    f"load_state_dict: {name!r} has shape {arrays[name].shape}; it needs {tensor.shape}"
                )
            if not np.can_cast(arrays[name].dtype, tensor.dtype, "same_kind"):
                raise ArgumentError(
                    f"load_state_dict: {name!r} holds {arrays[name].dtype}; it needs {tensor.dtype}"
                )
        for name, tensor in own.items():
            tensor.copy_(Tensor(arrays[name].astype(tensor.dtype)))

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.children()
        ]
        head = f"{type(self).__name__}({self.describe()}"
        return head + ("\n" + "\n".join(lines) + "\n)" if lines else ")")

    def describe(self) -> str:
        """The settings that `repr` shows; subclasses define it."""
        return ""


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return (
        "none" if not names else shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    )
