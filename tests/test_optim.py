"""Optimisers against torch.optim, step by step; schedules; states that go on bit for bit."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import minigan as mg
from minigan import nn, optim
from minigan.core.errors import ArgumentError, VersionError
from minigan.core.tensor import Tensor

STEPS = 20
SHAPES = [(3, 4), (5,), ()]

# ours, PyTorch's name, settings that both take
CASES = [
    ("SGD", "SGD", {"lr": 0.05}),
    ("Momentum", "SGD", {"lr": 0.05, "momentum": 0.9}),
    ("Momentum", "SGD", {"lr": 0.05, "momentum": 0.0}),
    ("RMSprop", "RMSprop", {}),
    ("RMSprop", "RMSprop", {"lr": 1e-3, "alpha": 0.9, "eps": 1e-3}),
    ("Adam", "Adam", {}),
    ("Adam", "Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-4}),
    ("Adam", "Adam", {"lr": 0.02, "betas": (0.0, 0.99)}),
]
each_case = pytest.mark.parametrize(("ours", "theirs", "settings"), CASES)

SCHEDULES = {
    "none": None,
    "constant": optim.constant(),
    "linear": optim.linear_decay(5, 18),
    "cosine": optim.cosine_decay(15, floor=0.1, warmup=4),
}


def values(shape, seed: int, dtype=np.float64) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def gradient(step: int, index: int, dtype) -> np.ndarray:
    """Gradients of all magnitudes, zero among them."""
    g = values(SHAPES[index], 100 * step + index, dtype) * 10.0 ** (step % 5 - 3)
    return np.asarray(g * (np.abs(g) > 1e-4), dtype)


def parameters(dtype=np.float64) -> list[Tensor]:
    return [nn.parameter(values(shape, i, dtype)) for i, shape in enumerate(SHAPES)]


def take_steps(optimizer, params, first: int, last: int) -> None:
    for step in range(first, last):
        for i, p in enumerate(params):
            p.grad = Tensor(gradient(step, i, p.dtype))
        optimizer.step()


@each_case
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 3e-6)])
def test_twenty_steps_are_those_of_pytorch(ours, theirs, settings, schedule, dtype, tolerance):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    mine = parameters(dtype)
    others = [torch.tensor(p.numpy().copy(), requires_grad=True) for p in mine]
    a = getattr(optim, ours)(mine, **settings)
    b = getattr(torch.optim, theirs)(others, **settings)
    factor = SCHEDULES[schedule]
    if factor is not None:
        a, following = optim.Scheduled(a, factor), torch.optim.lr_scheduler.LambdaLR(b, factor)
    for step in range(STEPS):
        for i, (p, q) in enumerate(zip(mine, others, strict=True)):
            g = gradient(step, i, dtype)
            p.grad, q.grad = Tensor(g), torch.tensor(g)
        a.step()
        b.step()
        if factor is not None:
            following.step()
        for p, q in zip(mine, others, strict=True):
            expected = q.detach().numpy()
            assert p.dtype == expected.dtype
            np.testing.assert_allclose(p.numpy(), expected, rtol=tolerance, atol=tolerance)


@each_case
def test_a_parameter_without_a_gradient_rests_as_in_pytorch(ours, theirs, settings):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    mine = parameters()
    others = [torch.tensor(p.numpy().copy(), requires_grad=True) for p in mine]
    a = getattr(optim, ours)(mine, **settings)
    b = getattr(torch.optim, theirs)(others, **settings)
    for step in range(8):
        for i, (p, q) in enumerate(zip(mine, others, strict=True)):
            g = gradient(step, i, np.float64)
            rests = step < 4 if i == 0 else step % 2 == 1 if i == 1 else False
            p.grad, q.grad = (None, None) if rests else (Tensor(g), torch.tensor(g))
        a.step()
        b.step()
        for p, q in zip(mine, others, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["SGD", "Momentum", "RMSprop", "Adam"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_goes_on_bit_for_bit(name, dtype, tmp_path):
    def start():
        params = parameters(dtype)
        return params, optim.Scheduled(getattr(optim, name)(params), optim.cosine_decay(STEPS))

    whole, optimizer = start()
    take_steps(optimizer, whole, 0, STEPS)
    first, optimizer = start()
    take_steps(optimizer, first, 0, 7)
    mg.serialize.save(tmp_path / "state", optimizer.state_dict(), {})
    second, optimizer = start()
    optimizer.load_state_dict(mg.serialize.load(tmp_path / "state")[0])
    for p, q in zip(second, first, strict=True):
        p.copy_(q.detach())
    take_steps(optimizer, second, 7, STEPS)
    assert optimizer.steps == STEPS
    for p, q in zip(whole, second, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize("name", ["Momentum", "RMSprop", "Adam"])
def test_the_state_is_a_copy_in_both_directions(name):
    params = parameters()
    optimizer = getattr(optim, name)(params)
    take_steps(optimizer, params, 0, 2)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    take_steps(optimizer, params, 2, 3)
    for key, array in kept.items():
        np.testing.assert_array_equal(state[key], array)
    optimizer.load_state_dict(state)
    take_steps(optimizer, params, 2, 3)
    for key, array in kept.items():
        np.testing.assert_array_equal(state[key], array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {k: a for k, a in s.items() if k != "square.1"},
            "load_state_dict: Adam over 3 parameters needs 10 arrays; missing or not its own: square.1",
        ),
        (lambda s: {**s, "velocity.0": np.ones(3)}, "missing or not its own: velocity.0"),
        (
            lambda s: {**s, "square.2": np.ones(3)},
            "load_state_dict: Adam: 'square.2' has shape (3,) and dtype float64; it needs () and float64",
        ),
        (lambda s: {**s, "square.2": np.array("a")}, "'square.2' has shape () and dtype <U1"),
        (lambda s: {**s, "steps": np.array(1.5)}, "'steps' has shape () and dtype float64"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(change, message):
    params = parameters()
    optimizer = optim.Adam(params)
    take_steps(optimizer, params, 0, 2)
    before = optimizer.state_dict()
    strange = change({key: a + 1 for key, a in before.items()})
    with pytest.raises(ArgumentError) as caught:
        optimizer.load_state_dict(strange)
    assert message in str(caught.value)
    assert before.keys() == optimizer.state_dict().keys()
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_state_of_another_optimiser_is_refused():
    state = optim.RMSprop(parameters()).state_dict()
    with pytest.raises(ArgumentError, match="Momentum over 3 parameters needs 4 arrays"):
        optim.Momentum(parameters()).load_state_dict(state)


# ---------------------------------------------------------------------- a step


@pytest.mark.parametrize("name", ["SGD", "Momentum", "RMSprop", "Adam"])
def test_a_step_writes_in_place_and_leaves_gradients_and_graph_alone(name):
    params = parameters(np.float32)
    arrays = [p._array for p in params]
    optimizer = getattr(optim, name)(params)
    take_steps(optimizer, params, 0, 1)
    for i, (p, array) in enumerate(zip(params, arrays, strict=True)):
        assert p._array is array
        assert p.is_leaf
        assert p.requires_grad
        assert p.grad is not None
        np.testing.assert_array_equal(p.grad.numpy(), gradient(0, i, np.float32))
    assert all(a.dtype != np.float64 for a in optimizer.state_dict().values())


def test_a_graph_from_before_the_step_refuses_to_run_backward():
    w = nn.parameter(np.ones(2))
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    optim.SGD([w]).step()
    with pytest.raises(VersionError, match="mul: argument"):
        loss.backward()


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_numpy_rate_does_not_change_the_bits(scheduled):
    results = []
    for number in (float, np.float64):
        w = nn.parameter(values((1000,), 0, np.float32))
        optimizer = step = optim.SGD([w], number(0.05))
        if scheduled:
            step = optim.Scheduled(optimizer, lambda _, number=number: number(0.7))
        w.grad = Tensor(values((1000,), 1, np.float32))
        step.step()
        results.append(w.tolist())
    assert results[0] == results[1]


def test_zero_grad_forgets_all_gradients():
    params = parameters()
    for p in params:
        p.grad = Tensor(np.ones(p.shape))
    optim.Scheduled(optim.SGD(params), optim.constant()).zero_grad()
    assert [p.grad for p in params] == [None] * 3


@pytest.mark.parametrize("name", ["SGD", "Momentum", "RMSprop", "Adam"])
def test_a_valley_is_descended(name):
    w = nn.parameter(np.array([3.0, -2.0]))
    optimizer = getattr(optim, name)([w], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    assert np.abs(w.numpy()).max() < 0.05


def leaf():
    return nn.parameter(np.ones(2))


BAD = [
    (lambda: optim.SGD([]), "SGD: got no parameters; it needs at least one"),
    (lambda: optim.Adam([leaf(), mg.rand(2)]), "Adam: parameter 1 is no leaf that requires"),
    (lambda: optim.Adam([leaf() * 2]), "Adam: parameter 0 is no leaf that requires a gradient"),
    (
        lambda: optim.Adam(nn.Linear(2, 3)),
        "Adam: params is Linear(2, 3, bias=True); it needs a list of tensors, its .parameters()",
    ),
    (lambda: optim.SGD(leaf()), "SGD: params is a Tensor; it needs a list of tensors"),
    (lambda: optim.SGD(3), "SGD: params is 3; it needs a list of tensors"),
    (lambda: optim.SGD([np.ones(2)]), "SGD: parameter 0 is no leaf that requires a gradient"),
    (lambda: optim.SGD([leaf()] * 2), "SGD: parameter 1 is there twice; it needs to be there once"),
    (lambda: optim.SGD([leaf()], -0.1), "SGD: lr is -0.1; it needs a finite number of at least 0"),
    (lambda: optim.SGD([leaf()], math.nan), "SGD: lr is nan; it needs a finite number"),
    (lambda: optim.SGD([leaf()], math.inf), "SGD: lr is inf; it needs a finite number"),
    (lambda: optim.SGD([leaf()], "fast"), "SGD: lr is 'fast'; it needs a finite number"),
    (
        lambda: optim.Momentum([leaf()], 0.1, 1),
        "Momentum: momentum is 1; it needs a finite number of ",
    ),
    (
        lambda: optim.RMSprop([leaf()], alpha=-1),
        "RMSprop: alpha is -1; it needs a finite number of",
    ),
    (lambda: optim.RMSprop([leaf()], eps=-1), "RMSprop: eps is -1; it needs a finite number"),
    (
        lambda: optim.Adam([leaf()], betas=(1, 0.9)),
        "Adam: beta 1 is 1; it needs a finite number of at",
    ),
    (lambda: optim.Adam([leaf()], betas=(0.9, 2)), "Adam: beta 2 is 2; it needs a finite number"),
    (lambda: optim.Adam([leaf()], betas=0.9), "Adam: betas is 0.9; it needs two numbers"),
    (lambda: optim.linear_decay(5, 5), "linear_decay: from 5 to 5; it needs 0 <= start < end"),
    (lambda: optim.linear_decay(-1, 5), "linear_decay: from -1 to 5"),
    (
        lambda: optim.cosine_decay(3, warmup=3),
        "cosine_decay: warmup 3 of 3; it needs 0 <= warmup < end",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_a_wrong_setting_is_told_in_one_sentence(call, message):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).startswith(message)


# ---------------------------------------------------------------------- schedules


def test_linear_decay_is_1_until_its_start_and_0_from_its_end():
    schedule = optim.linear_decay(4, 8)
    assert [schedule(s) for s in range(10)] == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]


def test_cosine_decay_warms_up_in_equal_steps_and_ends_at_its_floor():
    schedule = optim.cosine_decay(12, floor=0.2, warmup=3)
    assert [schedule(s) for s in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert schedule(7) > 0.6 > schedule(8)
    assert (schedule(7) + schedule(8)) / 2 == pytest.approx(0.6)  # half-way, by symmetry
    assert schedule(12) == schedule(100) == pytest.approx(0.2)
    assert optim.constant()(99) == 1


def test_cosine_decay_is_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.5 * 0.1)
    ours = optim.cosine_decay(10, floor=0.1)
    for step in range(11):
        assert 0.5 * ours(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        theirs.step()


def test_a_scheduled_optimiser_tells_the_rate_of_its_last_step_and_cannot_be_given_one():
    params = parameters()
    optimizer = optim.Scheduled(optim.SGD(params, 0.8), optim.linear_decay(0, 4))
    assert optimizer.lr == 0.8
    rates = []
    for step in range(6):
        take_steps(optimizer, params, step, step + 1)
        rates.append(optimizer.lr)
    assert rates == pytest.approx([0.8, 0.6, 0.4, 0.2, 0, 0])
    assert optimizer.steps == 6
    with pytest.raises(AttributeError):
        optimizer.lr = 0.1


def test_a_scheduled_optimiser_can_be_copied():
    optimizer = optim.Scheduled(optim.SGD(parameters(), 0.8), optim.constant())
    assert copy.copy(optimizer).optimizer is optimizer.optimizer
