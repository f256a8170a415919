"""Losses, each a mean over all elements (or samples), as scalar tensors.

A target has the shape of x, or is a single number that stands for all elements.
"""

from __future__ import annotations

import numpy as np

from minigan import ops
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Tensor, TensorLike


def _like(loss: str, x: Tensor, target: TensorLike) -> Tensor | float:
    """`target` as a tensor of x's shape (nothing broadcasts), or as one number for all elements."""
    if not isinstance(target, Tensor):
        if np.ndim(target) == 0:
            return float(target)  # type: ignore[arg-type]
        target = Tensor(np.asarray(target, x.dtype))
    if target.shape != x.shape:
        raise ShapeError(
            f"{loss}: target has shape {target.shape}; it needs {x.shape} like the input"
        )
    return target


def l1_loss(x: Tensor, target: TensorLike) -> Tensor:
    """mean |x - target|."""
    return ops.abs(x - _like("l1_loss", x, target)).mean()


def mse_loss(x: Tensor, target: TensorLike) -> Tensor:
    """mean (x - target)^2."""
    difference = x - _like("mse_loss", x, target)
    return (difference * difference).mean()


def binary_cross_entropy_with_logits(x: Tensor, target: TensorLike) -> Tensor:
    """mean of -(t log s(x) + (1 - t) log(1 - s(x))) for logits x, where s is the logistic function.

    As t softplus(-x) + (1 - t) softplus(x), which does not overflow, take the logarithm of 0, or
    lose a small loss in the difference of two large numbers.
    """
    t = _like("binary_cross_entropy_with_logits", x, target)
    return (t * ops.softplus(-x) + (1 - t) * ops.softplus(x)).mean()


def cross_entropy(x: Tensor, target: TensorLike) -> Tensor:
    """mean over samples of -log softmax(x)[target]: x (N, classes), target N class numbers."""
    classes = target.numpy() if isinstance(target, Tensor) else np.asarray(target)
    if x.ndim != 2 or classes.shape != x.shape[:1]:
        raise ShapeError(
            f"cross_entropy: x has shape {x.shape} and target {classes.shape}; "
            "they need (N, classes) and (N,)"
        )
    if classes.dtype.kind not in "iu":
        raise ArgumentError(f"cross_entropy: target has {classes.dtype}; it needs class numbers")
    if classes.size and not 0 <= classes.min() <= classes.max() < x.shape[1]:
        raise ArgumentError(
            f"cross_entropy: target runs from {classes.min()} to {classes.max()}; {x.shape[1]} "
            f"classes need 0 to {x.shape[1] - 1}"
        )
    return -ops.log_softmax(x, axis=1)[np.arange(len(classes)), classes].mean()
