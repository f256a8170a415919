"""Tensor: an array, and its place in the graph.

A Tensor is what users hold. The graph behind it, made of `Node`s, holds nodes and arrays, never
Tensors, so that no reference cycle exists and memory is freed as soon as the last reference goes.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigan import devices
from minigan.core.errors import ArgumentError, ShapeError, brief
from minigan.core.graph import Node, Shape
from minigan.core.quiet import quietly
from minigan.devices import Array

TensorLike: TypeAlias = "Tensor | npt.ArrayLike"

DEFAULT_DTYPE = np.dtype(np.float32)


class Tensor:
    """An n-dimensional array that can remember how it was computed.

    Make one with `minigan.tensor`. Operators follow NumPy's broadcasting; names follow PyTorch.
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_node", "_version", "device")

    # NumPy then leaves `array * tensor` to Tensor.__rmul__ instead of looping over the elements.
    __array_ufunc__ = None

    _array: Array
    _node: Node | None
    # One cell, shared by views and detached copies: how often the memory was written to.
    _version: list[int]
    _grad: Tensor | None
    device: str

    def __init__(
        self,
        array: Array,
        node: Node | None = None,
        version: list[int] | None = None,
        device: str = "cpu",
    ):
        """Wrap an array without copying it; users call `minigan.tensor`, which copies."""
        if type(array) is not Array and not devices.is_array(array):
            raise ArgumentError(
                f"Tensor: array is {brief(array)}; it needs a NumPy array (minigan.tensor makes a "
                "tensor of numbers and lists)"
            )
        self._array = array
        self._node = node
        self._version = [0] if version is None else version
        self.device = device
        self._grad = None

    # ------------------------------------------------------------------ what it is

    @property
    def shape(self) -> Shape:
        """The size along each axis."""
        return self._array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def dtype(self) -> np.dtype:
        """The NumPy type of the elements."""
        return self._array.dtype

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded for a backward pass."""
        return self._node is not None

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None or self._node.op is None

    @property
    def grad(self) -> Tensor | None:
        """What backward passes have added up for this leaf; None before the first."""
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None and not isinstance(gradient, Tensor):
            raise ArgumentError(f"grad: got {brief(gradient)}; it needs a Tensor or None")
        if gradient is not None and gradient.shape != self.shape:
            raise ShapeError(f"grad: got shape {gradient.shape}; this tensor needs {self.shape}")
        self._grad = gradient

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    def __len__(self) -> int:
        if not self._array.shape:
            raise ShapeError("len: a tensor of shape () has no length; it needs at least one axis")
        return self._array.shape[0]

    def __repr__(self) -> str:
        values = np.array2string(
            np.asarray(self.numpy()), precision=4, threshold=12, edgeitems=2, prefix="tensor("
        )
        made_by = "" if self._node is None else f", {self._node.name}"
        grad = ", requires_grad=True" if self.requires_grad and self.is_leaf else made_by
        return f"tensor({values}, shape={self.shape}, dtype={self.dtype}, device={self.device!r}{grad})"

    def __format__(self, spec: str) -> str:
        """f"{loss:.3f}": a tensor of one element as its number; without a format, its repr."""
        return format(self._only_element("format"), spec) if spec else repr(self)

    # ------------------------------------------------------------------ what it holds

    def numpy(self) -> Array:
        """The values as a read-only NumPy array: this tensor's memory, or a copy of it from a GPU."""
        view = devices.to_host(self._array, self.device).view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> float | int | bool:
        """The value of a tensor of one element as a Python number."""
        return self._only_element("item")

    def _only_element(self, operation: str) -> float | int | bool:
        if self._array.size != 1:
            raise ShapeError(
                f"{operation}: a tensor of shape {self.shape} has {self._array.size} elements; "
                "it needs one"
            )
        return self.numpy().item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def __float__(self) -> float:
        return float(self._only_element("float"))

    def __int__(self) -> int:
        return int(self._only_element("int"))

    def __bool__(self) -> bool:
        return bool(self._only_element("bool"))

    def detach(self) -> Tensor:
        """The same memory outside the graph; it shares the version, so a later write is noticed."""
        return Tensor(self._array, None, self._version, self.device)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Turn a leaf's recording on or off, in place; returns the tensor itself."""
        if not self.is_leaf:
            raise ArgumentError(
                f"requires_grad_: this tensor was made by {self._node.name}; "  # type: ignore[union-attr]
                "it needs a leaf (use detach() for a copy outside the graph)"
            )
        if not requires_grad:
            self._node = None
        elif self._node is None:
            self._node = _leaf_node(self)
        return self

    def copy_(self, source: TensorLike) -> Tensor:
        """Write `source` (broadcast to this shape) into this leaf's memory, and count the write.

        Nothing is recorded. A backward pass that had saved the old values raises VersionError
        rather than give a wrong gradient. Returns the tensor itself.
        """
        if not self.is_leaf:
            raise ArgumentError(
                f"copy_: this tensor was made by {self._node.name}; "  # type: ignore[union-attr]
                "tensors inside a graph are not written to"
            )
        if _shows_elements_repeatedly(self._array):
            raise ArgumentError(
                f"copy_: this tensor of shape {self.shape} shows the elements of another one "
                "repeatedly; it needs memory of its own (minigan.tensor makes a copy)"
            )
        array = as_array(source, self.dtype if self.dtype.kind == "f" else None, "copy_: source")
        if not np.can_cast(array.dtype, self.dtype, "same_kind"):
            raise ArgumentError(
                f"copy_: source has dtype {array.dtype}; it needs one that fits into {self.dtype}"
            )
        source_device = source.device if isinstance(source, Tensor) else "cpu"
        if source_device != self.device:
            array = devices.moved(array, source_device, self.device)
        try:
            quietly(devices.write, self._array, self.device, array)
        except ValueError:
            raise ShapeError(
                f"copy_: source has shape {array.shape}; it needs {self.shape} or a shape that "
                "broadcasts to it"
            ) from None
        self._version[0] += 1
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What `copy`, `deepcopy` and `pickle` take along: everything but the place in a graph."""
        if not self.is_leaf:
            raise ArgumentError(
                f"copy: this tensor was made by {self._node.name}; "  # type: ignore[union-attr]
                "it needs a leaf (use detach() for a tensor outside the graph)"
            )
        array = devices.to_host(self._array, self.device)
        return _restored, (array, self._version, self.device, self.requires_grad, self.grad)

    # ------------------------------------------------------------------ the chain rule

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add d(self)/d(leaf) to `.grad` of every leaf that this tensor depends on.

        gradient      what flows in, of this tensor's shape; 1 when the tensor has one element
        retain_graph  keep the saved arrays for another backward pass (default: create_graph)
        create_graph  record the backward pass itself, so that its results can be differentiated
        """
        from minigan.core import engine

        engine.backward(self, gradient, retain_graph, create_graph)

    if TYPE_CHECKING:
        # minigan.ops supplies these when it is imported (ops/methods.py); here stand their types.
        T: Tensor

        def __add__(self, other: TensorLike) -> Tensor: ...
        def __radd__(self, other: TensorLike) -> Tensor: ...
        def __sub__(self, other: TensorLike) -> Tensor: ...
        def __rsub__(self, other: TensorLike) -> Tensor: ...
        def __mul__(self, other: TensorLike) -> Tensor: ...
        def __rmul__(self, other: TensorLike) -> Tensor: ...
        def __truediv__(self, other: TensorLike) -> Tensor: ...
        def __rtruediv__(self, other: TensorLike) -> Tensor: ...
        def __pow__(self, other: TensorLike) -> Tensor: ...
        def __rpow__(self, other: TensorLike) -> Tensor: ...
        def __matmul__(self, other: TensorLike) -> Tensor: ...
        def __rmatmul__(self, other: TensorLike) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __lt__(self, other: TensorLike) -> Tensor: ...
        def __le__(self, other: TensorLike) -> Tensor: ...
        def __gt__(self, other: TensorLike) -> Tensor: ...
        def __ge__(self, other: TensorLike) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def exp(self) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def sin(self) -> Tensor: ...
        def cos(self) -> Tensor: ...
        def tanh(self) -> Tensor: ...
        def sigmoid(self) -> Tensor: ...
        def relu(self) -> Tensor: ...
        def abs(self) -> Tensor: ...
        def clip(self, min: float | None = None, max: float | None = None) -> Tensor: ...
        def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def var(
            self, axis: Axis = None, correction: float = 1, keepdims: bool = False
        ) -> Tensor: ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def logsumexp(self, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
        def log_softmax(self, axis: int = -1) -> Tensor: ...
        def reshape(self, *shape: int | Sequence[int]) -> Tensor: ...
        def flatten(self, start_axis: int = 0, end_axis: int = -1) -> Tensor: ...
        def transpose(self, *axes: int | Sequence[int]) -> Tensor: ...
        def broadcast_to(self, shape: Sequence[int]) -> Tensor: ...
        def flip(self, axis: int | Sequence[int]) -> Tensor: ...
        def to(self, target: str | npt.DTypeLike) -> Tensor: ...
        def alias(self) -> Tensor: ...
        def sum_to(self, shape: Shape) -> Tensor: ...


Axis = int | Sequence[int] | None


def _leaf_node(tensor: Tensor) -> Node:
    if tensor._array.dtype.kind != "f":
        raise ArgumentError(
            f"requires_grad: a tensor of {tensor.dtype} has no derivative; it needs a floating-point "
            "dtype such as minigan.float32"
        )
    node = Node(None, (), None, {}, tensor._array, tensor.device)
    node.leaf = weakref.ref(tensor)
    return node


def _shows_elements_repeatedly(array: Array) -> bool:
    """Whether a write to one element would change others: broadcast views are read-only in NumPy."""
    if isinstance(array, Array):
        return not array.flags.writeable
    return any(stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape, strict=True))


