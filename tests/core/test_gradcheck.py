"""gradcheck and gradgradcheck catch what they are for."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, GradientMismatchError
from minigan.core.op import REGISTRY, op
from minigan.core.tensor import Tensor


@pytest.fixture(autouse=True)
def _declarations_are_taken_back():
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def leaf(*values: float) -> Tensor:
    return mg.tensor(values, requires_grad=True, dtype=mg.float64)


def square_with(vjp):
    """x^2 with the given vjp in x."""

    @op
    def square(x):
        return x * x

    square.vjps(x=vjp)
    return square


X = (0.5, -1.3, 2.0)


def test_right_derivatives_pass():
    square = square_with(lambda g, x: 2.0 * g * x)
    assert mg.gradcheck(square, [leaf(*X)])
    assert mg.gradgradcheck(square, [leaf(*X)])


@pytest.mark.parametrize(
    "vjp",
    [
        lambda g, x: g * x,  # a factor is missing
        lambda g, x: -2.0 * g * x,
        lambda g, x: 2.0 * x,  # forgets what flows in
        lambda g, x: 2.0 * g * x + 1e-4,
        lambda g, x: 2.0 * g * x * (x > 0),  # wrong in some elements
        lambda g, x: (2.0 * g * x).flip(0),
        lambda g: g * float("nan"),
        None,  # no derivative at all
    ],
)
def test_a_wrong_first_derivative_is_caught(vjp):
    with pytest.raises(GradientMismatchError):
        mg.gradcheck(square_with(vjp), [leaf(*X)])


@pytest.mark.parametrize(
    "vjp",
    [
        lambda g, x: 2.0 * g * x.detach(),  # right in first order, a constant in second
        lambda g, x: 2.0 * g.detach() * x,
        lambda g, x: g * (x + x.detach()),
    ],
)
def test_a_wrong_second_derivative_is_caught_although_the_first_is_right(vjp):
    square = square_with(vjp)
    assert mg.gradcheck(square, [leaf(*X)])
    with pytest.raises(GradientMismatchError):
        mg.gradgradcheck(square, [leaf(*X)])


def test_the_message_names_the_input_and_the_element_that_differ_most():
    def function(x, y):
        wrong = y.detach() * mg.tensor([0, 1.0, 0], dtype=mg.float64)
        return x * y + wrong * wrong

    with pytest.raises(
        GradientMismatchError, match=r"input 1, element \(1,\): the engine gives .*difference"
    ):
        mg.gradcheck(function, [leaf(*X), leaf(*X)])


def test_a_dependence_that_the_graph_misses_is_caught():
    with pytest.raises(GradientMismatchError):
        mg.gradcheck(lambda x: x.detach() * 2, [leaf(*X)])


def test_several_outputs_and_constant_inputs_are_allowed():
    scale = mg.tensor([2.0, 3.0, 4.0])  # float32, but not varied
    function = lambda x, s, y: [x * y, (x * s).sum(), y]  # noqa: E731
    assert mg.gradcheck(function, [leaf(*X), scale, leaf(1, 2, 3)])
    assert mg.gradgradcheck(function, [leaf(*X), scale, leaf(1, 2, 3)])


def test_outputs_that_depend_on_no_input_are_allowed():
    assert mg.gradcheck(lambda x: mg.tensor([1.0]), [leaf(*X)])
    assert mg.gradgradcheck(lambda x: mg.tensor([1.0]), [leaf(*X)])


def test_inputs_without_elements_or_axes_are_allowed():
    assert mg.gradcheck(mg.exp, [leaf()])
    assert mg.gradcheck(mg.exp, [mg.tensor(0.5, requires_grad=True, dtype=mg.float64)])


def test_the_inputs_and_their_grads_are_left_alone():
    x = leaf(*X)
    mg.gradgradcheck(lambda x: x.exp() * x, [x])
    assert x.tolist() == list(X)
    assert x.grad is None


def test_a_penalty_on_a_gradient_can_be_checked():
    def penalty(x, w):
        (g,) = mg.grad((x @ w).tanh().sum(), [x], create_graph=True)
        return (g * g).sum()

    rng = np.random.default_rng(0)
    x, w = (
        mg.tensor(rng.uniform(-1, 1, shape), requires_grad=True, dtype=mg.float64)
        for shape in ((2, 3), (3, 2))
    )
    assert mg.gradcheck(penalty, [x, w])
    assert mg.gradgradcheck(penalty, [x, w])


@pytest.mark.parametrize("check", [mg.gradcheck, mg.gradgradcheck], ids=["first", "second"])
def test_what_cannot_be_checked_is_refused(check):
    with pytest.raises(ArgumentError, match=f"{check.__name__}: no input requires a gradient"):
        check(mg.exp, [mg.tensor([1.0], dtype=mg.float64)])
    with pytest.raises(ArgumentError, match=rf"{check.__name__}: input 1 .*float32.*needs float64"):
        check(mg.mul, [leaf(1), mg.tensor([1.0], requires_grad=True)])


def test_one_tensor_may_stand_alone():
    x = mg.tensor([0.3, 1.0], requires_grad=True, dtype=np.float64)
    assert mg.gradcheck(mg.sin, x)
    assert mg.gradgradcheck(mg.sin, x)
