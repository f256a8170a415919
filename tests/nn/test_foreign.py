"""Weights of PyTorch's come over, and what does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigan import nn
from minigan.core.errors import ModelFileError
from minigan.nn.foreign import load_foreign_weights


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))


@pytest.fixture
def state():
    return {name: np.asarray(a + 1) for name, a in network().state_dict().items()}


@pytest.fixture
def file(tmp_path, state):
    """Saves the state, changed by some."""

    def save(**changes):
        changed = {**state, **changes}
        save_file({n: a for n, a in changed.items() if a is not None}, tmp_path / "state")
        return tmp_path / "state"

    return save


def test_weights_come_over(file, state):
    net = network()
    load_foreign_weights(net, file())
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype == state[name].dtype


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_converted(file, state, dtype):
    net = network()
    load_foreign_weights(net, file(**{"0.weight": state["0.weight"].astype(dtype)}))
    found = net.state_dict()["0.weight"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, state["0.weight"], rtol=1e-3)


def test_names_behind_module_are_understood(tmp_path, state):
    save_file({f"module.{name}": a for name, a in state.items()}, tmp_path / "state")
    net = network()
    load_foreign_weights(net, tmp_path / "state")
    np.testing.assert_array_equal(net.state_dict()["0.bias"], state["0.bias"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"0.bias": None}, "needs 7 tensors; missing: 0.bias; not its own: none"),
        ({"2.weight": np.ones(3)}, "missing: none; not its own: 2.weight"),
        ({"0.bias": np.ones(4, "f4")}, r"'0.bias' has shape \(4,\); it needs \(3,\)"),
        ({"0.bias": np.ones(3, "c8")}, "'0.bias' holds complex64; it needs float32"),
        ({"1.num_batches_tracked": np.array(1.5)}, "'1.num_batches_tracked' holds float64"),
        ({"0.bias": np.array([1, np.nan, 2])}, "'0.bias' holds values that are not finite"),
        ({"0.bias": np.array([1, 1e300, 2])}, "'0.bias' holds values .* not finite in float32"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(file, changes, words):
    net = network()
    before = net.state_dict()
    path = file(**changes)
    with pytest.raises(ModelFileError, match=words) as caught:
        load_foreign_weights(net, path)
    assert str(caught.value).startswith(f"{path} does not fit: ")
    assert all(np.array_equal(a, before[name]) for name, a in net.state_dict().items())


def test_what_is_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / "state").write_bytes(b"PK\3\4 a pickle")
    with pytest.raises(ModelFileError, match="is no safetensors file"):
        load_foreign_weights(network(), tmp_path / "state")
