"""The recipes of the weights in the box: that they run, not what comes of a few steps."""

import sys
from pathlib import Path

import pytest

from minigan.deblur import run
from minigan.deblur.model import load_model
from minigan.deblur.networks.features import load_features

RECIPES = Path(__file__).parents[1] / "recipes"


@pytest.fixture
def recipe(monkeypatch):
    """Run a recipe by name, as the command line does."""
    monkeypatch.syspath_prepend(str(RECIPES))
    monkeypatch.setattr(run, "TESTS_EACH", 1)

    def start(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        __import__(name).main()

    return start


def test_features_can_be_trained_anew(recipe, tmp_path):
    out = tmp_path / "features.safetensors"
    recipe("features", "--out", out, "--steps", 2)
    assert len(load_features(str(out), "conv3_3").layers) == 10  # seven convolutions, two poolings


def test_the_restorer_can_be_trained_anew_and_goes_on_where_it_was(recipe, tmp_path):
    out = tmp_path / "restorer.safetensors"
    for _ in range(2):
        recipe("restorer", "--run", tmp_path / "run", "--out", out, "--steps", 4)
    assert load_model(out).notes["steps"] == 4
