"""What a call gets that a function does not take."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan.core.calls import says_what_it_takes
from minigan.core.errors import ArgumentError

X = mg.tensor([[1.0, 2.0]])
IMAGE = mg.tensor(np.ones((1, 1, 4, 4)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mg.max_pool2d(IMAGE, 2),
            "max_pool2d: got 2 arguments by position; "
            "it takes x, and kernel_size, stride, padding by name",
        ),
        (
            lambda: mg.avg_pool2d(IMAGE, 2, 1),
            "avg_pool2d: got 3 arguments by position; "
            "it takes x, and kernel_size, stride, padding by name",
        ),
        (
            lambda: mg.softmax(X, 1),
            "softmax: got 2 arguments by position; it takes x, and axis by name",
        ),
        (
            lambda: mg.instance_norm(IMAGE, None, None, 1e-5),
            "instance_norm: got 4 arguments by position; it takes x, weight, bias, and eps, relu by name",
        ),
        (lambda: mg.relu(X, 2), "relu: got 2 arguments by position; it takes x"),
        (lambda: X.exp(2), "exp: got 1 argument by position; it takes none"),
        (
            lambda: X.sum(0, True, 1),
            "sum: got 3 arguments by position; it takes axis, keepdims",
        ),
    ],
)
def test_too_many_arguments_by_position_are_told_what_goes_by_name(call, message):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mg.sum(X, dim=0),
            "sum: no parameter 'dim', which is 'axis' here; its parameters: axis, keepdims",
        ),
        (
            lambda: X.sum(axis=0, keepdim=True),
            "sum: no parameter 'keepdim', which is 'keepdims' here; its parameters: axis, keepdims",
        ),
        (
            lambda: X.var(dim=0),
            "var: no parameter 'dim', which is 'axis' here; "
            "its parameters: axis, correction, keepdims",
        ),
        (
            lambda: mg.softmax(X, dim=1),
            "softmax: no parameter 'dim', which is 'axis' here; its parameters: axis",
        ),
        (
            lambda: mg.stack([X, X], dim=1),
            "stack: no parameter 'dim', which is 'axis' here; its parameters: axis",
        ),
        (
            lambda: X.flip(dims=1),
            "flip: no parameter 'dims', which is 'axis' here; its parameters: axis",
        ),
        (
            lambda: mg.transpose(X, dims=(1, 0)),
            "transpose: no parameter 'dims', which is 'axes' here; its parameters: axes",
        ),
        (
            lambda: X.flatten(start_dim=1),
            "flatten: no parameter 'start_dim', which is 'start_axis' here; "
            "its parameters: start_axis, end_axis",
        ),
        (lambda: mg.exp(X, dim=0), "exp: no parameter 'dim'; its parameters: none"),
        (lambda: X.exp(out=X), "exp: no parameter 'out'; its parameters: none"),
        (lambda: mg.softmax(X, x=X), "softmax: no parameter 'x'; its parameters: axis"),
        (lambda: mg.rand(2, dtype="f"), "rand: no parameter 'dtype'; its parameters: generator"),
        (
            lambda: mg.concatenate([X], dim=0),
            "concatenate: no parameter 'dim', which is 'axis' here; its parameters: axis",
        ),
    ],
)
def test_an_unknown_name_is_told_the_name_that_the_function_has(call, message):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mg.softmax(), "softmax: argument 'x' is missing"),
        (lambda: mg.conv2d(IMAGE), "conv2d: argument 'weight' is missing"),
        (lambda: mg.conv2d(weight=IMAGE), "conv2d: argument 'x' is missing"),
        (
            lambda: mg.max_pool2d(x=IMAGE, stride=2),
            "max_pool2d: parameter 'kernel_size' is missing",
        ),
        (lambda: X.broadcast_to(), "broadcast_to: argument 'shape' is missing"),
    ],
)
def test_a_missing_argument_is_named(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()


def test_a_type_error_from_within_a_good_call_stays_as_it_is():
    @says_what_it_takes
    def add(a, b):
        """Sum a + b."""
        return a + b

    assert (add(1, b=2), add.__name__, add.__doc__) == (3, "add", "Sum a + b.")
    with pytest.raises(TypeError, match="unsupported operand"):
        add(1, "2")
