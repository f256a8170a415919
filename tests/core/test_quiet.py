"""Infinity and NaN come as results, without NumPy's warnings (which are errors in these tests)."""

from __future__ import annotations

import math
import threading
import warnings

import numpy as np
import pytest

import minigan as mg
from minigan.core.parallel import workers
from minigan.core.quiet import quietly
from minigan.core.tensor import Tensor

INF, NAN = math.inf, math.nan


def leaf(*values: float, dtype="float32") -> Tensor:
    return mg.tensor(values, requires_grad=True, dtype=dtype)


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        (lambda: mg.tensor(1.0) / 0, INF),
        (lambda: mg.tensor(0.0) / 0, NAN),
        (lambda: mg.exp(1000.0), INF),
        (lambda: mg.tensor(100).exp(), INF),  # of integers, in float64 first
        (lambda: mg.log(0.0), -INF),
        (lambda: mg.log(-1.0), NAN),
        (lambda: mg.sqrt(-1.0), NAN),
        (lambda: mg.sin(INF), NAN),
        (lambda: mg.tensor(0.0) ** -1, INF),
        (lambda: mg.tensor(1e30) * 1e30, INF),
        (lambda: mg.tensor(1.0) * 1e300, INF),
        (lambda: mg.tensor(INF) - INF, NAN),
        (lambda: mg.tensor([INF, -INF]).sum(), NAN),
        (lambda: mg.tensor([NAN, 1.0] * 50).max(), NAN),
        (lambda: mg.tensor([INF, 1.0]).var(), NAN),
        (lambda: mg.tensor([INF, 1.0]) @ mg.tensor([0.0, 1.0]), NAN),
        (lambda: mg.tensor(1e300), INF),
        (lambda: mg.tensor(1e300, dtype="float64").to("float32"), INF),
        (lambda: mg.tensor(1.0).copy_(1e300), INF),
        (lambda: mg.tensor(1.0).copy_(mg.tensor(1e300, dtype="float64")), INF),
    ],
)
def test_what_is_not_finite_comes_without_a_warning(compute, expected):
    np.testing.assert_equal(compute().item(), expected)


def test_backward_passes_are_quiet_too():
    x = leaf(0.0)
    x.log().backward()
    assert x.grad.item() == INF
    y = leaf(1.0)
    sum(y * 1.5e38 for _ in range(3)).backward()  # the third contribution is added in place
    assert y.grad.item() == INF


def test_optimisers_are_quiet_too():
    for name in ("SGD", "Momentum", "RMSprop", "Adam"):
        w = leaf(1.0, 2.0, 3.0)
        w.grad = mg.tensor([INF, NAN, 1e30])
        optimizer = getattr(mg.optim, name)([w])
        for _ in range(2):
            optimizer.step()
        assert not math.isfinite(w.tolist()[1])


def test_sums_over_shards_are_quiet_too():
    w = leaf(1.0)
    with workers(2) as pool:
        batch = np.array([[INF], [-INF]], np.float32)
        pool.gradients(lambda x: ((w * mg.tensor(x)).sum(), {}), [w], [batch])
    assert math.isnan(w.grad.item())


def test_batch_norm_s_statistics_are_quiet_too():
    mean, var = mg.tensor([INF]), mg.tensor([1.0])
    mg.batch_norm(mg.tensor([[[[-INF, 1.0]]]]), mean, var, training=True)
    assert math.isnan(mean.item())


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (lambda x: x * INF, 1.0),  # differences of infinities
        (lambda x: x * 1.7e308 + x * 1.7e308 + x * 1.7e308, 0.0),  # an infinite difference
    ],
)
def test_gradcheck_fails_at_infinity_without_a_warning(function, at):
    with pytest.raises(mg.GradientMismatchError, match="the engine gives"):
        mg.gradcheck(function, leaf(at, dtype="float64"))


def test_the_caller_s_own_numpy_code_warns_as_before():
    mg.exp(1000.0)
    one = np.ones(1)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        one / 0
    with np.errstate(divide="raise"):
        assert mg.tensor(1.0).log().item() == 0
        assert (mg.tensor(1.0) / 0).item() == INF
        with pytest.raises(FloatingPointError):
            one / 0


def test_it_works_within_itself_and_on_several_threads_at_once():
    one, zero = np.ones(1), np.zeros(1)
    assert quietly(quietly, np.divide, one, zero).item() == INF
    together = threading.Barrier(2)
    found = []

    def compute():
        quietly(together.wait, timeout=10)
        found.append(quietly(np.divide, one, zero).item())

    threads = [threading.Thread(target=compute) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [INF, INF]
