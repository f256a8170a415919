"""Finite differences against the engine, for first and second derivatives.

The central difference (f(x + e) - f(x - e)) / 2e is wrong by about e^2 f'''/6 + u |f| / e, where u is
the rounding unit. In float64, u = 1.1e-16 and e = 1e-5 leave some 1e-10; in float32 nothing useful is
left, so float64 is required.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigan.core.engine import grad
from minigan.core.errors import ArgumentError, GradientMismatchError
from minigan.core.tensor import Array, Shape, Tensor

Outputs = Tensor | Sequence[Tensor]


def gradcheck(
    function: Callable[..., Outputs],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    seed: int = 0,
) -> bool:
    """Compare the gradient of `function(*inputs)` with central differences, element by element.

    inputs  float64 tensors; those with requires_grad are varied
    eps     the step; one element at a time is moved by it in both directions

    The outputs are contracted with random numbers v, and d<v, f(x)>/dx_i is compared for every i:
    |engine - difference| <= atol + rtol |difference|. Returns True or raises GradientMismatchError,
    which names the input and the element that differ most.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else inputs
    varied = _varied("gradcheck", inputs)
    outputs = _listed(function(*inputs))
    rng = np.random.default_rng(seed)
    weights = [_random(rng, t.shape) for t in outputs]
    recorded = [(t, Tensor(w)) for t, w in zip(outputs, weights, strict=True) if t.requires_grad]
    wanted = [inputs[i] for i in varied]
    if recorded:
        engine = grad([t for t, _ in recorded], wanted, [w for _, w in recorded])
    else:
        engine = tuple(Tensor(np.zeros(t.shape)) for t in wanted)  # nothing depends on the inputs
    for i, analytic in zip(varied, engine, strict=True):
        numeric = _differences(function, inputs, i, weights, eps)
        _compare(i, analytic.numpy(), numeric, rtol, atol)
    return True


def gradgradcheck(
    function: Callable[..., Outputs],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    seed: int = 0,
) -> bool:
    """Compare second derivatives: gradcheck of the gradient, in the inputs and in what flows in."""
    inputs = [inputs] if isinstance(inputs, Tensor) else inputs
    rng = np.random.default_rng(seed + 1)
    varied = _varied("gradgradcheck", inputs)
    outputs = [t for t in _listed(function(*inputs)) if t.requires_grad]
    flows = [Tensor(_random(rng, t.shape)).requires_grad_() for t in outputs]
    n = len(inputs)

    def gradient(*arguments: Tensor) -> Sequence[Tensor]:
        results = [t for t in _listed(function(*arguments[:n])) if t.requires_grad]
        wanted = [arguments[i] for i in varied]
        return grad(results, wanted, arguments[n:], create_graph=True)

    if not flows:
        return True  # the function is constant, and so is its gradient
    return gradcheck(gradient, [*inputs, *flows], eps=eps, rtol=rtol, atol=atol, seed=seed)


def _varied(check: str, inputs: Sequence[Tensor]) -> list[int]:
    """The places of the inputs that require a gradient; there must be one, and all in float64."""
    varied = [i for i, t in enumerate(inputs) if t.requires_grad]
    if not varied:
        raise ArgumentError(f"{check}: no input requires a gradient; it needs at least one")
    for i in varied:
        if inputs[i].dtype != np.float64:
            raise ArgumentError(
                f"{check}: input {i} has dtype {inputs[i].dtype}; it needs float64, because "
                "differences drown in float32's rounding"
            )
    return varied


def _random(rng: np.random.Generator, shape: Shape) -> Array:
    """Numbers of magnitude 0.5 to 1.5 and either sign: none so small that it hides an error."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape))


def _listed(outputs: Outputs) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def _differences(
    function: Callable[..., Outputs],
    inputs: Sequence[Tensor],
    index: int,
    weights: Sequence[Array],
    eps: float,
) -> Array:
    """(<v, f(x + e)> - <v, f(x - e)>) / 2e for each element of one input."""
    base = inputs[index]._array
    result = np.zeros(base.shape)
    for element in np.ndindex(base.shape):
        values = []
        for sign in (1, -1):
            moved = base.copy()
            moved[element] += sign * eps
            arguments = list(inputs)
            # It records even here: the function itself may take gradients, as gradgradcheck's does.
            arguments[index] = Tensor(moved).requires_grad_()
            outputs = _listed(function(*arguments))
            values.append([t.numpy() for t in outputs])
        with np.errstate(invalid="ignore"):  # inf - inf
            result[element] = sum(
                float(np.sum(w * (plus - minus)))
                for w, plus, minus in zip(weights, *values, strict=True)
            ) / (2 * eps)
    return result


def _compare(index: int, analytic: Array, numeric: Array, rtol: float, atol: float) -> None:
    with np.errstate(invalid="ignore"):  # inf - inf
        excess = np.abs(analytic - numeric) - (atol + rtol * np.abs(numeric))
    if excess.size == 0 or (np.all(np.isfinite(excess)) and excess.max() <= 0):
        return
    where = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), excess.shape)
    raise GradientMismatchError(
        f"gradcheck: input {index}, element {tuple(int(i) for i in where)}: the engine gives "
        f"{analytic[where]:.10g}, the finite difference {numeric[where]:.10g}"
    )
