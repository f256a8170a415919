"""The adversarial losses against their formulas, and where the formulas fail in floating point."""

import math

import numpy as np
import pytest

import minigan as mg
from minigan import ops
from minigan.core.errors import ArgumentError, ShapeError
from minigan.gan.losses import (
    LOSSES,
    discriminator_loss,
    discriminator_probability,
    gradient_penalty,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    loss_named,
    non_saturating_generator_loss,
    wasserstein_critic_loss,
    wasserstein_generator_loss,
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


# ---------------------------------------------------------------------- least squares, Wasserstein


def test_least_squares_wants_1_for_real_and_0_for_created():
    real, fake = random_logits(5), random_logits(6)
    naive = 0.5 * ((real.numpy() - 1) ** 2).mean() + 0.5 * (fake.numpy() ** 2).mean()
    assert least_squares_discriminator_loss(real, fake).item() == pytest.approx(naive, rel=1e-12)
    assert least_squares_discriminator_loss(logits(1, 1), logits(0)).item() == 0
    assert least_squares_generator_loss(logits(1, 1)).item() == 0
    assert least_squares_generator_loss(logits(3, 1)).item() == 1


def test_wasserstein_losses_are_differences_of_means():
    real, fake = logits(1, 3), logits(5)
    assert wasserstein_critic_loss(real, fake).item() == 3
    assert wasserstein_generator_loss(fake).item() == -5


def images(seed, shape=(3, 2, 4, 4), requires_grad=False):
    values = np.random.default_rng(seed).standard_normal(shape)
    return mg.tensor(values, dtype=mg.float64, requires_grad=requires_grad)


def test_a_linear_critic_pays_for_how_far_its_slope_is_from_1():
    direction = images(0, (1, 2, 4, 4))
    slope = math.sqrt((direction.numpy() ** 2).sum())
    critic = lambda x: (x * direction).sum(axis=(1, 2, 3))  # noqa: E731
    alpha = mg.tensor([0.1, 0.5, 0.9], dtype=mg.float64)
    penalty = gradient_penalty(critic, images(1), images(2), alpha)
    assert penalty.item() == pytest.approx((slope - 1) ** 2, rel=1e-9)


def test_each_sample_is_mixed_by_an_alpha_of_its_own_and_pays_for_its_own_norm():
    """a(x) = |x|^2 / 2 has the gradient x: the norm is that of the mixed image itself."""
    real, fake = images(1), images(2)
    alpha = np.array([0.0, 0.3, 1.0])
    critic = lambda x: (x * x).sum(axis=(1, 2, 3)) / 2  # noqa: E731
    mixed = (
        alpha[:, None, None, None] * real.numpy() + (1 - alpha)[:, None, None, None] * fake.numpy()
    )
    norms = np.sqrt((mixed**2).sum(axis=(1, 2, 3)))
    penalty = gradient_penalty(critic, real, fake, mg.tensor(alpha, dtype=mg.float64))
    assert penalty.item() == pytest.approx(((norms - 1) ** 2).mean(), rel=1e-9)


def test_a_critic_of_patches_counts_by_its_mean():
    alpha = mg.tensor([0.5, 0.5, 0.5], dtype=mg.float64)
    whole = gradient_penalty(lambda x: 9 * x.mean(axis=(1, 2, 3)), images(1), images(2), alpha)
    patches = gradient_penalty(lambda x: 9 * x, images(1), images(2), alpha)
    assert patches.item() == pytest.approx(whole.item(), rel=1e-12)


def test_a_flat_critic_gives_a_penalty_of_1_and_no_nan():
    weight = mg.tensor(np.zeros((1, 2, 4, 4)), requires_grad=True)
    alpha = mg.tensor([0.5, 0.5, 0.5], dtype=mg.float64)
    penalty = gradient_penalty(lambda x: x * weight, images(1), images(2), alpha)
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    (slope,) = mg.grad(penalty, weight)
    assert np.isfinite(slope.numpy()).all()


def test_the_penalty_teaches_the_critic_and_leaves_the_images_alone():
    weight = mg.tensor(0.1 * np.ones((1, 2, 4, 4)), requires_grad=True)
    real, fake = images(1, requires_grad=True), images(2, requires_grad=True)
    alpha = mg.tensor([0.2, 0.5, 0.8], dtype=mg.float64)
    penalty = gradient_penalty(lambda x: (x * weight).sum(axis=(1, 2, 3)), real, fake, alpha)
    penalty.backward()
    assert weight.grad.numpy().max() < 0  # the slope is below 1 and shall grow
    assert real.grad is None
    assert fake.grad is None


def test_the_penalty_can_be_differentiated_by_finite_differences():
    alpha = mg.tensor([0.2, 0.5, 0.8], dtype=mg.float64)
    real, fake = images(1), images(2)

    def penalty(w):
        return gradient_penalty(lambda x: ops.tanh(x * w).sum(axis=(1, 2, 3)), real, fake, alpha)

    assert mg.gradcheck(penalty, [images(3, (1, 2, 4, 4), requires_grad=True)])


def test_a_penalty_on_shapes_that_do_not_fit_is_refused():
    alpha = mg.tensor([0.5, 0.5, 0.5])
    with pytest.raises(ShapeError, match=r"alpha \(3,\)"):
        gradient_penalty(lambda x: x, images(1, (2, 1, 4, 4)), images(2, (2, 1, 4, 4)), alpha)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_gradients_of_the_right_sign(name):
    """Created images judged far below real ones: the generator's step wants them judged higher."""
    loss = LOSSES[name]
    real, fake = logits(1, 1), logits(-1, -1, requires_grad=True)
    (slope,) = mg.grad(loss.generator(real, fake), fake)
    assert slope.numpy().max() < 0
