"""Steps for games, where each player goes downhill on a surface that the other player moves.

Gradient descent of all players at once need not arrive: on f(x, y) = x y, where x descends and y
ascends, it spirals outwards. These two look a step ahead, and spiral inwards. Both are used in the
place of an optimiser, one for each player, or one for the parameters of all.

F_t stands for the gradients at the players' parameters z_t, each of its own loss.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigan import devices
from minigan.core.errors import ArgumentError
from minigan.core.graph import no_grad
from minigan.core.tensor import Array, Tensor
from minigan.optim.optimizers import Optimizer


class Extragradient:
    """A step by the gradient at where a first step would lead (Korpelevich 1976).

        z' = z_t - lr F(z_t)                 extrapolate(), with gradients at z_t
        z_{t+1} = z_t - lr F(z')             step(), with gradients at z'

    All players extrapolate before the gradients at z' are taken. With another optimiser than SGD inside,
    both are its steps, and both go into its averages (Gidel et al. 2019, algorithm 4).
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self._from: list[Tensor] | None = None

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.optimizer.zero_grad()

    def extrapolate(self) -> None:
        """Go to where a step would lead, and remember from where."""
        if self._from is not None:
            raise ArgumentError(
                "Extragradient: extrapolate() was called twice; it needs step() between"
            )
        self._from = [_copied(p) for p in self.optimizer.params]
        self.optimizer.step()

    def step(self) -> None:
        """From where `extrapolate` was called, a step by the gradients of now."""
        if self._from is None:
            raise ArgumentError("Extragradient: step() needs extrapolate() before it")
        for p, before in zip(self.optimizer.params, self._from, strict=True):
            p.copy_(before)
        self._from = None
        self.optimizer.step()

    def state_dict(self) -> dict[str, Array]:
        """The optimiser's; between two whole steps there is nothing else to keep."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """The optimiser's."""
        self.optimizer.load_state_dict(state)


class Optimistic:
    """A step by the gradient that is foretold: as it was, plus how it changed (Popov 1980).

        z_{t+1} = z_t - 2 lr F_t + lr F_{t-1}

    The first step, which knows no gradient before, is plain. With another optimiser than SGD inside, its
    steps take the place of lr F (with Adam: Daskalakis et al. 2018, algorithm 1).
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self._moved: list[Tensor] | None = None  # by the optimiser's last step

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.optimizer.zero_grad()

    def step(self) -> None:
        """The optimiser's step once more, less its last one."""
        params = self.optimizer.params
        before = [_copied(p) for p in params]
        self.optimizer.step()
        with no_grad():
            moved = [p - old for p, old in zip(params, before, strict=True)]
            for p, now, last in zip(params, moved, self._moved or moved, strict=True):
                p.copy_(p + (now - last))
        self._moved = moved

    def state_dict(self) -> dict[str, Array]:
        """The optimiser's, and by how much its last step moved each parameter, as "moved.0"."""
        moved = self._moved or []
        arrays = {f"moved.{i}": t.numpy().copy() for i, t in enumerate(moved)}
        return {**self.optimizer.state_dict(), **arrays}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over what `state_dict` gave; nothing is changed unless everything fits."""
        own = {name: array for name, array in state.items() if not name.startswith("moved.")}
        params = self.optimizer.params
        moved = [state[f"moved.{i}"] for i in range(len(state) - len(own)) if f"moved.{i}" in state]
        shapes = [np.shape(array) for array in moved]
        if moved and shapes != [p.shape for p in params]:
            raise ArgumentError(
                f"load_state_dict: Optimistic over {len(params)} parameters was given movements of "
                f"shapes {shapes}; it needs {[p.shape for p in params]}, or none"
            )
        self.optimizer.load_state_dict(own)
        self._moved = [
            Tensor(devices.moved(np.asarray(array, p.dtype), "cpu", p.device), device=p.device)
            for p, array in zip(params, moved, strict=False)
        ] or None


def _copied(p: Tensor) -> Tensor:
    return Tensor(devices.moved(p._array, p.device, p.device), device=p.device)
