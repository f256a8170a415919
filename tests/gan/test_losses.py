"""The adversarial losses against their formulas, and where the formulas fail in floating point."""

import math

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, ShapeError
from minigan.gan.losses import (
    LOSSES,
    discriminator_loss,
    discriminator_probability,
    loss_named,
    non_saturating_generator_loss,
    zero_sum_generator_loss,
)


def logits(*values, requires_grad=False):
    return mg.tensor(list(values), dtype=mg.float64, requires_grad=requires_grad)


def random_logits(seed, shape=(50,)):
    return mg.tensor(3 * np.random.default_rng(seed).standard_normal(shape), dtype=mg.float64)


def sigma(a):
    return 1 / (1 + np.exp(-a.numpy()))


def test_the_two_losses_of_the_zero_sum_game_add_up_to_exactly_zero():
    for seed in range(20):
        real, fake = random_logits(seed).to("float32"), random_logits(seed + 100).to("float32")
        total = discriminator_loss(real, fake) + zero_sum_generator_loss(real, fake)
        assert total.item() == 0.0


def test_the_discriminators_loss_is_equation_1():
    real, fake = random_logits(1), random_logits(2)
    naive = -0.5 * np.log(sigma(real)).mean() - 0.5 * np.log(1 - sigma(fake)).mean()
    assert discriminator_loss(real, fake).item() == pytest.approx(naive, rel=1e-12)


def test_the_non_saturating_loss_is_minus_the_mean_log_of_d():
    fake = random_logits(3)
    naive = -np.log(sigma(fake)).mean()
    assert non_saturating_generator_loss(fake).item() == pytest.approx(naive, rel=1e-12)


def test_a_probability_is_the_logistic_function_of_the_logit():
    a = random_logits(4, (3, 5))
    np.testing.assert_allclose(discriminator_probability(a).numpy(), sigma(a), rtol=1e-14)
    assert discriminator_probability(logits(-1000, 0, 1000)).tolist() == [0.0, 0.5, 1.0]


def test_a_discriminator_that_cannot_tell_loses_log_2():
    undecided = logits(0, 0, 0)
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(math.log(2))


def test_real_and_created_images_count_half_each_however_many_there_are():
    assert discriminator_loss(logits(-4), logits(-1000, -1000, -1000)).item() == pytest.approx(
        0.5 * (4 + math.log1p(math.exp(-4)))
    )


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
def test_logits_of_a_thousand_give_finite_losses_and_gradients(dtype):
    real = mg.tensor([-1000.0, 1000.0], dtype=dtype, requires_grad=True)
    fake = mg.tensor([-1000.0, 1000.0], dtype=dtype, requires_grad=True)
    loss = discriminator_loss(real, fake)
    loss.backward()
    assert loss.item() == 500.0  # half of the samples are wrong, by 1000 each
    assert real.grad.tolist() == [-0.25, 0.0]
    assert fake.grad.tolist() == [0.0, 0.25]
    (slope,) = mg.grad(non_saturating_generator_loss(fake), fake)
    assert non_saturating_generator_loss(fake).item() == 500.0
    assert slope.tolist() == [-0.5, 0.0]


def test_where_d_is_sure_only_the_non_saturating_loss_still_pulls():
    a = logits(-10, requires_grad=True)
    (saturating,) = mg.grad(zero_sum_generator_loss(logits(0), a), a)
    (pulling,) = mg.grad(non_saturating_generator_loss(a), a)
    assert 2 * saturating.item() == pytest.approx(-4.5398e-5, rel=1e-4)  # the half of equation 1
    assert pulling.item() == pytest.approx(-0.99995, abs=5e-6)


def test_the_zero_sum_generator_has_no_gradient_through_real_images():
    network_output = logits(0.3, -0.7, requires_grad=True)
    (slope,) = mg.grad(zero_sum_generator_loss(random_logits(5), network_output), network_output)
    expected = -0.5 * sigma(network_output) / 2
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["non-saturating", "zero-sum"])
def test_the_derivatives_agree_with_finite_differences(name):
    loss = loss_named(name)
    real = mg.tensor(random_logits(6, (4,)), requires_grad=True)
    fake = mg.tensor(random_logits(7, (4,)), requires_grad=True)
    assert mg.gradcheck(loss.discriminator, (real, fake))
    assert mg.gradcheck(lambda a: loss.generator(random_logits(6, (4,)), a), (fake,))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_is_a_scalar_for_logits_of_any_shape(name):
    loss = loss_named(name)
    real, fake = random_logits(8, (2, 1, 3, 3)), random_logits(9, (2, 1, 3, 3))
    assert loss.discriminator(real, fake).shape == ()
    assert loss.generator(real if loss.generator_sees_real else None, fake).shape == ()


@pytest.mark.parametrize("name", ["hinge", "", None, []])
def test_an_unknown_loss_is_refused_with_the_names_there_are(name):
    with pytest.raises(ArgumentError, match="the names are non-saturating, zero-sum"):
        loss_named(name)


def test_an_empty_batch_is_refused():
    empty = mg.tensor(np.zeros(0))
    with pytest.raises(ShapeError, match=r"discriminator_loss: .*\(0,\).* at least one sample"):
        discriminator_loss(logits(1), empty)
    with pytest.raises(ShapeError, match="discriminator_loss"):
        zero_sum_generator_loss(empty, logits(1))
    with pytest.raises(ShapeError, match="non_saturating_generator_loss"):
        non_saturating_generator_loss(empty)
