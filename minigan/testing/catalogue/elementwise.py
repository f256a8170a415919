"""Entries for minigan/ops/elementwise.py."""

import numpy as np
import scipy.special
from hypothesis import strategies as st

from minigan.core.errors import ArgumentError, ShapeError

from .draws import Call, elementwise, seeds, shapes
from .entry import Bad, describe

ones = np.ones


def mismatch(name: str, first: str = "a", second: str = "b") -> Bad:
    words = [name, f"{first} has shape (2, 3)", f"{second} has shape (4,)", "broadcast"]
    return Bad(Call((ones((2, 3)), ones(4))), ShapeError, words)


def too_many(name: str) -> Bad:
    return Bad(Call((ones(2), ones(2), ones(2))), ArgumentError, [name, "got 3"])


def unknown_parameter(name: str, arguments: int = 1) -> Bad:
    return Bad(Call((ones(2),) * arguments, {"dim": 0}), ArgumentError, [name, "'dim'"])


two = elementwise(2)
describe("add", two, lambda a, b: b + a, lambda a, b: a + b, mismatch("add"))
describe("sub", two, lambda a, b: -(b - a), lambda a, b: a - b, mismatch("sub"))
describe("mul", two, lambda a, b: b * a, lambda a, b: a * b, mismatch("mul"))
describe(
    "div", elementwise(2, low=0.5), lambda a, b: a * b**-1.0, lambda a, b: a / b, mismatch("div")
)
describe("neg", elementwise(), lambda x: 0 - x, lambda x: -x, too_many("neg"))
describe(
    "pow",
    elementwise(2, low=0.5, high=2.5),
    lambda a, b: np.exp(b * np.log(a)),
    lambda a, b: a**b,
    mismatch("pow"),
)

describe("exp", elementwise(), lambda x: np.expm1(x) + 1, lambda x: x.exp(), too_many("exp"))
describe(
    "log",
    elementwise(low=0.3),
    lambda x: np.log2(x) * np.log(2),
    lambda x: x.log(),
    too_many("log"),
)
describe("sqrt", elementwise(low=0.3), lambda x: x**0.5, lambda x: x.sqrt(), too_many("sqrt"))
describe(
    "sin", elementwise(), lambda x: np.imag(np.exp(1j * x)), lambda x: x.sin(), too_many("sin")
)
describe(
    "cos", elementwise(), lambda x: np.real(np.exp(1j * x)), lambda x: x.cos(), too_many("cos")
)
describe("abs", elementwise(), lambda x: np.sqrt(x * x), lambda x: x.abs(), too_many("abs"))

describe("relu", elementwise(), lambda x: (x + np.abs(x)) / 2, lambda x: x.relu(), too_many("relu"))
describe(
    "relu_grad",
    elementwise(2),
    lambda grad, y: grad * np.heaviside(y, 0),
    lambda grad, y: grad * (y > 0),
    mismatch("relu_grad", "grad", "y"),
)
slope = st.sampled_from([0.01, 0.2, 0.7])
describe(
    "leaky_relu",
    elementwise(negative_slope=slope),
    lambda x, negative_slope: np.maximum(x, 0) + negative_slope * np.minimum(x, 0),
    lambda x, negative_slope: __import__("torch").nn.functional.leaky_relu(x, negative_slope),
    unknown_parameter("leaky_relu"),
)
describe(
    "leaky_relu_grad",
    elementwise(2, negative_slope=slope),
    lambda grad, x, negative_slope: grad * np.array([negative_slope, 1])[(x > 0).astype(int)],
    "PyTorch's is not public",
    Bad(Call((ones(2), ones(2))), ArgumentError, ["leaky_relu_grad", "negative_slope", "missing"]),
)
describe("sigmoid", elementwise(), scipy.special.expit, lambda x: x.sigmoid(), too_many("sigmoid"))
describe(
    "sigmoid_grad",
    two,
    lambda grad, y: grad * (y - y * y),
    lambda grad, y: grad * y * (1 - y),
    mismatch("sigmoid_grad", "grad", "y"),
)
describe(
    "tanh",
    elementwise(),
    lambda x: 2 * scipy.special.expit(2 * x) - 1,
    lambda x: x.tanh(),
    too_many("tanh"),
)
describe(
    "tanh_grad",
    two,
    lambda grad, y: grad - grad * y**2,
    lambda grad, y: grad * (1 - y * y),
    mismatch("tanh_grad", "grad", "y"),
)
describe(
    "softplus",
    elementwise(),
    lambda x: np.logaddexp(0, x),
    lambda x: __import__("torch").nn.functional.softplus(x),
    too_many("softplus"),
)


