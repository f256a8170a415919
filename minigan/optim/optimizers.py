"""Optimisers: each turns the gradients of parameters into a step, in place.

w is a parameter, g its gradient, lr the learning rate. Where a rule exists in several forms, it is
PyTorch's, so that its documentation applies and tests can compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minigan import devices
from minigan.core.errors import ArgumentError, DeviceError, brief
from minigan.core.tensor import Array, Tensor
from minigan.devices.cpu import adam as cpu
from minigan.devices.cpu.threads import share_out
from minigan.devices.launch import optim as kernels
from minigan.devices.launch.kernel import Device

_SECONDS_EACH = 1e-9  # for a parameter, on one thread


class Optimizer:
    """What all optimisers share: the parameters, the rate, and a state of arrays beside each parameter.

    Subclasses name their arrays in `slots` and define `update(w, g, *arrays)`, which changes w and the
    arrays in place.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Tensor], lr: float):
        self.params = _listed(type(self).__name__, params)
        if not self.params:
            raise ArgumentError(f"{type(self).__name__}: got no parameters; it needs at least one")
        for i, p in enumerate(self.params):
            if not isinstance(p, Tensor) or not (p.requires_grad and p.is_leaf):
                raise ArgumentError(
                    f"{type(self).__name__}: parameter {i} is no leaf that requires a gradient"
                )
            if any(p is other for other in self.params[:i]):
                raise ArgumentError(
                    f"{type(self).__name__}: parameter {i} is there twice; it needs to be there once"
                )
        self._rates: dict[str, Array] = {}  # the learning rate in the memory of each device
        self.lr = _in_range(type(self).__name__, "lr", lr)
        self.steps = 0
        self.state: dict[str, list[Array]] = {
            name: [_zeros(p) for p in self.params] for name in self.slots
        }
        self._homes = [p.device for p in self.params]  # of each parameter's state

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        self.steps += 1
        moving = [i for i, p in enumerate(self.params) if p.grad is not None]
        for i in moving:
            self._follow(i)
        halves = self._halves(moving)
        seconds = _SECONDS_EACH * sum(self.params[i].numel() for i in moving)
        with np.errstate(all="ignore"):
            share_out(lambda half: self._update_all(halves[half]), len(halves), seconds)

    def _halves(self, numbers: Sequence[int]) -> list[list[int]]:
        """The parameters in two parts of like size, for two threads; a device gets all from one."""
        if any(self.params[i].device != "cpu" for i in numbers):
            return [list(numbers)]
        sizes = {i: self.params[i].numel() for i in numbers}
        halves: list[list[int]] = [[], []]
        for i in sorted(numbers, key=lambda i: -sizes[i]):
            min(halves, key=lambda half: sum(sizes[j] for j in half)).append(i)
        return halves

    def _update_all(self, numbers: Sequence[int]) -> None:
        """The rule for some parameters, one after the other."""
        for i in numbers:
            p = self.params[i]
            assert p.grad is not None
            arrays = (p._array, p.grad._array, *(self.state[name][i] for name in self.slots))
            if p.device == "cpu":
                self.update(*arrays)
            else:
                self.update_on(devices.device(p.device), *arrays)
            p._version[0] += 1

    @property
    def lr(self) -> float:
        """The learning rate; it may be changed at any time."""
        return self._lr

    @lr.setter
    def lr(self, rate: float) -> None:
        self._lr = rate
        for name, array in self._rates.items():
            devices.write(array, name, devices.device(name).from_host(np.array([rate])))

    def rate_on(self, device: Device) -> Array:
        """The learning rate in the memory of `device`: one float64, always in the same place."""
        if device.name not in self._rates:
            self._rates[device.name] = device.from_host(np.array([self._lr]))
        return self._rates[device.name]

    def _follow(self, i: int) -> None:
        """Bring a parameter's state to where the parameter has been moved since."""
        source, target = self._homes[i], self.params[i].device
        if source != target:
            for arrays in self.state.values():
                arrays[i] = devices.moved(arrays[i], source, target)
            self._homes[i] = target

    def update(self, w: Array, g: Array, *state: Array) -> None:
        """The rule for one parameter, in place."""
        raise NotImplementedError

    def update_on(self, device: Device, w: Array, g: Array, *state: Array) -> None:
        """The same through a kernel of ours, for a parameter that lives on `device`."""
        raise DeviceError(
            f"{type(self).__name__}: there is no kernel for device {device.name!r}; it needs "
            "parameters on 'cpu'"
        )

    def state_dict(self) -> dict[str, Array]:
        """The count of steps and copies of all arrays, as "momentum.3" for the fourth parameter's."""
        arrays = {
            f"{name}.{i}": devices.to_host(a, self._homes[i]).copy()
            for name in self.slots
            for i, a in enumerate(self.state[name])
        }
        return {"steps": np.array(self.steps), **arrays}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over what `state_dict` gave; nothing is changed unless everything fits."""
        own, where = self.state_dict(), f"load_state_dict: {type(self).__name__}"
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())
            raise ArgumentError(
                f"{where} over {len(self.params)} parameters needs {len(own)} arrays; "
                f"missing or not its own: {', '.join(odd[:3])}{' ...' if len(odd) > 3 else ''}"
            )
        for name, array in own.items():
            given = np.asarray(state[name])
            if given.shape != array.shape or not np.can_cast(given.dtype, array.dtype, "same_kind"):
                raise ArgumentError(
                    f"{where}: {name!r} has shape {given.shape} and dtype {given.dtype}; it needs "
                    f"{array.shape} and {array.dtype}"
                )
        self.steps = int(state["steps"])
        for name in self.slots:
            for i, array in enumerate(self.state[name]):
                given = np.asarray(state[f"{name}.{i}"])
                home = self._homes[i]
                devices.write(array, home, devices.moved(given, "cpu", home))


class SGD(Optimizer):
    """w <- w - lr g."""

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3):
        super().__init__(params, lr)

    def update(self, w: Array, g: Array, *state: Array) -> None:
        """w <- w - lr g."""
        w -= self.lr * g

    def update_on(self, device: Device, w: Array, g: Array, *state: Array) -> None:
        """The same through a kernel."""
        kernels.sgd(device, w, g, lr=self.rate_on(device))


class Momentum(Optimizer):
    """v <- m v + g; w <- w - lr v (Polyak 1964; as in PyTorch's SGD with momentum)."""

    slots = ("velocity",)

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.9):
        super().__init__(params, lr)
        self.momentum = _in_range("Momentum", "momentum", momentum, below=1)

    def update(self, w: Array, g: Array, *state: Array) -> None:
        """v <- m v + g; w <- w - lr v."""
        (v,) = state
        v *= self.momentum
        v += g
        w -= self.lr * v

    def update_on(self, device: Device, w: Array, g: Array, *state: Array) -> None:
        """The same through a kernel."""
        lr = self.rate_on(device)
        kernels.momentum(device, w, g, *state, lr=lr, momentum=self.momentum)


