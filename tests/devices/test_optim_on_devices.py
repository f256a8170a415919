"""Training on a device: optimisers through kernels, modules that move, statistics that stay there."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan import nn, optim
from minigan.core.errors import DeviceError, ShapeError
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.launch.kernel import launches
from minigan.ops import mean

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.Momentum(p, lr=0.05, momentum=0.8),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, alpha=0.9),
    "adam": lambda p: optim.Adam(p, lr=0.01, betas=(0.5, 0.999)),
}
SYMBOLS = {"adam": ["adam_count", "adam"]}

each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def numbers(shape, dtype=np.float32, seed=0):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def leaf(array, device):
    return Tensor(np.array(array), device=device).requires_grad_()


def stepped(name, device, array, gradients):
    """The parameter and the optimiser's state after a step with each gradient; None is no gradient."""
    w = leaf(array, device)
    optimizer = OPTIMIZERS[name]([w])
    for g in gradients:
        w.grad = None if g is None else Tensor(np.asarray(g, array.dtype), device=device)
        optimizer.step()
    return w.numpy(), optimizer.state_dict()


@each_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (1,), (7, 5), (1000,), (0, 3)])
def test_steps_agree_with_the_cpus(name, dtype, shape):
    array = numbers(shape, dtype)
    gradients = [
        numbers(shape, seed=1),
        None,
        numbers(shape, seed=2),
        1e-4 * numbers(shape, seed=3),
    ]
    with checking() as reports, launches() as log:
        w, state = stepped(name, "emulator", array, gradients)
    w_cpu, state_cpu = stepped(name, "cpu", array, gradients)
    close = {"rtol": 3e-6, "atol": 1e-7} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-14}
    np.testing.assert_allclose(w, w_cpu, **close)
    assert state.keys() == state_cpu.keys()
    for key, expected in state_cpu.items():
        np.testing.assert_allclose(state[key], expected, **close)
    if array.size:
        symbols = [launch.symbol for launch in log if launch.symbol != "fill"]  # the state's zeros
        assert symbols == 3 * SYMBOLS.get(name, [name])
    assert [str(f) for _, report in reports for f in report.findings] == []


@each_optimizer
def test_parameters_and_gradients_with_strides(name):
    array, g = numbers((6, 5)), numbers((5, 6), seed=1)
    results = []
    for device in ("cpu", "emulator"):
        w = Tensor(np.array(array).T[::-1], device=device).requires_grad_()
        w.grad = Tensor(g[:, ::-1], device=device)
        OPTIMIZERS[name]([w]).step()
        results.append(w.numpy())
    np.testing.assert_allclose(*results, rtol=3e-6, atol=1e-7)


def test_adam_counts_its_steps_on_the_device():
    w = leaf(numbers((3,)), "emulator")
    adam = optim.Adam([w])
    count = adam.state["count"][0]
    address = count.ctypes.data
    for _ in range(3):
        w.grad = Tensor(np.ones(3, np.float32), device="emulator")
        adam.step()
    assert (int(count), count.ctypes.data) == (3, address)
    adam.load_state_dict({**adam.state_dict(), "count.0": np.array(10)})
    w.grad = Tensor(np.ones(3, np.float32), device="emulator")
    adam.step()
    assert (int(count), adam.state["count"][0].ctypes.data) == (11, address)


def test_a_backward_pass_after_a_step_on_a_device_is_refused():
    w = leaf(numbers((3,)), "emulator")
    loss = (w * w).sum()
    w.grad = Tensor(np.ones(3, np.float32), device="emulator")
    optim.SGD([w]).step()
    with pytest.raises(mg.VersionError):
        loss.backward()


def test_an_optimizer_without_kernels_says_so():
    class Mine(optim.Optimizer):
        def update(self, w, g, *state):
            w -= g

    w = leaf(numbers((3,)), "emulator")
    w.grad = Tensor(np.ones(3, np.float32), device="emulator")
    with pytest.raises(DeviceError, match="Mine: there is no kernel for device 'emulator'"):
        Mine([w], 0.1).step()


# ---------------------------------------------------------------------- copy_


def test_copy_writes_into_a_devices_memory_with_a_kernel():
    w = leaf(numbers((3, 4)), "emulator")
    before = w.detach()
    with launches() as log:
        w.copy_(Tensor(numbers((3, 4), np.float64, seed=1)))  # from the CPU, and from another dtype
        w.copy_(w.detach() * 2)
    assert [launch.symbol for launch in log] == ["assign", "mul", "assign"]
    np.testing.assert_array_equal(before.numpy(), 2 * numbers((3, 4), np.float64, 1).astype("f4"))
    w.copy_([1, 2, 3, 4])
    np.testing.assert_array_equal(w.numpy(), np.broadcast_to([1, 2, 3, 4], (3, 4)))
    w.copy_(7)
    np.testing.assert_array_equal(w.numpy(), np.full((3, 4), 7))
    with pytest.raises(ShapeError, match="copy_: source has shape"):
        w.copy_(numbers((4, 3)))
    cpu = leaf(numbers((3, 4)), "cpu")
    np.testing.assert_array_equal(cpu.copy_(w).numpy(), w.numpy())


