"""The host side of kernels/optim.cu: one step of an optimiser on one parameter, in place.

w is the parameter, g its gradient; the arrays after them are the optimiser's, contiguous and of w's
shape. The learning rate is one float64 in the device's memory, so that a captured step follows it.
"""

from __future__ import annotations

from typing import Any

from minigan.devices.launch.elementwise import assign, contiguous
from minigan.devices.launch.kernel import Array, Device, Kernel, blocks_for, launch

_ADAM_STEP = 16  # bytes of the structure AdamStep
ADAM_STEP = (_ADAM_STEP // 8,)  # as an array of float64: its shape


def sgd(device: Device, w: Array, g: Array, *, lr: Array) -> None:
    """w <- w - lr g."""
    _step(device, Kernel("optim.cu", "sgd", "w:R r:R r:f8 i4"), w, g, (), lr)


def momentum(
    device: Device, w: Array, g: Array, velocity: Array, *, lr: Array, momentum: float
) -> None:
    """v <- m v + g; w <- w - lr v."""
    kernel = Kernel("optim.cu", "momentum", "w:R r:R w:R r:f8 R i4")
    _step(device, kernel, w, g, (velocity,), lr, momentum)


def rmsprop(
    device: Device,
    w: Array,
    g: Array,
    square_average: Array,
    *,
    lr: Array,
    alpha: float,
    eps: float,
) -> None:
    """s <- a s + (1 - a) g^2; w <- w - lr g / (sqrt(s) + eps)."""
    kernel = Kernel("optim.cu", "rmsprop", "w:R r:R w:R r:f8 R R R i4")
    _step(device, kernel, w, g, (square_average,), lr, alpha, 1 - alpha, eps)


def adam(
    device: Device,
    w: Array,
    g: Array,
    mean: Array,
    square: Array,
    count: Array,
    step: Array,
    *,
    lr: Array,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Adam's next step; `count` is how many there were, `step` float64 memory of shape ADAM_STEP."""
    b1, b2 = betas
    counting = Kernel("optim.cu", "adam_count", f"w:i8 w:s{_ADAM_STEP} r:f8 f8 f8")
    launch(device, counting, w.dtype, (1,), (count, step, lr, b1, b2), block=(32,))
    kernel = Kernel("optim.cu", "adam", f"w:R r:R w:R w:R r:s{_ADAM_STEP} R R R R R i4")
    _step(device, kernel, w, g, (mean, square, step), b1, 1 - b1, b2, 1 - b2, eps)


def _step(
    device: Device, kernel: Kernel, w: Array, g: Array, state: tuple[Any, ...], *numbers: Any
) -> None:
    """Launch the kernel on all elements; a w with strides is changed in a copy and written back."""
    if not w.size:
        return
    whole = contiguous(device, w)
    args = (whole, contiguous(device, g), *state, *numbers, w.size)
    launch(device, kernel, w.dtype, blocks_for(w.size), args)
    if whole is not w:
        assign(device, w, whole)