@st.composite
def choices(draw):
    call = draw(elementwise(3))
    condition = np.random.default_rng(draw(seeds)).integers(0, 2, call.arrays[0].shape) == 1
    return Call((condition, *call.arrays[1:]))


describe(
    "where",
    choices(),
    lambda condition, a, b: condition * a + ~condition * b,
    lambda condition, a, b: __import__("torch").where(condition, a, b),
    Bad(Call((ones(2, bool), ones(3), ones(3))), ShapeError, ["where", "condition has shape (2,)"]),
)
describe(
    "maximum",
    two,
    lambda a, b: (a + b + np.abs(a - b)) / 2,
    lambda a, b: a.maximum(b),
    mismatch("maximum"),
)
describe(
    "minimum",
    two,
    lambda a, b: (a + b - np.abs(a - b)) / 2,
    lambda a, b: a.minimum(b),
    mismatch("minimum"),
)
describe(
    "clip",
    elementwise(min=st.sampled_from([None, -1.1, -0.1]), max=st.sampled_from([None, 0.1, 1.1])),
    lambda x, min, max: np.minimum(
        np.maximum(x, -9 if min is None else min), 9 if max is None else max
    ),
    lambda x, min, max: x if min is max is None else x.clamp(min, max),
    Bad(Call((ones(2),), {"min": "low"}), ArgumentError, ["clip", "min", "'low'", "number"]),
)


@st.composite
def ties(draw):
    """Pairs of arguments from a few values, so that equal ones are common."""
    shape = draw(shapes(0, 3))
    values = np.random.default_rng(draw(seeds)).integers(-1, 2, (2, *shape)).astype(float)
    return Call((values[0], values[1]))


describe("sign", elementwise(), lambda x: x / np.abs(x), lambda x: x.sign(), too_many("sign"))
describe(
    "share_of_larger",
    ties(),
    lambda a, b: np.heaviside(a - b, 0.5),
    "PyTorch has no such function",
    mismatch("share_of_larger"),
)
describe(
    "is_within",
    elementwise(min=st.sampled_from([None, -0.5]), max=st.sampled_from([None, 0.5])),
    lambda x, min, max: np.clip(x, min, max) == x,
    "PyTorch has no such function",
    unknown_parameter("is_within"),
)
for name, reference in {
    "eq": lambda a, b: ~((a < b) | (a > b)),
    "ne": lambda a, b: (a < b) | (a > b),
    "lt": lambda a, b: ~(a >= b),
    "le": lambda a, b: ~(a > b),
    "gt": lambda a, b: ~(a <= b),
    "ge": lambda a, b: ~(a < b),
}.items():
    describe(name, ties(), reference, lambda a, b, name=name: getattr(a, name)(b), mismatch(name))

describe(
    "cast",
    elementwise(dtype=np.dtype(np.float64)),
    lambda x, dtype: np.array(x, dtype),
    lambda x, dtype: x.double(),
    Bad(Call((ones(2),)), ArgumentError, ["cast", "dtype", "missing"]),
)
describe("alias", elementwise(), np.copy, lambda x: x.clone(), too_many("alias"))