class RMSprop(Optimizer):
    """s <- a s + (1 - a) g^2; w <- w - lr g / (sqrt(s) + eps) (Tieleman & Hinton 2012, lecture 6.5)."""

    slots = ("square_average",)

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8
    ):
        super().__init__(params, lr)
        self.alpha = _in_range("RMSprop", "alpha", alpha, below=1)
        self.eps = _in_range("RMSprop", "eps", eps)

    def update(self, w: Array, g: Array, *state: Array) -> None:
        """s <- a s + (1 - a) g^2; w <- w - lr g / (sqrt(s) + eps)."""
        (s,) = state
        s *= self.alpha
        s += (1 - self.alpha) * g * g
        w -= self.lr * g / (np.sqrt(s) + self.eps)

    def update_on(self, device: Device, w: Array, g: Array, *state: Array) -> None:
        """The same through a kernel."""
        lr = self.rate_on(device)
        kernels.rmsprop(device, w, g, *state, lr=lr, alpha=self.alpha, eps=self.eps)


class Adam(Optimizer):
    """Moments of the gradient, corrected for their start at 0 (Kingma & Ba 2015, algorithm 1).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    at the t-th step at which the parameter has a gradient.
    """

    slots = ("mean", "square", "count")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ):
        super().__init__(params, lr)
        self.betas = _pair_of_betas(betas)
        self.eps = _in_range("Adam", "eps", eps)
        integers = np.dtype(np.int64)
        self.state["count"] = [devices.full(p.device, (), 0, integers) for p in self.params]
        self._shared: dict[str, Array] = {}  # by device: memory for what a step's elements share

    def update(self, w: Array, g: Array, *state: Array) -> None:
        """One step of the rule above."""
        m, v, count = state
        count += 1
        cpu.adam(w, g, m, v, int(count), self.lr, self.betas, self.eps)

    def update_on(self, device: Device, w: Array, g: Array, *state: Array) -> None:
        """The same through kernels, which count the steps on the device."""
        if device.name not in self._shared:
            self._shared[device.name] = device.empty(kernels.ADAM_STEP, np.float64)
        lr = self.rate_on(device)
        how: dict[str, Any] = {"lr": lr, "betas": self.betas, "eps": self.eps}
        mean, square, count = state
        kernels.adam(device, w, g, mean, square, count, self._shared[device.name], **how)


def _zeros(p: Tensor) -> Array:
    """An array beside a parameter; on the CPU it lies in memory like it, for both to be read in order."""
    if p.device == "cpu":
        return np.zeros_like(p._array)
    return devices.full(p.device, p.shape, 0, p.dtype)


def _listed(optimizer: str, params: Iterable[Tensor]) -> list[Tensor]:
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        hint = ", its .parameters()" if hasattr(params, "parameters") else ""
        raise ArgumentError(
            f"{optimizer}: params is {brief(params)}; it needs a list of tensors{hint}"
        )
    return list(params)


def _in_range(optimizer: str, name: str, value: float, below: float = math.inf) -> float:
    if not isinstance(value, float | int | np.number) or not 0 <= value < below:
        end = "" if below == math.inf else f" and below {below:g}"
        raise ArgumentError(
            f"{optimizer}: {name} is {value!r}; it needs a finite number of at least 0{end}"
        )
    return float(value)  # a NumPy number would pull float32 arrays up to float64 on its way


def _pair_of_betas(betas: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ArgumentError(f"Adam: betas is {betas!r}; it needs two numbers")
    return _in_range("Adam", "beta 1", betas[0], 1), _in_range("Adam", "beta 2", betas[1], 1)
