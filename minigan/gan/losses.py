"""The adversarial losses: what each of the two players of a GAN wants to be small.

The discriminator D gives every image a logit a, any real number; sigma(a) = 1 / (1 + exp(-a)) is the
probability that it gives to "this image is real" (1 = real, 0 = created). All losses here are
computed from logits, because log sigma(a) is -infinity in floating point long before a is, whereas

    -log sigma(a) = softplus(-a),    -log(1 - sigma(a)) = softplus(a),    softplus(a) = log(1 + e^a)

are finite and accurate for every logit. Batches may have any shape; each loss is a mean over its
elements, a scalar tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigan import ops
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


@dataclass(frozen=True)
class AdversarialLoss:
    """The pair of losses that makes a game of two networks.

    discriminator   (real logits, fake logits) -> scalar, which the discriminator's step lowers
    generator       (real logits, fake logits) -> scalar, which the generator's step lowers
    generator_sees_real  whether `generator` uses the real logits; where it does not, it is given
                    None for them, and the generator's step never shows D a real image
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Any, Tensor], Tensor]
    generator_sees_real: bool = True


LOSSES: dict[str, AdversarialLoss] = {
    "non-saturating": AdversarialLoss(
        discriminator_loss,
        lambda real, fake: non_saturating_generator_loss(fake),
        generator_sees_real=False,
    ),
    "zero-sum": AdversarialLoss(discriminator_loss, zero_sum_generator_loss),
    "relativistic-least-squares": AdversarialLoss(
        relativistic_discriminator_loss, relativistic_generator_loss
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
