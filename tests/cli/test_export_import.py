"""minigan export and minigan import as their users call them."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from minigan.cli.main import main
from minigan.core.graph import no_grad
from minigan.core.tensor import Tensor
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model, load_model, save_model
from minigan.deblur.networks import GeneratorSettings, new_generator
from minigan.gan import train as gan
from minigan.gan.run import load_generator, save_generator
from minigan.gan.train import GanSettings
from minigan.ops.random import Generator as Random
from minigan.serialize import save

SETTINGS = GeneratorSettings(width=3, blocks=2, norm="instance")


@pytest.fixture
def deblurring(tmp_path):
    """A model in a run folder."""
    filters = LeastSquaresFilter()
    filters.kernel = np.ones((9, 9), np.float32) / 81
    (tmp_path / "run").mkdir()
    path = tmp_path / "run/model.safetensors"
    save_model(path, Model(new_generator(SETTINGS), SETTINGS, 32, BlurSettings(), ["a"], filters))
    return path


@pytest.fixture
def digits(tmp_path):
    settings = GanSettings(size=8, width=2)
    save_generator(
        tmp_path / "digits.safetensors", settings, gan.new_generator(settings, Random(0))
    )
    return tmp_path / "digits.safetensors"


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def refused(result, *words):
    """Exit status 2, and nothing but one sentence with these words on standard error."""
    assert result.exit_code == 2, result.output
    (message,) = result.stderr.splitlines()
    assert message.startswith("Error: ")
    for word in words:
        assert str(word) in message, message


# ---------------------------------------------------------------------- export


@pytest.mark.parametrize("folder", [False, True])
def test_a_deblurring_model_is_exported(deblurring, tmp_path, folder):
    out = tmp_path / "model.onnx"
    result = call("export", deblurring.parent if folder else deblurring, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: {out.stat().st_size / 1000:,.0f} kB\n"
    x = np.random.default_rng(0).random((2, 3, 13, 10), dtype=np.float32)
    (y,) = onnxruntime.InferenceSession(out).run(None, {"blurry": x})
    np.testing.assert_allclose(y, x, atol=1e-5)  # an untrained generator is the identity


def test_a_generator_of_pictures_is_exported(digits, tmp_path):
    result = call("export", digits, "-o", tmp_path / "model.onnx")
    assert result.exit_code == 0, result.output
    noise = np.zeros((4, 1, 3, 3), np.float32)
    (y,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"noise": noise})
    assert y.shape == (4, 1, 8, 8)


def test_export_refuses_what_is_no_model(deblurring, tmp_path):
    out = tmp_path / "model.onnx"
    save(tmp_path / "other", {}, {"kind": "critic"})
    refused(call("export", tmp_path / "none", "-o", out), "none does not exist")
    refused(call("export", tmp_path, "-o", out), "is a folder without model.safetensors")
    refused(call("export", tmp_path / "other", "-o", out), "of the kind 'critic'")
    deblurring.write_bytes(deblurring.read_bytes()[:-1])
    refused(call("export", deblurring, "-o", out), "is damaged")
    assert not out.exists()


def test_export_replaces_nothing_unless_told(deblurring, tmp_path):
    out = tmp_path / "model.onnx"
    out.write_bytes(b"mine")
    refused(call("export", deblurring, "-o", out), "is there already", "--force")
    assert out.read_bytes() == b"mine"
    assert call("export", deblurring, "-o", out, "--force").exit_code == 0
    refused(call("export", deblurring, "-o", tmp_path), "it is a folder")
    refused(call("export", deblurring, "-o", tmp_path / "no/model.onnx"), "does not exist")
    refused(call("export", deblurring), "-o")


def test_export_without_onnx_says_how_to_install_it(deblurring, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused(call("export", deblurring, "-o", tmp_path / "a"), "pip install 'minigan[onnx]'")
    assert not (tmp_path / "a").exists()


# ---------------------------------------------------------------------- import


def pytorch_twin():
    """The deblurring generator of `SETTINGS` as somebody would build it with PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no weights of its own")
    w, F = SETTINGS.width, torch.nn.functional

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(4 * w, 4 * w, 3, padding=1)
            self.conv2 = torch.nn.Conv2d(4 * w, 4 * w, 3, padding=1)
            self.norm1, self.norm2 = (torch.nn.InstanceNorm2d(4 * w) for _ in range(2))

        def forward(self, x):
            return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.enter = torch.nn.Conv2d(3, w, 3, padding=1)
            self.down1 = torch.nn.Conv2d(w, 2 * w, 3, stride=2, padding=1)
            self.down2 = torch.nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1)
            self.blocks = torch.nn.Sequential(*(Block() for _ in range(SETTINGS.blocks)))
            self.up1 = torch.nn.Conv2d(4 * w, 2 * w, 3, padding=1)
            self.up2 = torch.nn.Conv2d(2 * w, w, 3, padding=1)
            self.leave = torch.nn.Conv2d(w, 3, 3, padding=1)

        def forward(self, blurry):
            fine = F.relu(self.enter(blurry - 0.5))
            middle = F.relu(self.down1(fine))
            coarse = self.blocks(F.relu(self.down2(middle)))
            middle = F.relu(self.up1(F.interpolate(coarse, scale_factor=2))) + middle
            fine = F.relu(self.up2(F.interpolate(middle, scale_factor=2))) + fine
            return blurry + self.leave(fine)

    torch.manual_seed(0)
    return torch, Twin()


