"""Entries for minigan/ops/reduce.py and norm.py."""

import numpy as np
import scipy.special
from hypothesis import strategies as st

from minigan.core.errors import ArgumentError, ShapeError

from .draws import Call, reduction, seeds, shapes, spaced
from .entry import Bad, describe

ones = np.ones
keep = st.booleans()


def no_axis(name: str) -> Bad:
    words = [name, "axis 2", "(2, 3)"]
    return Bad(Call((ones((2, 3)),), {"axis": 2}), ShapeError, words)


def axis_twice(name: str) -> Bad:
    return Bad(Call((ones((2, 3)),), {"axis": (0, -2)}), ArgumentError, [name, "twice"])


def nothing(name: str) -> Bad:
    return Bad(Call((ones((2, 0)),), {"axis": 1}), ShapeError, [name, "(2, 0)", "at least one"])


def all_axes(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


def torch_axis(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


describe(
    "sum",
    reduction(keepdims=keep),
    lambda x, axis, keepdims: (
        np.mean(x, axis=axis, keepdims=keepdims) * (x.size / np.mean(x, axis=axis).size)
    ),
    lambda x, axis, keepdims: x.sum(torch_axis(x, axis), keepdims),
    no_axis("sum"),
    axis_twice("sum"),
)


@st.composite
def spreads(draw):
    shape = draw(shapes(1, 3))
    axis = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1)))))
    kept = tuple(1 if i in axis else n for i, n in enumerate(shape))
    left = tuple(n for i, n in enumerate(shape) if i not in axis)
    (x,) = spaced(draw(seeds), draw(st.sampled_from([kept, left])))
    return Call((x,), {"shape": shape, "axis": axis})


describe(
    "spread",
    spreads(),
    lambda x, shape, axis: (
        (x if x.ndim == len(shape) else np.expand_dims(x, axis)) * np.ones(shape)
    ),
    lambda x, shape, axis: x.reshape([1 if i in axis else n for i, n in enumerate(shape)]).expand(
        shape
    ),
    Bad(
        Call((ones(2),), {"shape": (2, 3), "axis": (0,)}),
        ShapeError,
        ["spread", "(2,)", "(2, 3)", "(0,)", "(3,) or (1, 3)"],
    ),
)
describe(
    "mean",
    reduction(keepdims=keep),
    lambda x, axis, keepdims: np.average(x, axis=axis, keepdims=keepdims),
    lambda x, axis, keepdims: x.mean(torch_axis(x, axis), keepdims),
    no_axis("mean"),
    nothing("mean"),
)
describe(
    "var",
    reduction(min_side=2, correction=st.sampled_from([0, 1, 0.5]), keepdims=keep),
    lambda x, axis, correction, keepdims: (
        np.sum((x - np.average(x, axis=axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims)
        / (x.size / np.mean(x, axis=axis).size - correction)
    ),
    lambda x, axis, correction, keepdims: x.var(
        torch_axis(x, axis), correction=correction, keepdim=keepdims
    ),
    no_axis("var"),
    Bad(Call((ones((2, 1)),), {"axis": 1}), ShapeError, ["var", "(2, 1)", "more than correction"]),
)
describe(
    "max",
    reduction(keepdims=keep),
    lambda x, axis, keepdims: -np.min(-x, axis=axis, keepdims=keepdims),
    lambda x, axis, keepdims: x.amax(torch_axis(x, axis), keepdims),
    no_axis("max"),
    nothing("max"),
)
describe(
    "logsumexp",
    reduction(keepdims=keep),
    lambda x, axis, keepdims: scipy.special.logsumexp(x, axis=all_axes(x, axis), keepdims=keepdims),
    lambda x, axis, keepdims: x.logsumexp(torch_axis(x, axis), keepdims),
    no_axis("logsumexp"),
    nothing("logsumexp"),
)
describe(
    "log_softmax",
    reduction(one_axis=True),
    lambda x, axis: scipy.special.log_softmax(x, axis=axis),
    lambda x, axis: x.log_softmax(axis),
    no_axis("log_softmax"),
    nothing("log_softmax"),
)


@st.composite
def normalizations(draw):
    """Axes that hold several values, or the deviation is zero and the result all noise."""
    call = draw(reduction(min_side=2))
    axis = call.params["axis"]
    eps = draw(st.sampled_from([1e-5, 0.1]))
    (x,) = call.arrays
    away = np.abs(normalized(x, axis, eps, False)).min(initial=1) > 1e-3  # from relu's kink
    relu = bool(away and draw(st.booleans()))
    return Call(call.arrays, {"axis": axis, "eps": eps, "relu": relu})


def normalized(x, axis, eps, relu):
    deviation = np.sqrt(np.var(x, axis=axis, keepdims=True) + eps)
    y = (x - np.mean(x, axis=axis, keepdims=True)) / deviation
    return np.where(y < 0, 0, y) if relu else y


describe(
    "normalize",
    normalizations(),
    normalized,
    lambda x, axis, eps, relu: (
        (x - x.mean(torch_axis(x, axis), True))
        / (x.var(torch_axis(x, axis), correction=0, keepdim=True) + eps).sqrt()
    ).clamp(min=0 if relu else float("-inf")),
    no_axis("normalize"),
    Bad(Call((ones((2, 0)),), {"axis": 1}), ShapeError, ["normalize", "(2, 0)"]),
    float32=1e-4,
)


@st.composite
def normalize_grads(draw):
    shape = draw(shapes(1, 3, min_side=2))
    grad, x = spaced(draw(seeds), shape, shape)
    axis = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    eps = draw(st.sampled_from([1e-5, 0.1]))
    away = np.abs(normalized(x, axis, eps, False)).min() > 1e-3
    relu = bool(away and draw(st.booleans()))
    return Call((grad, x), {"axis": axis, "eps": eps, "relu": relu})


def normalize_grad_by_complex_step(grad, x, axis, eps, relu):
    """<d normalized / d x_k, grad> as Im f(x + ih) / h, which no cancellation spoils.

    Squire & Trapp 1998, "Using complex variables to estimate derivatives of real functions".
    """
    result = np.zeros_like(x)
    for k in np.ndindex(x.shape):
        z = x.astype(complex)
        z[k] += 1e-30j
        centred = z - np.mean(z, axis=axis, keepdims=True)
        y = centred / np.sqrt(np.mean(centred * centred, axis=axis, keepdims=True) + eps)
        passes = y.real > 0 if relu else True
        result[k] = np.sum(grad * y.imag * passes) / 1e-30
    return result


describe(
    "normalize_grad",
    normalize_grads(),
    normalize_grad_by_complex_step,
    "PyTorch's is not public",
    Bad(Call((ones(2),)), ArgumentError, ["normalize_grad", "'x'", "missing"]),
    Bad(Call((ones(2), ones(3)), {"axis": 0}), ShapeError, ["normalize_grad", "(2,)", "(3,)"]),
    Bad(Call((ones((2, 0)), ones((2, 0))), {"axis": 1}), ShapeError, ["normalize_grad", "(2, 0)"]),
    float32=1e-4,
)
