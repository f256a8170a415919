"""How far a result is from the sharp picture: the generator's loss, before the adversary has its say."""

from __future__ import annotations

from collections.abc import Callable

from minigan import nn
from minigan.core.graph import no_grad
from minigan.core.tensor import Tensor
from minigan.deblur.networks.features import FeatureNetwork, load_features
from minigan.deblur.settings import ContentSettings

Content = Callable[[Tensor, Tensor], Tensor]  # (restored, sharp), (N, 3, H, W) each -> scalar


def content_loss(settings: ContentSettings) -> tuple[Content, FeatureNetwork | None]:
    """The loss that the settings ask for, and the network of features that it uses, if it does.

    Raises ModelFileError for a file of features that cannot be used.
    """
    if settings.loss == "l1":
        return nn.l1_loss, None
    if settings.loss == "mse":
        return nn.mse_loss, None
    features = load_features(settings.features, settings.layer)
    return lambda restored, sharp: perceptual_loss(features, restored, sharp), features


def perceptual_loss(features: nn.Module, restored: Tensor, sharp: Tensor) -> Tensor:
    """mean (features(restored) - features(sharp))^2, equation 4 of Kupyn et al. 2018."""
    with no_grad():
        target = features(sharp)
    return nn.mse_loss(features(restored), target)