def _restored(
    array: Array, version: list[int], device: str, requires_grad: bool, grad: Tensor | None
) -> Tensor:
    """A copied leaf: with a node of its own, or its gradient would go to the original."""
    if device != "cpu":
        array = devices.moved(array, "cpu", device)
    result = Tensor(array, None, version, device)
    result.grad = grad
    return result.requires_grad_(requires_grad)


def as_array(
    values: TensorLike, dtype: npt.DTypeLike | None = None, name: str = "tensor: values"
) -> Array:
    """`values` as an array: floating-point values in `dtype` (default float32), integers as they are.

    Errors begin with `name`: the operation and the argument.
    """
    if isinstance(values, Tensor):
        return values._array
    try:
        array = np.asarray(values)
    except ValueError:
        raise ShapeError(
            f"{name}: the rows differ in length; every axis needs rows of one length"
        ) from None
    if array.dtype.kind == "f":
        return quietly(array.astype, dtype or DEFAULT_DTYPE, copy=False)
    if array.dtype.kind not in "biu":
        raise ArgumentError(f"{name} is {brief(values)}; it needs numbers or booleans")
    return array


def as_dtype(operation: str, dtype: npt.DTypeLike) -> np.dtype:
    """`dtype` as NumPy's: floating, integer or boolean, or an error that names the operation."""
    try:
        result = None if dtype is None else np.dtype(dtype)
    except TypeError:
        result = None
    if result is None or result.kind not in "fbiu":
        raise ArgumentError(
            f"{operation}: dtype is {brief(dtype)}; it needs a type of real numbers or booleans, "
            "such as minigan.float32"
        )
    return result


def tensor(
    values: TensorLike,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """Make a tensor from a copy of `values` (an array, nested lists, a number, another tensor).

    values         numbers or booleans of any shape
    requires_grad  whether `.backward()` shall fill its `.grad`
    dtype          float32 for floating-point values unless given; integers and booleans keep theirs
    device         where it lives: "cpu", the default

    A float64 array becomes float32 too: ask for float64 with `dtype=minigan.float64`.

    Tensors are not written to by element, and `x += y` makes a new tensor under the name of x. Only a
    leaf that requires a gradient is written to, under no_grad(): `w -= rate * w.grad` trains it by
    hand, and so do `copy_` and the optimisers.
    """
    device = devices.available(device or "cpu")
    if isinstance(values, Tensor):
        dtype, values = dtype or values.dtype, values.numpy()
    array = as_array(values, None if dtype is None else as_dtype("tensor", dtype))
    array = np.array(array, dtype=dtype or array.dtype, order="C", copy=True)
    if device != "cpu":
        array = devices.moved(array, "cpu", device)
    result = Tensor(array, None, None, device)
    return result.requires_grad_() if requires_grad else result
