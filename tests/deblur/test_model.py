"""The model file: everything comes back, and nothing that does not fit gets in."""

import numpy as np
import pytest

from minigan import serialize
from minigan.core.errors import ModelFileError
from minigan.deblur.model import load_model, save_model
from minigan.deblur.photographs import Photograph, fingerprint
from minigan.deblur.train import Trainer, fit_least_squares


@pytest.fixture
def model(photographs, settings):
    trainer = Trainer(settings, photographs)
    return trainer.model(fit_least_squares(trainer, batches=2))


def test_a_model_comes_back_as_it_was(model, tmp_path):
    save_model(tmp_path / "model.safetensors", model)
    back = load_model(tmp_path)  # the folder will do
    for name, array in model.generator.state_dict().items():
        np.testing.assert_array_equal(array, back.generator.state_dict()[name])
    assert back.generator_settings == model.generator_settings
    assert (back.crop, back.blur, back.seen) == (model.crop, model.blur, model.seen)
    np.testing.assert_array_equal(back.least_squares.kernel, model.least_squares.kernel)


def test_any_changed_byte_is_noticed(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(good), 60):
        bad = bytearray(good)
        bad[position] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        with pytest.raises(ModelFileError) as caught:
            load_model(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_model_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    serialize.save(path, {"w": np.zeros(3, np.float32)}, {"kind": "digit generator"})
    with pytest.raises(
        ModelFileError, match="of the kind 'digit generator'; it needs a 'deblurring"
    ):
        load_model(path)


def test_weights_of_another_size_are_refused(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    tensors, found = serialize.load(path)
    serialize.save(path, tensors, {**found, "generator": {"width": 4, "blocks": 1, "norm": "none"}})
    with pytest.raises(ModelFileError, match=r"enter\.weight.*shape"):
        load_model(path)


@pytest.mark.parametrize("missing", ["crop", "blur", "seen", "generator"])
def test_settings_that_are_not_complete_are_refused(model, tmp_path, missing):
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    tensors, found = serialize.load(path)
    serialize.save(path, tensors, {k: v for k, v in found.items() if k != missing})
    with pytest.raises(ModelFileError, match="does not fit"):
        load_model(path)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"is a folder without model\.safetensors"):
        load_model(tmp_path)


def test_fingerprints_tell_photographs_apart(photographs):
    first = photographs[0]
    assert fingerprint(first) == fingerprint(Photograph("renamed", first.pixels.copy()))
    changed = first.pixels.copy()
    changed[0, 0, 0] ^= 1
    assert fingerprint(first) != fingerprint(Photograph(first.name, changed))
