"""The adversarial losses: what each of the two players of a GAN wants to be small.

The discriminator D gives every image a logit a, any real number; sigma(a) = 1 / (1 + exp(-a)) is the
probability that it gives to "this image is real" (1 = real, 0 = created). All losses here are
computed from logits, because log sigma(a) is -infinity in floating point long before a is, whereas

    -log sigma(a) = softplus(-a),    -log(1 - sigma(a)) = softplus(a),    softplus(a) = log(1 + e^a)

are finite and accurate for every logit. Batches may have any shape; each loss is a mean over its
elements, a scalar tensor.

The least-squares losses and Wasserstein's take the same number a for what it is, not for a logit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigan import ops
from minigan.core.engine import grad
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Tensor


def discriminator_probability(logits: Tensor) -> Tensor:
    """D as a probability, sigma(a): any shape -> the same shape, each value in [0, 1]."""
    return ops.sigmoid(logits)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = -1/2 E_x[log D(x)] - 1/2 E_z[log(1 - D(G(z)))], equation (1).

    real, fake  logits of D on real images x and on created ones G(z)

    Goodfellow et al. 2014, equation 1, as a loss; with the factor 1/2 of Goodfellow's NIPS 2016
    tutorial (equation 8), so that it is the mean binary cross-entropy of both batches together.
    A discriminator that cannot tell (D = 1/2 everywhere) has L_D = log 2. Raises ShapeError for
    an empty batch.
    """
    _refuse_empty("discriminator_loss", real, fake)
    return 0.5 * ops.softplus(-real).mean() + 0.5 * ops.softplus(fake).mean()


def zero_sum_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """L_G = -L_D, equation (2): what one player wins the other loses, L_D + L_G = 0.

    real, fake  logits of D on real images x and on created ones G(z)

    Its real half does not depend on G. Its other half has, per sample, the derivative
    -sigma(a) / 2 by the logit a: nothing to learn from where D is sure that the image is created
    (a = -10 gives -2e-5). That is the vanishing gradient. Raises ShapeError for an empty batch.
    """
    return -discriminator_loss(real, fake)


def non_saturating_generator_loss(fake: Tensor) -> Tensor:
    """L_G = -E_z[log D(G(z))]: make "real" likely, rather than "created" unlikely.

    fake  logits of D on created images G(z)

    Goodfellow et al. 2014, section 3. It pulls in the direction of the zero-sum loss, but its
    derivative by the logit a, -(1 - sigma(a)), is greatest where D is sure that the image is
    created (a = -10 gives -0.99995). Raises ShapeError for an empty batch.
    """
    _refuse_empty("non_saturating_generator_loss", fake)
    return ops.softplus(-fake).mean()