def test_a_state_dict_of_pytorchs_becomes_a_model(deblurring, tmp_path):
    torch, twin = pytorch_twin()
    from safetensors.torch import save_file as save_state

    save_state(twin.state_dict(), tmp_path / "state.safetensors")
    out = tmp_path / "model.safetensors"
    result = call("import", tmp_path / "state.safetensors", "--like", deblurring.parent, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"The model: {out}\n"
    model = load_model(out)
    assert model.notes == {
        "imported from": "state.safetensors",
        "built like": str(deblurring.parent),
    }
    assert (model.crop, model.seen) == (32, ["a"])
    x = np.random.default_rng(0).random((2, 3, 16, 24), dtype=np.float32)
    with no_grad():
        ours = model.generator(Tensor(x)).numpy()
    theirs = twin(torch.tensor(x)).detach().numpy()
    assert np.abs(ours - theirs).max() <= 1e-5
    assert np.abs(theirs - x).max() > 0.05


def test_a_preset_says_what_is_built_the_same_way(tmp_path):
    state = new_generator(GeneratorSettings(width=4, blocks=1)).state_dict()
    save_file(state, tmp_path / "state")
    result = call("import", tmp_path / "state", "--like", "tiny", "-o", tmp_path / "model")
    assert result.exit_code == 0, result.output
    model = load_model(tmp_path / "model")
    np.testing.assert_array_equal(model.generator.state_dict()["up1.weight"], state["up1.weight"])


def test_a_generator_of_pictures_is_imported(digits, tmp_path):
    settings, network = load_generator(digits)
    state = {name: a.astype("f8") + 1 for name, a in network.state_dict().items()}
    save_file(state, tmp_path / "state")
    result = call("import", tmp_path / "state", "--like", digits, "-o", tmp_path / "model")
    assert result.exit_code == 0, result.output
    found, imported = load_generator(tmp_path / "model")
    assert found == settings
    for name, array in imported.state_dict().items():
        np.testing.assert_allclose(array, state[name], rtol=1e-6)


def test_import_refuses_what_does_not_fit(deblurring, digits, tmp_path):
    out, state = tmp_path / "model", tmp_path / "state"
    good = new_generator(SETTINGS).state_dict()

    def attempt(like=deblurring, **changes):
        changed = {**good, **changes}
        save_file({n: a for n, a in changed.items() if a is not None}, state)
        return call("import", state, "--like", like, "-o", out)

    refused(attempt(**{"up1.bias": None}), state, "missing: up1.bias")
    refused(attempt(more=np.ones(3)), "not its own: more")
    refused(attempt(**{"up1.bias": np.ones(5)}), "'up1.bias' has shape (5,); it needs (6,)")
    refused(attempt(like=digits), "Sequential needs 8 tensors")
    refused(attempt(like="large"), "--like is 'large', which is neither there nor a preset", "tiny")
    refused(attempt(like=tmp_path), "is a folder without model.safetensors")
    state.write_bytes(b"a pickle")
    refused(call("import", state, "--like", deblurring, "-o", out), "is no safetensors file")
    assert not out.exists()
    refused(call("import", state, "--like", deblurring, "-o", deblurring), "is there already")
    assert load_model(deblurring).crop == 32
