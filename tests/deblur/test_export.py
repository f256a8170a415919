"""A deblurring model as ONNX restores as minigan does, pictures of any size."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from minigan.core.graph import no_grad
from minigan.core.tensor import Tensor
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.export import onnx_model
from minigan.deblur.model import Model
from minigan.deblur.networks import GeneratorSettings, new_generator
from minigan.deblur.restore import restore
from minigan.ops import manual_seed

SIZES = [(1, 1), (1, 50), (2, 3), (5, 4), (33, 47), (32, 64), (90, 61)]


def made(**settings) -> Model:
    """A model that changes pictures a lot: an untrained one is the identity."""
    chosen = GeneratorSettings(width=4, blocks=1, **settings)
    manual_seed(0)
    generator = new_generator(chosen).eval()
    for name, t in generator.named_parameters():  # larger than at the start
        resnet = chosen.architecture == "resnet"
        if name == "leave.weight" or resnet:
            drawn = np.random.default_rng(0).standard_normal(t.shape)
            t.copy_(drawn * (0.12 if resnet else 0.05))
    notes = {"steps": 7, "seed": 3}
    return Model(generator, chosen, 32, BlurSettings(), [], LeastSquaresFilter(), notes)


def session(content: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def picture(size, channels=3) -> np.ndarray:
    return np.random.default_rng(1).random((channels, *size), dtype=np.float32)


WITHOUT_A_NORM = {
    "unet": {},
    "transposed, noise": {"up": "transposed", "noise_channels": 2},
    "resnet": {"architecture": "resnet", "dropout": 0.5},
    "resnet, transposed, noise": {
        "architecture": "resnet",
        "up": "transposed",
        "noise_channels": 1,
    },
}


@pytest.mark.parametrize("settings", WITHOUT_A_NORM.values(), ids=WITHOUT_A_NORM)
def test_without_a_norm_it_gives_what_restoring_gives(settings):
    model = made(**settings)
    run = session(onnx_model(model, "0"))
    for size in SIZES:
        x = picture(size)
        (restored,) = run.run(None, {"blurry": x[None]})
        assert restored.shape == (1, 3, *size)
        assert np.abs(restored[0] - restore(model, x)).max() <= 1e-5
        assert restored.min() >= 0
        assert restored.max() <= 1
        assert np.abs(restored[0] - x).max() > (0.05 if x.size > 100 else 0.001)


@pytest.mark.parametrize("architecture", ["unet", "resnet"])
def test_with_instance_norm_it_gives_what_the_generator_gives_of_the_mirrored_picture(architecture):
    model = made(norm="instance", architecture=architecture, dropout=0.5)
    run = session(onnx_model(model, "0"))
    for height, width in SIZES[4:]:  # smaller ones have one coarse pixel to take statistics of
        x = picture((height, width))
        (restored,) = run.run(None, {"blurry": x[None]})
        whole = np.pad(x, ((0, 0), (0, -height % 4), (0, -width % 4)), mode="reflect")
        with no_grad():
            expected = model.generator(Tensor(whole[None])).clip(0, 1).numpy()
        expected = expected[0, :, :height, :width]
        assert np.abs(restored[0] - expected).max() <= 1e-5


def test_a_batch_is_restored_picture_by_picture():
    run = session(onnx_model(made(), "0"))
    batch = np.stack([picture((21, 34)), 1 - picture((21, 34))])
    (together,) = run.run(None, {"blurry": batch})
    alone = [run.run(None, {"blurry": x[None]})[0][0] for x in batch]
    np.testing.assert_allclose(together, np.stack(alone), rtol=0, atol=1e-6)


def test_the_file_says_what_it_is():
    content = onnx_model(made(), "1.2.3")
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert (model.producer_name, model.producer_version) == ("minigan", "1.2.3")
    assert facts["kind"] == "deblurring generator"
    assert json.loads(facts["training"]) == {"steps": 7, "seed": 3}
    assert json.loads(facts["generator"])["width"] == 4
    assert "any height and width" in facts["input"]
    (blurry,) = session(content).get_inputs()
    assert (blurry.name, blurry.shape) == ("blurry", ["batch", 3, "height", "width"])


def test_the_same_model_gives_the_same_file():
    assert onnx_model(made(), "0") == onnx_model(made(), "0")


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (3, 8, 8)])
def test_other_shapes_are_refused_by_the_runtime(shape):
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        session(onnx_model(made(), "0")).run(None, {"blurry": np.zeros(shape, np.float32)})
