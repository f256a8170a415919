"""The device cuda without a GPU: everything but the GPU itself, with a stand-in for CuPy."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standin_cupy import install

import minigan as mg
from minigan import nn, optim
from minigan.core.engine import grad
from minigan.core.errors import ArgumentError, DeviceError, KernelError
from minigan.core.gradcheck import gradcheck
from minigan.devices.launch.kernel import launches
from minigan.ops.on_device import KERNELS, VIEWS
from minigan.testing.catalogue import CATALOGUE

# The stand-in is the same for all examples, so one fixture may serve them.
once = settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def gpu(monkeypatch):
    return install(monkeypatch)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def on_gpu(array, **how):
    return mg.tensor(array, device="cuda", **how)


# ---------------------------------------------------------------------- operations


@pytest.mark.parametrize("name", sorted({*KERNELS, *VIEWS}))
@once
@given(data=st.data())
def test_operations_compute_the_same_and_by_our_kernels_only(gpu, name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    arrays = [np.asarray(a) for a in call.arrays]
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    results = [
        entry.op(*(mg.tensor(a, device=device) for a in arrays), **call.params)
        for device in ("cuda", "emulator")
    ]
    assert results[0].device == "cuda"
    assert type(results[0]._array) is gpu.ndarray
    assert results[0].numpy().tobytes() == results[1].numpy().tobytes()


@pytest.mark.parametrize("name", ["conv2d", "matrix_product", "normalize", "max_pool2d", "getitem"])
@once
@given(data=st.data())
def test_gradients_flow_on_the_gpu(gpu, name, data):
    call = data.draw(CATALOGUE[name].calls)
    leaves = [mg.tensor(a, dtype=np.asarray(a).dtype) for a in call.arrays]
    leaves = [t.requires_grad_() if t.dtype.kind == "f" else t for t in leaves]
    operation = CATALOGUE[name].op

    def on_the_gpu(*inputs):
        return operation(*(x.to("cuda") for x in inputs), **call.params).to("cpu")

    assert gradcheck(on_the_gpu, leaves)


def test_a_step_of_training_gives_the_emulators_bits(gpu):
    weights = {}
    for device in ("cuda", "emulator"):
        mg.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8, relu=True), nn.Conv2d(8, 1, 3)
        ).to(device)
        adam = optim.Adam(net.parameters(), lr=0.1)
        x = mg.tensor(numbers(2, 3, 9, 9), device=device)
        for _ in range(2):
            net.zero_grad()
            loss = (net(x) ** 2).mean()
            loss.backward()
            adam.step()
        assert np.isfinite(float(loss))
        weights[device] = {**net.state_dict(), **adam.state_dict()}
    for name, value in weights["cuda"].items():
        assert type(value) is np.ndarray
        np.testing.assert_array_equal(value, weights["emulator"][name], err_msg=name)


# ---------------------------------------------------------------------- tensors


def test_tensors_come_and_go(gpu):
    x = on_gpu([[1.5, 2.0], [3.0, 4.0]])
    assert (x.device, x.shape, x.dtype) == ("cuda", (2, 2), np.float32)
    np.testing.assert_array_equal(x.numpy(), [[1.5, 2.0], [3.0, 4.0]])
    assert not x.numpy().flags.writeable
    assert x[0, 0].item() == 1.5
    assert x.T.tolist() == [[1.5, 3.0], [2.0, 4.0]]
    assert "1.5" in repr(x)
    assert "device='cuda'" in repr(x)
    np.testing.assert_array_equal(x.to("cpu").numpy(), x.numpy())
    assert mg.tensor(x).device == "cpu"
    assert mg.add(x, [1.0, 1.0]).device == "cuda"


def test_a_gradient_accumulates_in_memory_of_its_own(gpu):
    x = on_gpu(numbers(4), requires_grad=True)
    for times in (1, 2):
        (x * x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 2 * times * x.numpy(), rtol=1e-6)
    unused = on_gpu(numbers(3), requires_grad=True)
    (zero,) = grad((x * 1).sum(), [unused])
    np.testing.assert_array_equal(zero.numpy(), np.zeros(3))


def test_copy_writes_in_place_and_not_into_what_is_shown_repeatedly(gpu):
    x = on_gpu(numbers(2, 3))
    before = x._array.data.ptr
    x.copy_(numbers(3, seed=1))
    assert x._array.data.ptr == before
    np.testing.assert_array_equal(x.numpy(), [numbers(3, seed=1)] * 2)
    with pytest.raises(ArgumentError, match="repeatedly"):
        x[0].broadcast_to((4, 3)).copy_(0.0)


def test_tensors_are_pickled_through_the_host(gpu):
    x = on_gpu(numbers(2, 3), requires_grad=True)
    again = pickle.loads(pickle.dumps(x))
    assert (again.device, again.requires_grad) == ("cuda", True)
    np.testing.assert_array_equal(again.numpy(), x.numpy())


def test_modules_change_their_dtype_and_optimisers_follow_their_parameters(gpu):
    layer = nn.Linear(2, 3)
    adam = optim.Adam(layer.parameters(), lr=0.1)
    layer.to("cuda").to("float64")
    assert layer.weight.dtype == np.float64
    layer.to("float32")
    layer(on_gpu(numbers(4, 2))).sum().backward()
    adam.step()
    state = adam.state_dict()
    assert state["count.0"] == 1
    adam.load_state_dict({**state, "mean.0": np.ones((3, 2), np.float32)})
    np.testing.assert_array_equal(adam.state_dict()["mean.0"], np.ones((3, 2)))


def test_indices_outside_are_left_out_because_the_host_does_not_look(gpu):
    x = on_gpu(np.ones((1, 1, 2, 2)))
    indices = on_gpu(np.array([[[[3, 4]]]]))
    np.testing.assert_array_equal(mg.gather2d(x, indices).numpy(), [[[[1.0, np.nan]]]])
    scattered = mg.scatter2d(on_gpu(np.ones((1, 1, 1, 2))), indices, input_size=(2, 2))
    np.testing.assert_array_equal(scattered.numpy(), [[[[0, 0], [0, 1]]]])


def test_a_file_is_compiled_once_for_the_same_macros(gpu, monkeypatch):
    made = []
    real = gpu.RawModule
    monkeypatch.setattr(gpu, "RawModule", lambda **how: made.append(how) or real(**how))
    x = on_gpu(numbers(3))
    with launches() as log:
        mg.exp(mg.exp(x))
        mg.exp(on_gpu(numbers(3).astype(np.float64), dtype=mg.float64))
    assert [launch.symbol for launch in log] == ["exp_"] * 3
    assert [{o for o in how["options"] if "REAL" in o} for how in made] == [
        {"-DREAL=float"},
        {"-DREAL=double"},
    ]


# ---------------------------------------------------------------------- what can be missing


def test_without_cupy_the_sentence_has_the_command(monkeypatch):
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"needs CuPy.*pip install 'minigan\[cuda13\]'"):
        mg.tensor([1.0], device="cuda")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"driver": 0}, "needs a GPU by NVIDIA and its driver; this machine has none"),
        (
            {"driver": 12040},
            r"the driver is for CUDA 12.4, and this CuPy needs CUDA 13: install driver 580 or newer.*"
            r"pip install 'minigan\[cuda12\]'",
        ),
        ({"gpus": 0}, "the driver shows none"),
        ({"gpus": -1}, "cannot be had: cudaErrorNoDevice"),
    ],
)
def test_a_machine_that_cannot_is_told_why(monkeypatch, machine, words):
    install(monkeypatch, **machine)
    with pytest.raises(DeviceError, match=words):
        mg.tensor([1.0], device="cuda")


def test_out_of_memory_says_how_much_and_what_helps(monkeypatch):
    install(monkeypatch, memory=2**20)
    with pytest.raises(DeviceError, match=r"2 MiB were asked for, 0 MiB of 1 MiB.*--batch.*--tile"):
        mg.tensor(np.zeros(2**19, np.float32), device="cuda")
    x = mg.tensor(np.zeros((2**17, 1), np.float32), device="cuda")
    with pytest.raises(DeviceError, match="256 MiB were asked for"):
        x + mg.tensor(np.zeros((1, 512), np.float32), device="cuda")


def test_tensors_of_two_devices_are_refused(gpu):
    with pytest.raises(DeviceError, match="on 'cuda' and another on 'cpu'"):
        on_gpu([1.0]) + mg.tensor([1.0])


def test_a_gradient_to_start_from_has_to_be_on_the_outputs_device(gpu):
    y = on_gpu([1.0, 2.0], requires_grad=True) * 2
    with pytest.raises(DeviceError, match=r"from is on 'cpu'; it needs .* 'cuda'"):
        y.backward(mg.tensor([1.0, 1.0]))


def test_a_kernel_that_does_not_compile_comes_with_its_file_and_line(gpu, monkeypatch, tmp_path):
    (tmp_path / "functions.cu").write_text('extern "C" __global__ void exp_() {\n    nothing;\n}\n')
    monkeypatch.setenv("MINIGAN_KERNELS", str(tmp_path))
    with pytest.raises(KernelError, match=r"functions\.cu does not compile:(.|\n)*:2:.*nothing"):
        mg.exp(on_gpu([1.0]))
