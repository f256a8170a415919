"""Elementwise operations. Arguments broadcast as in NumPy; the engine sums gradients back.

Conventions at kinks and ties, asserted by tests: relu'(0) = 0, abs'(0) = 0, maximum and minimum share
a tie evenly, clip passes the gradient at its bounds, and NaN goes through relu.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.core.op import op
from minigan.core.tensor import Array, Tensor, as_dtype
from minigan.devices.cpu import rectify
from minigan.devices.cpu.select import kept_where, one_or
from minigan.ops.checks import number

elementwise = op(broadcasts=True)
real_function = op(broadcasts=True, floating=True)  # of integers as of real numbers
bilinear = op(broadcasts=True, linear=True)  # linear in each argument taken alone
indicator = op(broadcasts=True, differentiable=False)  # piecewise constant

# ---------------------------------------------------------------------- arithmetic


@elementwise
def add(a: Array, b: Array) -> Array:
    """Sum a + b."""
    return np.add(a, b)


add.vjps(
    a=lambda g: g,
    b=lambda g: g,
)


@elementwise
def sub(a: Array, b: Array) -> Array:
    """Difference a - b."""
    return np.subtract(a, b)


sub.vjps(
    a=lambda g: g,
    b=lambda g: -g,
)


@bilinear
def mul(a: Array, b: Array) -> Array:
    """Product a b."""
    return np.multiply(a, b)


mul.vjps(
    a=lambda g, b: g * b,
    b=lambda g, a: g * a,
)


@elementwise
def div(a: Array, b: Array) -> Array:
    """Quotient a / b."""
    return np.divide(a, b)


div.vjps(
    a=lambda g, b: g / b,
    b=lambda g, out, b: -g * out / b,
)


@op(broadcasts=True, linear=True)
def neg(x: Array) -> Array:
    """Negative -x."""
    return np.negative(x)


neg.vjps(x=lambda g: -g)


@elementwise
def pow(a: Array, b: Array) -> Array:
    """Power a ** b. Its derivative is taken as 0 in `a` where b = 0, and in `b` where a = 0."""
    return np.power(a, b)


def _power_slope(a: Tensor, b: Tensor | float) -> Tensor | float:
    """d(a ** b)/da = b a ** (b - 1), without 0 * inf where b = 0."""
    if isinstance(b, Tensor):
        return where(eq(b, 0), 0.0, b) * pow(a, where(eq(b, 0), 1.0, b - 1.0))
    return b * pow(a, b - 1) if b != 0 else 0.0


pow.vjps(
    a=lambda g, a, b: g * _power_slope(a, b),
    b=lambda g, a, out: where(eq(a, 0), 0.0, g * out * log(where(eq(a, 0), 1.0, a))),
)

# ---------------------------------------------------------------------- functions


@real_function
def exp(x: Array) -> Array:
    """Exponential e ** x."""
    return np.exp(x)


exp.vjps(x=lambda g, out: g * out)


@real_function
def log(x: Array) -> Array:
    """Natural logarithm; -inf at 0 and NaN below it."""
    return np.log(x)


log.vjps(x=lambda g, x: g / x)


@real_function
def sqrt(x: Array) -> Array:
    """Square root; its derivative is infinite at 0 (add an eps under it where 0 can occur)."""
    return np.sqrt(x)


sqrt.vjps(x=lambda g, out: 0.5 * g / out)


@real_function
def sin(x: Array) -> Array:
    """Sine of x in radians."""
    return np.sin(x)


sin.vjps(x=lambda g, x: g * cos(x))


@real_function
def cos(x: Array) -> Array:
    """Cosine of x in radians."""
    return np.cos(x)


cos.vjps(x=lambda g, x: -g * sin(x))


@elementwise
def abs(x: Array) -> Array:
    """Absolute value; its derivative at 0 is 0."""
    return np.abs(x)


abs.vjps(x=lambda g, x: g * sign(x))

# ---------------------------------------------------------------------- activations


@elementwise
def relu(x: Array) -> Array:
    """Rectifier max(0, x); its derivative at 0 is 0, and NaN stays NaN."""
    return rectify.relu(x)


relu.vjps(x=lambda g, out: relu_grad(g, out))


@elementwise
def relu_grad(grad: Array, y: Array) -> Array:
    """relu's vjp: `grad` where the result `y` is not 0."""
    return kept_where(~np.less_equal(y, 0), grad)  # so that a NaN in y lets the gradient through


relu_grad.vjps(
    grad=lambda g, y: relu_grad(g, y),
    y=None,
)


@elementwise
def leaky_relu(x: Array, *, negative_slope: float = 0.01) -> Array:
    """x where x > 0, negative_slope * x elsewhere."""
    if 0 < negative_slope <= 1:
        return np.maximum(x, x * negative_slope)  # the same, in half of the passes
    return x * one_or(negative_slope, x > 0, x.dtype)  # 0 times infinity, say, would be NaN above


leaky_relu.vjps(
    x=lambda g, x, negative_slope: leaky_relu_grad(g, x, negative_slope=negative_slope),
)


@elementwise
def leaky_relu_grad(grad: Array, x: Array, *, negative_slope: float) -> Array:
    """leaky_relu's vjp: `grad` where x > 0, negative_slope * grad elsewhere."""
    return grad * one_or(negative_slope, x > 0, x.dtype)


