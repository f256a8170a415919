"""Entries for minigan/ops/shape.py."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigan.core.errors import ArgumentError, DeviceError, ShapeError

from .draws import Call, seeds, shapes, spaced
from .entry import Bad, adjoint, describe

ones = np.ones


def one(draw, of_shape, /, **params):
    (x,) = spaced(draw(seeds), of_shape)
    return Call((x,), params)


@st.composite
def reshapes(draw):
    shape = draw(shapes(0, 3))
    sizes = list(draw(st.permutations([*shape, 1])))
    if len(sizes) > 1 and draw(st.booleans()):
        sizes[0:2] = [sizes[0] * sizes[1]]
    if draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return one(draw, shape, shape=tuple(sizes))


describe(
    "reshape",
    reshapes(),
    lambda x, shape: np.array(list(x.flat)).reshape(shape),
    lambda x, shape: x.reshape(shape),
    Bad(Call((ones((2, 3)),), {"shape": (4, -1)}), ShapeError, ["reshape", "(2, 3)", "(4, -1)"]),
    Bad(Call((ones((2, 3)),), {"shape": (-1, -1)}), ShapeError, ["reshape", "(-1, -1)"]),
    Bad(Call((ones((2, 3)),), {"shape": (5,)}), ShapeError, ["reshape", "6 elements"]),
)


@st.composite
def transposes(draw):
    shape = draw(shapes(0, 4, max_side=3))
    order = tuple(draw(st.permutations(range(len(shape)))))
    negative = tuple(a - len(shape) for a in order)
    return one(draw, shape, axes=draw(st.sampled_from([None, order, negative])))


describe(
    "transpose",
    transposes(),
    lambda x, axes: np.moveaxis(
        x, axes if axes is not None else range(x.ndim)[::-1], range(x.ndim)
    ),
    lambda x, axes: x.permute(axes if axes is not None else tuple(range(x.ndim))[::-1]),
    Bad(Call((ones((2, 3)),), {"axes": (0, 0)}), ShapeError, ["transpose", "(0, 0)", "(2, 3)"]),
)


@st.composite
def broadcasts(draw):
    full = draw(shapes(0, 3))
    kept = full[draw(st.integers(0, len(full))) :]
    return one(draw, tuple(draw(st.sampled_from([n, 1])) for n in kept), shape=full)


describe(
    "broadcast_to",
    broadcasts(),
    lambda x, shape: x + np.zeros(shape),
    lambda x, shape: x.broadcast_to(shape),
    Bad(Call((ones((2, 3)),), {"shape": (2, 4)}), ShapeError, ["broadcast_to", "(2, 3)", "(2, 4)"]),
    Bad(Call((ones((2, 3)),), {"shape": (3,)}), ShapeError, ["broadcast_to", "(3,)"]),
)


@st.composite
def flips(draw):
    shape = draw(shapes(1, 3))
    axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    return one(draw, shape, axis=draw(st.sampled_from([min(axes), -1, tuple(axes)])))


def flipped(x, axis):
    for a in (axis,) if isinstance(axis, int) else axis:
        x = np.take(x, range(x.shape[a])[::-1], axis=a)
    return x


describe(
    "flip",
    flips(),
    flipped,
    lambda x, axis: x.flip((axis,) if isinstance(axis, int) else axis),
    Bad(Call((ones((2, 3)),), {"axis": 2}), ShapeError, ["flip", "axis 2", "(2, 3)"]),
)


@st.composite
def concatenations(draw):
    shape = draw(shapes(1, 3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    wanted = [tuple(n if i == axis % len(shape) else m for i, m in enumerate(shape)) for n in sizes]
    return Call(tuple(spaced(draw(seeds), *wanted)), {"axis": axis})


describe(
    "concatenate",
    concatenations(),
    lambda *xs, axis: np.moveaxis(
        np.array([row for x in xs for row in np.moveaxis(x, axis, 0)]), 0, axis
    ),
    lambda *xs, axis: __import__("torch").cat(xs, axis),
    Bad(
        Call((ones((2, 3)), ones((2, 4))), {"axis": 0}),
        ShapeError,
        ["concatenate", "tensor 1", "(2, 4)", "(2, 3)"],
    ),
    Bad(Call((ones(2), ones(2)), {"axis": 1}), ShapeError, ["concatenate", "axis 1"]),
    Bad(Call(()), ArgumentError, ["concatenate", "no tensors"]),
)


@st.composite
def indices(draw, shape):
    """Slices, integers, None and Ellipsis; or integer arrays with repeats; or a mask."""
    kind = draw(st.sampled_from(["basic", "integers", "mixed", "mask"]))
    if kind == "basic":
        index = draw(hnp.basic_indices(shape, allow_newaxis=True))
        return index if isinstance(index, tuple) else (index,)
    if kind == "mask":
        rng = np.random.default_rng(draw(seeds))
        return (rng.integers(0, 2, shape) == 1,)
    picks = draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=5))
    if kind == "integers" or len(shape) == 1:
        return (np.array(picks),)
    return (np.array(picks), slice(None, None, 2))


@st.composite
def gets(draw):
    shape = draw(shapes(1, 3))
    return one(draw, shape, index=draw(indices(shape)))


def got(x, index):
    """Indexing the flat positions instead of the values."""
    positions = np.arange(x.size).reshape(x.shape)
    return np.asarray(x.ravel()[positions[index]])


describe(
    "getitem",
    gets(),
    got,
    "PyTorch takes no negative steps",
    Bad(Call((ones((2, 3)),), {"index": 2}), ShapeError, ["indexing", "(2, 3)"]),
    Bad(Call((ones((2, 3)),), {"index": (0, 0, 0)}), ShapeError, ["indexing", "(2, 3)"]),
    Bad(Call((ones(2),), {"index": [0.5]}), ArgumentError, ["indexing", "float64", "integers"]),
)


@st.composite
def puts(draw):
    shape = draw(shapes(1, 3, max_side=3))
    index = draw(indices(shape))
    return one(draw, np.zeros(shape)[index].shape, index=index, input_shape=shape)


describe(
    "getitem_dx",
    puts(),
    lambda grad, index, input_shape: adjoint(lambda x: got(x, index), input_shape, grad),
    "PyTorch's is not public",
    Bad(Call((ones(2),), {"index": (0,)}), ArgumentError, ["getitem_dx", "input_shape", "missing"]),
)

describe(
    "transfer",
    st.composite(lambda draw: one(draw, draw(shapes(0, 3)), device="cpu", source="cpu"))(),
    lambda x, device, source: x + 0,
    lambda x, device, source: x.clone(),
    Bad(Call((ones(2),), {"device": "tpu", "source": "cpu"}), DeviceError, ["'tpu'", "cpu"]),
)
