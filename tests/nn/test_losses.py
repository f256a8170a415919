"""The losses against PyTorch, in value and gradient, and where logits are extreme."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.core.errors import ArgumentError, MiniganError, ShapeError

PAIRS = ["l1_loss", "mse_loss", "binary_cross_entropy_with_logits"]
each_pair = pytest.mark.parametrize("name", PAIRS)


def functional():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    return torch, torch.nn.functional


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


@each_pair
def test_value_and_derivatives_are_those_of_pytorch(name):
    torch, oracle = functional()
    x, t = noise(3, 4), np.random.default_rng(1).random((3, 4))
    ours = [mg.tensor(a, True, np.float64) for a in (x, t)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, t)]
    value, expected = getattr(nn, name)(*ours), getattr(oracle, name)(*theirs)
    np.testing.assert_allclose(value.numpy(), expected.detach().numpy(), rtol=1e-14)
    first = mg.grad(value, ours, create_graph=True)
    expected = torch.autograd.grad(expected, theirs, create_graph=True)
    for p, q in zip(first, expected, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-16)
    if name != "l1_loss":  # whose second derivative is 0
        total, expected = (first[0] * first[0]).sum(), (expected[0] * expected[0]).sum()
        np.testing.assert_allclose(
            mg.grad(total, ours[0])[0].numpy(),
            torch.autograd.grad(expected, theirs[0])[0].numpy(),
            rtol=1e-10,
        )


def test_cross_entropy_has_the_value_and_derivatives_of_pytorch():
    torch, oracle = functional()
    x, classes = noise(5, 4), np.array([0, 3, 3, 1, 2])
    ours, theirs = mg.tensor(x, True, np.float64), torch.tensor(x, requires_grad=True)
    value = nn.cross_entropy(ours, classes)
    expected = oracle.cross_entropy(theirs, torch.tensor(classes))
    np.testing.assert_allclose(value.numpy(), expected.detach().numpy(), rtol=1e-14)
    (first,) = mg.grad(value, ours, create_graph=True)
    (q,) = torch.autograd.grad(expected, theirs, create_graph=True)
    np.testing.assert_allclose(first.numpy(), q.detach().numpy(), rtol=1e-12)
    (second,) = mg.grad((first * first).sum(), ours)
    np.testing.assert_allclose(
        second.numpy(), torch.autograd.grad((q * q).sum(), theirs)[0].numpy(), rtol=1e-10
    )


def test_cross_entropy_takes_tensors_lists_and_small_integers_as_classes():
    x = mg.tensor(noise(2, 3))
    values = [nn.cross_entropy(x, t).item() for t in (mg.tensor([2, 0]), [2, 0], np.uint8([2, 0]))]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("logit", [-1000.0, -20.0, 0.0, 20.0, 1000.0])
@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_binary_cross_entropy_is_accurate_relative_to_its_value_at_any_logit(dtype, logit, target):
    x = mg.tensor([logit], True, dtype)
    value = nn.binary_cross_entropy_with_logits(x, target)
    value.backward()
    a = np.float64(logit)
    softplus = [max(s, 0) + np.log1p(np.exp(-abs(s))) for s in (-a, a)]
    exact = target * softplus[0] + (1 - target) * softplus[1]
    # sigma(x) - t as -t sigma(-x) + (1 - t) sigma(x), by the mean over one element
    sigma = [np.exp(-s) for s in softplus]
    slope = -target * sigma[1] + (1 - target) * sigma[0]
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(value.item(), exact, rtol=tolerance, atol=0)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.item(), slope, rtol=tolerance, atol=0)
    assert value.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_stays_finite_at_extreme_logits(dtype):
    x = mg.tensor([[1000, -1000, 0], [1000, -1000, 0]], True, dtype)
    value = nn.cross_entropy(x, [0, 1])
    assert value.item() == 1000  # the mean of 0 and of 2000
    value.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0, 0], [0.5, -0.5, 0]]


@each_pair
def test_the_loss_is_a_mean_so_repeating_the_batch_changes_nothing(name):
    x, t = mg.tensor(noise(3, 2)), mg.tensor(noise(3, 2, seed=1))
    twice = [mg.concatenate(a, a) for a in (x, t)]
    once = getattr(nn, name)(x, t)
    assert once.shape == ()
    assert getattr(nn, name)(*twice).item() == pytest.approx(once.item(), rel=1e-6)


@each_pair
def test_one_number_stands_for_a_target_everywhere(name):
    loss, x = getattr(nn, name), mg.tensor(noise(3, 2))
    whole = loss(x, mg.tensor(np.ones((3, 2)))).item()
    for one in (1, 1.0, True, np.float32(1), np.array(1.0)):
        assert loss(x, one).item() == pytest.approx(whole, rel=1e-6)
        assert loss(x, one).dtype == np.float32


@each_pair
@pytest.mark.parametrize("make", [np.asarray, mg.tensor, list], ids=["array", "tensor", "list"])
def test_a_target_that_would_broadcast_is_refused(name, make):
    x = mg.tensor(noise(4, 1))
    with pytest.raises(ShapeError, match=rf"{name}: target has shape \(4,\); it needs \(4, 1\)"):
        getattr(nn, name)(x, make(np.zeros(4)))


@each_pair
@pytest.mark.parametrize("make", [np.asarray, mg.tensor, np.ndarray.tolist])
def test_integer_targets_do_not_turn_float32_into_float64(name, make):
    x = mg.tensor(noise(4), requires_grad=True)
    value = getattr(nn, name)(x, make(np.array([0, 1, 1, 0])))
    assert value.dtype == np.float32
    expected = getattr(nn, name)(x, mg.tensor([0.0, 1.0, 1.0, 0.0]))
    assert value.item() == expected.item()


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ([0, 1, 1], ShapeError, "target (3,); they need (N, classes) and (N,)"),
        ([[0], [1]], ShapeError, "x has shape (2, 3) and target (2, 1)"),
        ([0.0, 1.0], ArgumentError, "target has float64; it needs class numbers"),
        ([0, 3], ArgumentError, "target runs from 0 to 3; 3 classes need 0 to 2"),
        ([-1, 0], ArgumentError, "target runs from -1 to 0"),
    ],
)
def test_cross_entropy_refuses_what_is_no_class(target, error, message):
    with pytest.raises(error) as caught:
        nn.cross_entropy(mg.rand(2, 3), target)
    assert str(caught.value).startswith("cross_entropy: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.mse_loss(mg.rand(0, 2), mg.rand(0, 2)),
        lambda: nn.cross_entropy(mg.rand(0, 2), np.zeros(0, int)),
    ],
)
def test_an_empty_batch_has_no_mean(call):
    with pytest.raises(MiniganError, match="mean: x has shape"):
        call()