def least_squares_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E_x[(a(x) - 1)^2] + 1/2 E_z[a(G(z))^2].

    real, fake  the numbers a that D gives to real images x and to created ones G(z)

    Mao et al. 2017 ("Least squares generative adversarial networks"), equation 9: real images shall
    be judged 1, created ones 0. An image far on the right side costs as well, so D has no reason to
    grow without end. Raises ShapeError for an empty batch.
    """
    _refuse_empty("least_squares_discriminator_loss", real, fake)
    lead = real - 1.0
    return 0.5 * (lead * lead).mean() + 0.5 * (fake * fake).mean()


def least_squares_generator_loss(fake: Tensor) -> Tensor:
    """1/2 E_z[(a(G(z)) - 1)^2], equation 9 of Mao et al. 2017: created images shall be judged 1."""
    _refuse_empty("least_squares_generator_loss", fake)
    lead = fake - 1.0
    return 0.5 * (lead * lead).mean()


def relativistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E_x[(a(x) - E a(G(z)) - 1)^2] + 1/2 E_z[(a(G(z)) - E a(x) + 1)^2].

    real, fake  logits a of D on real images x and on created ones G(z)

    Relativistic average least squares (Jolicoeur-Martineau 2018, "The relativistic discriminator",
    appendix D.2), halved: real images shall be judged 1 above the average created one, and created
    ones 1 below the average real one. The averages are over the batch at hand.
    """
    _refuse_empty("relativistic_discriminator_loss", real, fake)
    real_lead, fake_lead = real - fake.mean() - 1.0, fake - real.mean() + 1.0
    return 0.5 * (real_lead * real_lead).mean() + 0.5 * (fake_lead * fake_lead).mean()


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss with the two players exchanged: created images shall lead by 1."""
    return relativistic_discriminator_loss(fake, real)


def wasserstein_critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """E_z[a(G(z))] - E_x[a(x)].

    real, fake  the numbers a that the critic gives to real images x and to created ones G(z)

    Arjovsky et al. 2017, equation 2, as a loss. Over all critics whose slope is nowhere above 1, its
    least value is minus the distance by which one distribution would have to be moved to become the
    other. `gradient_penalty` keeps the slope there. Raises ShapeError for an empty batch.
    """
    _refuse_empty("wasserstein_critic_loss", real, fake)
    return fake.mean() - real.mean()


def wasserstein_generator_loss(fake: Tensor) -> Tensor:
    """-E_z[a(G(z))]: its gradient by an image is as long where the critic is sure as where it is not."""
    _refuse_empty("wasserstein_generator_loss", fake)
    return -fake.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor
) -> Tensor:
    """The mean over samples of (|grad a(x)| - 1)^2 at x = alpha real + (1 - alpha) fake.

    critic      images (N, ...) -> numbers a, (N, ...); where it gives several for an image, one for
                each patch, the image's number is their mean, which is what the losses use
    real, fake  images of the same shape (N, ...); nothing flows back into them
    alpha       (N,), one number for each sample, uniform in [0, 1]

    Gulrajani et al. 2017 ("Improved training of Wasserstein GANs"), equation 3 and algorithm 1; the
    losses add it times `LAMBDA`. The norm is that of each sample's whole gradient. The root has no
    derivative at 0, where `_UNDER_THE_ROOT` keeps it from giving NaN.
    Raises ShapeError for shapes that do not fit together.
    """
    if real.shape != fake.shape or alpha.shape != real.shape[:1]:
        raise ShapeError(
            f"gradient_penalty: real has shape {real.shape}, fake {fake.shape} and alpha {alpha.shape}; "
            "it needs real and fake of one shape (N, ...), and an alpha of shape (N,)"
        )
    _refuse_empty("gradient_penalty", real)
    a = alpha.detach().reshape(len(alpha), *[1] * (real.ndim - 1))
    x = (a * real.detach() + (1 - a) * fake.detach()).requires_grad_()
    numbers = critic(x).reshape(len(alpha), -1).mean(axis=1)
    (slope,) = grad(numbers.sum(), x, create_graph=True)
    square = (slope * slope).reshape(len(alpha), -1).sum(axis=1)
    excess = ops.sqrt(square + _UNDER_THE_ROOT) - 1.0
    return (excess * excess).mean()


LAMBDA = 10.0  # the weight of the penalty: Gulrajani et al. 2017, section 4
_UNDER_THE_ROOT = 1e-12  # against slopes near 1, which the penalty wants, this is nothing


@dataclass(frozen=True)
class AdversarialLoss:
    """The pair of losses that makes a game of two networks.

    discriminator   (real logits, fake logits) -> scalar, which the discriminator's step lowers
    generator       (real logits, fake logits) -> scalar, which the generator's step lowers
    generator_sees_real  whether `generator` uses the real logits; where it does not, it is given
                    None for them, and the generator's step never shows D a real image
    penalty         weight of the `gradient_penalty` that the discriminator's step adds
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Any, Tensor], Tensor]
    generator_sees_real: bool = True
    penalty: float = 0.0


LOSSES: dict[str, AdversarialLoss] = {
    "non-saturating": AdversarialLoss(
        discriminator_loss,
        lambda real, fake: non_saturating_generator_loss(fake),
        generator_sees_real=False,
    ),
    "zero-sum": AdversarialLoss(discriminator_loss, zero_sum_generator_loss),
    "least-squares": AdversarialLoss(
        least_squares_discriminator_loss,
        lambda real, fake: least_squares_generator_loss(fake),
        generator_sees_real=False,
    ),
    "relativistic-least-squares": AdversarialLoss(
        relativistic_discriminator_loss, relativistic_generator_loss
    ),
    "wgan-gp": AdversarialLoss(
        wasserstein_critic_loss,
        lambda real, fake: wasserstein_generator_loss(fake),
        generator_sees_real=False,
        penalty=LAMBDA,
    ),
}


def loss_named(name: str) -> AdversarialLoss:
    """The entry of `LOSSES`, or an ArgumentError that lists the names there are."""
    try:
        return LOSSES[name]
    except (KeyError, TypeError):
        known = ", ".join(LOSSES)
        raise ArgumentError(f"there is no loss named {name!r}; the names are {known}") from None


def _refuse_empty(loss: str, *logits: Tensor) -> None:
    """The mean over no sample is NaN, which would surface much later and far from here."""
    if any(batch.numel() == 0 for batch in logits):
        shapes = " and ".join(str(batch.shape) for batch in logits)
        raise ShapeError(
            f"{loss}: the logits have shape {shapes}; each batch needs at least one sample"
        )
