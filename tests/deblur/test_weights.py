"""The weights in the box: small, from photographs in the public domain only, and of use."""

import runpy
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from minigan.cli.main import main
from minigan.deblur import metrics
from minigan.deblur.blur import quantize
from minigan.deblur.model import load_model
from minigan.deblur.pairs import unseen_pairs
from minigan.deblur.photographs import bundled_photographs, fingerprint
from minigan.deblur.restore import restore
from minigan.images import read_image, write_image

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def bundled():
    return {p.name: p for part in bundled_photographs() for p in part}


def test_they_take_less_than_four_megabytes():
    files = [*(resources.files("minigan.deblur") / "weights").iterdir()]
    assert {f.name for f in files} == {
        "README.md",
        "features.safetensors",
        "restorer.safetensors",
    }
    assert sum(len(f.read_bytes()) for f in files) < 4e6


def test_they_have_seen_the_eight_photographs_of_the_recipe_and_no_other(bundled, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(RECIPES), *sys.path])
    recipe = runpy.run_path(str(RECIPES / "restorer.py"))
    eight = [fingerprint(bundled[name]) for name in recipe["PHOTOGRAPHS"]]
    assert sorted(load_model().seen) == sorted(eight)
    assert not set(eight) & {fingerprint(bundled[name]) for name in recipe["UNSEEN"]}


def test_they_sharpen_photographs_that_they_have_not_seen(bundled):
    model = load_model()
    pairs = unseen_pairs([bundled["china"], bundled["flower"]], model.blur, 96, each=3)
    gains = [
        metrics.psnr(quantize(restore(model, p.blurry)), p.sharp) - metrics.psnr(p.blurry, p.sharp)
        for p in pairs
    ]
    assert np.mean(gains) > 1


def test_restoring_and_measuring_need_no_model(tmp_path, bundled):
    path = tmp_path / "photo.png"
    write_image(path, bundled["coffee"].pixels[:, :64, :80] / np.float32(255))
    result = CliRunner().invoke(main, ["deblur", "restore", str(path)])
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "photo-restored.png").shape == (3, 64, 80)
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("china", "astronaut"):
        write_image(folder / f"{name}.png", bundled[name].pixels / np.float32(255))
    told = CliRunner().invoke(main, ["deblur", "evaluate", "--data", str(folder), "--each", "1"])
    assert told.exit_code == 0, told.output
    assert "1 crop of 1 photograph; 1 that training showed left out" in told.output
