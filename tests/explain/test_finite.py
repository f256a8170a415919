"""The finite differences beside a trace: they agree with the gradient, and not with a wrong vjp."""

import numpy as np
import pytest
from small_network import small_loss

import minigan as mg
from minigan import explain, nn
from minigan.explain import finite
from minigan.explain.finite import slopes


def every_slope(trace):
    return [slope for found in slopes(trace).values() for slope in found]


def test_all_of_a_small_network_agrees():
    network, image, target = small_loss()
    trace = explain.trace(lambda: ((network(image) - target) ** 2).mean())
    found = slopes(trace)
    assert len(found) == len(trace.nodes)
    every = [slope for each in found.values() for slope in each]
    assert all(
        slope.agrees or slope.is_kink for slope in every
    )  # kinks where ReLU cut off a window
    assert sum(slope.agrees for slope in every) > 0.9 * len(every) > 70


def test_numbers_are_those_of_calculus():
    x = mg.tensor([0.5, 2.0], requires_grad=True)
    trace = explain.trace(lambda: (x * x * x).sum())
    at_x = slopes(trace)[trace.nodes[0]]
    assert [slope.index for slope in at_x] == [0, 1]
    np.testing.assert_allclose([slope.central for slope in at_x], [0.75, 12], rtol=1e-8)
    np.testing.assert_allclose([slope.engine for slope in at_x], [0.75, 12], rtol=1e-6)


def test_a_wrong_vjp_is_found(monkeypatch):
    x = mg.tensor([0.5, 2.0], requires_grad=True)
    monkeypatch.setitem(mg.sin.rules, "x", mg.cos.rules["x"])  # -g sin x in the place of g cos x
    mg.sin._rules_for.clear()
    trace = explain.trace(lambda: x.sin().sum())
    mg.sin._rules_for.clear()
    at_x = slopes(trace)[trace.nodes[0]]
    assert not any(slope.agrees or slope.is_kink for slope in at_x)


def test_kinks_are_told_from_errors():
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    trace = explain.trace(lambda: x.relu().sum())
    kink, smooth = slopes(trace)[trace.nodes[0]]
    assert (kink.left, kink.right) == (pytest.approx(0), pytest.approx(1))
    assert kink.is_kink
    assert not kink.agrees
    assert smooth.agrees
    assert not smooth.is_kink


def test_norms_dropout_and_a_gradient_penalty_agree():
    mg.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.InstanceNorm2d(3), nn.LeakyReLU(0.2), nn.Dropout(0.3)
    )
    image = mg.rand(2, 1, 6, 6)

    def penalty():
        x = mg.tensor(image, requires_grad=True)
        (g,) = mg.grad((network(x) ** 2).sum(), x, create_graph=True)
        return (((g * g).sum(axis=(1, 2, 3)) + 1e-6).sqrt() - 1).mean()

    trace = explain.trace(penalty)
    found = every_slope(trace)
    assert len(found) > 100
    assert [slope for slope in found if not slope.agrees and not slope.is_kink] == []


def test_large_arrays_are_checked_in_their_largest_and_some_other_entries():
    values = np.zeros(1000, np.float32)
    values[[17, 400]] = 5, -7
    x = mg.tensor(values, requires_grad=True)
    trace = explain.trace(lambda: (x * x).sum())
    chosen = [slope.index for slope in slopes(trace)[trace.nodes[0]]]
    assert {17, 400, 0, 999} <= set(chosen)
    assert len(chosen) <= 8


def test_float64_is_confirmed_more_strictly_than_float32():
    single = mg.tensor(1.0, requires_grad=True)
    double = mg.tensor(1.0, requires_grad=True, dtype=mg.float64)
    allowed = [
        every_slope(explain.trace(lambda x=x: x.exp()))[-1].allowed for x in (single, double)
    ]
    assert allowed[1] < allowed[0] / 100


def test_types_and_devices_of_the_pass_do_not_matter():
    x = mg.tensor([1.0, 3.0], requires_grad=True, dtype=mg.float64)
    trace = explain.trace(lambda: (x.to(mg.float32) * 2.0).exp().sum())
    assert all(slope.agrees for slope in every_slope(trace))


def test_what_was_not_kept_is_not_confirmed():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert slopes(explain.trace((x * 3.0).sum())) == {}


def test_the_budget_ends_the_confirming(monkeypatch):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    monkeypatch.setattr(finite, "_APPLICATIONS", 10)
    trace = explain.trace(lambda: x.exp().sin().cos().sum())
    assert 0 < len(slopes(trace)) < len(trace.nodes)