leaky_relu_grad.vjps(
    grad=lambda g, x, negative_slope: leaky_relu_grad(g, x, negative_slope=negative_slope),
    x=None,
)


@leaky_relu.check
def _(x: Array, negative_slope: float) -> dict[str, Any]:
    return {"negative_slope": number("leaky_relu", "negative_slope", negative_slope)}


@real_function
def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), accurate relative to its value on both sides."""
    return 1 / (
        1 + np.exp(-x)
    )  # where exp overflows, the result is too small for a normal number: 0


sigmoid.vjps(x=lambda g, out: sigmoid_grad(g, out))


@elementwise
def sigmoid_grad(grad: Array, y: Array) -> Array:
    """sigmoid's vjp: grad y (1 - y), from the result y."""
    return grad * y * (1 - y)


sigmoid_grad.vjps(
    grad=lambda g, y: sigmoid_grad(g, y),
    y=lambda g, grad, y: g * grad * (1.0 - 2.0 * y),
)


@real_function
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)


tanh.vjps(x=lambda g, out: tanh_grad(g, out))


@elementwise
def tanh_grad(grad: Array, y: Array) -> Array:
    """tanh's vjp: grad (1 - y^2), from the result y."""
    return grad * (1 - y * y)


tanh_grad.vjps(
    grad=lambda g, y: tanh_grad(g, y),
    y=lambda g, grad, y: -2.0 * g * grad * y,
)


@real_function
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)) so that nothing overflows."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


softplus.vjps(x=lambda g, x: g * sigmoid(x))

# ---------------------------------------------------------------------- choosing


@elementwise
def where(condition: Array, a: Array, b: Array) -> Array:
    """`a` where `condition` is true, `b` elsewhere."""
    return np.where(condition, a, b)


where.vjps(
    condition=None,
    a=lambda g, condition: where(condition, g, 0.0),
    b=lambda g, condition: where(condition, 0.0, g),
)


@elementwise
def maximum(a: Array, b: Array) -> Array:
    """The larger of a and b; a tie's gradient is shared evenly."""
    return np.maximum(a, b)


maximum.vjps(
    a=lambda g, a, b: g * share_of_larger(a, b),
    b=lambda g, a, b: g * share_of_larger(b, a),
)


@elementwise
def minimum(a: Array, b: Array) -> Array:
    """The smaller of a and b; a tie's gradient is shared evenly."""
    return np.minimum(a, b)


minimum.vjps(
    a=lambda g, a, b: g * share_of_larger(b, a),
    b=lambda g, a, b: g * share_of_larger(a, b),
)


@elementwise
def clip(x: Array, *, min: float | None = None, max: float | None = None) -> Array:
    """x limited to [min, max]; the gradient passes where min <= x <= max."""
    return np.clip(x, min, max)


@clip.check
def _(x: Array, min: float | None, max: float | None) -> dict[str, Any]:
    bounds = {"min": min, "max": max}
    return {name: b if b is None else number("clip", name, b) for name, b in bounds.items()}


clip.vjps(x=lambda g, x, min, max: where(is_within(x, min=min, max=max), g, 0.0))

# ---------------------------------------------------------------------- without a derivative


@indicator
def sign(x: Array) -> Array:
    """-1, 0 or 1."""
    return np.sign(x)


@indicator
def share_of_larger(a: Array, b: Array) -> Array:
    """1 where a > b, 1/2 where a = b, 0 where a < b: the part of max(a, b)'s gradient that is a's."""
    dtype = np.result_type(a, b)
    return np.where(np.equal(a, b), 0.5, np.greater(a, b)).astype(dtype)


@indicator
def is_within(x: Array, *, min: float | None, max: float | None) -> Array:
    """Whether min <= x <= max, where None sets no bound."""
    low = -np.inf if min is None else min
    high = np.inf if max is None else max
    return np.logical_and(np.greater_equal(x, low), np.less_equal(x, high))


@indicator
def eq(a: Array, b: Array) -> Array:
    """Whether a = b."""
    return np.equal(a, b)


@indicator
def ne(a: Array, b: Array) -> Array:
    """Whether a differs from b."""
    return np.not_equal(a, b)


@indicator
def lt(a: Array, b: Array) -> Array:
    """Whether a < b."""
    return np.less(a, b)


@indicator
def le(a: Array, b: Array) -> Array:
    """Whether a <= b."""
    return np.less_equal(a, b)


@indicator
def gt(a: Array, b: Array) -> Array:
    """Whether a > b."""
    return np.greater(a, b)


@indicator
def ge(a: Array, b: Array) -> Array:
    """Whether a >= b."""
    return np.greater_equal(a, b)


# ---------------------------------------------------------------------- type


@op(linear=True)
def cast(x: Array, *, dtype: np.dtype) -> Array:
    """x in another dtype; the engine brings the gradient back to x's own."""
    return x.astype(dtype)


cast.vjps(x=lambda g: g)


@cast.check
def _(x: Array, dtype: Any) -> dict[str, Any]:
    return {"dtype": as_dtype("cast", dtype)}


@op(view=True, linear=True)
def alias(x: Array) -> Array:
    """x itself, as a new node of the graph."""
    return x


alias.vjps(x=lambda g: g)
