"""Entries for minigan/ops/matrix.py."""

import numpy as np
from hypothesis import strategies as st

from minigan.core.errors import ShapeError

from .draws import Call, broadcastable, seeds, shapes, spaced
from .entry import Bad, describe

ones = np.ones
side = st.integers(1, 4)


@st.composite
def products(draw):
    m, k, n = draw(side), draw(side), draw(side)
    left, right = draw(broadcastable(2))
    return Call(tuple(spaced(draw(seeds), (*left[-2:], m, k), (*right[-2:], k, n))))


describe(
    "matrix_product",
    products(),
    lambda a, b: np.einsum("...mk,...kn->...mn", a, b),
    lambda a, b: a @ b,
    Bad(
        Call((ones((2, 3)), ones((4, 5)))),
        ShapeError,
        ["matrix_product", "(4, 5)", "(2, 3)", "3 rows"],
    ),
    Bad(Call((ones(3), ones((3, 2)))), ShapeError, ["matrix_product", "a has shape (3,)"]),
    Bad(Call((ones((2, 2, 2)), ones((3, 2, 2)))), ShapeError, ["matrix_product", "(3, 2, 2)"]),
)


@st.composite
def linears(draw):
    i, o = draw(side), draw(side)
    x, w, b = spaced(draw(seeds), (*draw(shapes(1, 3, max_side=3)), i), (o, i), (o,))
    return Call((x, w, b) if draw(st.booleans()) else (x, w))


describe(
    "linear",
    linears(),
    lambda x, weight, bias=0: np.einsum("...i,oi->...o", x, weight) + bias,
    lambda x, weight, bias=None: __import__("torch").nn.functional.linear(x, weight, bias),
    Bad(
        Call((ones((2, 3)), ones((4, 5)))), ShapeError, ["linear", "x has shape (2, 3)", "(..., 5)"]
    ),
    Bad(Call((ones((2, 5)), ones(5))), ShapeError, ["linear", "weight", "(5,)", "(out, in)"]),
    Bad(
        Call((ones((2, 5)), ones((4, 5)), ones(5))), ShapeError, ["linear", "bias", "(5,)", "(4,)"]
    ),
)


@st.composite
def matrices(draw):
    return Call(tuple(spaced(draw(seeds), (*draw(shapes(0, 2)), draw(side), draw(side)))))


describe(
    "matrix_transpose",
    matrices(),
    lambda x: np.einsum("...mn->...nm", x),
    lambda x: x.mT,
    Bad(Call((ones(3),)), ShapeError, ["matrix_transpose", "(3,)", "two axes"]),
)