def test_copy_from_the_same_memory_turned():
    x = numbers((5, 5))
    t = Tensor(x.copy(), device="emulator")
    t.copy_(t.transpose(1, 0))
    np.testing.assert_array_equal(t.numpy(), x.T)
    part = Tensor(np.zeros((5, 5), np.float32)[::-1, ::2], device="emulator")
    with checking() as reports:
        part.copy_(x[:, :3])
    np.testing.assert_array_equal(part.numpy(), x[:, :3])
    assert [f for _, report in reports for f in report.findings] == []


# ---------------------------------------------------------------------- modules


class Tiny(nn.Module):
    """A small network with what moves: parameters, and buffers of two dtypes."""

    def __init__(self):
        super().__init__()
        mg.manual_seed(3)
        # A bias before a norm has no gradient but rounding, which RMSprop and Adam would blow up.
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.inner = nn.Conv2d(4, 4, 3, stride=2, bias=False)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.head = nn.Linear(4 * 3 * 3, 5)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        x = mg.leaky_relu(self.instance(self.inner(x)))
        return self.head(x.flatten(1))


def test_a_module_moves_with_all_it_has_and_its_parameters_stay_leaves():
    module = Tiny()
    before = module.state_dict()
    parameters = module.parameters()
    module.head.bias.grad = Tensor(np.ones(5, np.float32))
    assert module.to("emulator") is module
    assert {t.device for _, t in module.named_tensors()} == {"emulator"}
    assert all(a is b for a, b in zip(parameters, module.parameters(), strict=True))
    assert all(p.is_leaf and p.requires_grad for p in parameters)
    assert not module.norm.running_mean.requires_grad
    assert module.head.bias.grad.device == "emulator"
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    module.load_state_dict(before)
    assert {t.device for _, t in module.named_tensors()} == {"emulator"}
    module.to("cpu").to("float64")
    assert {t.device for _, t in module.named_tensors()} == {"cpu"}
    assert all(p.is_leaf and p.requires_grad and p.dtype == np.float64 for p in parameters)


def test_a_graph_from_before_the_move_is_refused():
    module = nn.Linear(3, 2)
    loss = (module(leaf(numbers((4, 3)), "cpu")) ** 2).sum()
    module.to("emulator")
    with pytest.raises(mg.VersionError):
        loss.backward()


def trained(device, name, steps):
    """The losses and the state of a small network trained on a device."""
    module = Tiny().to(device)
    optimizer = OPTIMIZERS[name](module.parameters())
    losses = []
    for step in range(steps):
        x = mg.tensor(numbers((6, 1, 8, 8), seed=step), device=device)
        target = mg.tensor(np.arange(6) % 5, device=device).reshape(6, 1)
        classes = mg.tensor(np.arange(5), device=device)
        picked = mg.log_softmax(module(x)) * (target == classes).to(np.float32)
        loss = -mean(picked.sum(axis=1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, module


@each_optimizer
def test_training_on_a_device_follows_the_cpu(name):
    expected, on_cpu = trained("cpu", name, 6)
    with launches() as log:
        losses, module = trained("emulator", name, 6)
    np.testing.assert_allclose(losses, expected, rtol=2e-5)
    used = {launch.symbol for launch in log}
    assert {*SYMBOLS.get(name, [name]), "normalize_by_warp", "assign"} <= used
    ours, theirs = module.state_dict(), on_cpu.state_dict()
    assert ours["norm.num_batches_tracked"] == 6
    for key in ("norm.running_mean", "norm.running_var"):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-4, atol=1e-5)
    module.eval(), on_cpu.eval()
    x = numbers((2, 1, 8, 8), seed=99)
    np.testing.assert_allclose(
        module(Tensor(x, device="emulator")).numpy(), on_cpu(Tensor(x)).numpy(), atol=1e-3
    )


def test_beside_workers_a_devices_parameters_move_on_the_callers_thread():
    """Kernels are launched, and recorded, by the thread that asks for the step."""
    params = [
        leaf(numbers((300, 1000), seed=i), device) for i, device in enumerate(("cpu", "emulator"))
    ]
    for p in params:
        p.grad = Tensor(numbers(p.shape, seed=2)).to(p.device)
    with workers(2), launches() as log:
        optim.SGD(params).step()
    assert [launch.symbol for launch in log if launch.symbol == "sgd"] == ["sgd"]
