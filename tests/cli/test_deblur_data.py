"""Data sets on the command line: training on them, measuring on them, making them."""

import csv
import json
import os

import numpy as np
import pytest
from calls import call, refused
from made_photographs import photographs

from minigan.deblur import run
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model, load_model, save_model
from minigan.deblur.networks import GeneratorSettings, new_generator
from minigan.deblur.photographs import fingerprint
from minigan.deblur.tasks import INPUTS
from minigan.images import write_image

BLURRY = INPUTS["deblur"]

TOLD = ["inverse filter", "Wiener", "Richardson-Lucy"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small crops to measure on."""
    monkeypatch.setattr(run, "TEST_SIZE", 48)
    monkeypatch.setattr(run, "VALIDATION_SIZE", 32)
    monkeypatch.setattr(run, "TESTS_EACH", 2)


@pytest.fixture
def model(tmp_path):
    """A model that no training has seen, which knows the first of the made photographs."""
    settings = GeneratorSettings(width=4, blocks=1)
    shots = photographs()
    least_squares = LeastSquaresFilter().fit([(shots[0].pixels / 255.0, shots[0].pixels / 255.0)])
    path = tmp_path / "a-model.safetensors"
    seen = [fingerprint(shots[0])]
    blur = BlurSettings(exposure=1.0)
    save_model(path, Model(new_generator(settings), settings, 32, blur, seen, least_squares))
    return path


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.asarray(pixels / np.float32(255)))


@pytest.fixture
def sharp(tmp_path):
    """A folder of the made photographs."""
    for i, photograph in enumerate(photographs()):
        picture(tmp_path / "photos" / f"{i}.png", photograph.pixels)
    return tmp_path / "photos"


@pytest.fixture
def scenes(tmp_path):
    """GoPro's layout, three scenes of two pairs; the third scene is for tests."""
    rng = np.random.default_rng(5)
    for scene in ("train/S1", "train/S2", "test/S3"):
        for i in range(2):
            pixels = np.kron(rng.integers(0, 256, (3, 7, 8)), np.ones((10, 10)))
            picture(tmp_path / "set" / scene / "sharp" / f"{i}.png", pixels)
            picture(tmp_path / "set" / scene / "blur" / f"{i}.png", 0.5 * pixels + 60)
    return tmp_path / "set"


def rows(result):
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)}


# ---------------------------------------------------------------------- training


def test_training_on_scenes_measures_on_the_test_scenes(scenes, tmp_path):
    options = ["--data", scenes, "--preset", "tiny", "--steps", 2, "--loaders", 1]
    result = call("train", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "6 pairs of a blurry and a sharp picture" in result.stdout
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert record["unseen photographs"] == ["test/S3/0", "test/S3/1"]
    assert record["layout"] == "pairs"
    names = [row["name"] for row in json.loads((tmp_path / "run" / "table.json").read_text())]
    assert not set(names) & set(TOLD)
    again = call("train", "--resume", tmp_path / "run")
    assert again.exit_code == 0, again.output


def test_training_with_other_blur_records_it_and_how_to_repeat_it(sharp, tmp_path):
    blur = "--blur motion=2,defocus=1 --length 3:6 --noise 0:0.02 --jpeg 50:90 --photon-gain 0.001"
    options = ["--data", sharp, "--preset", "tiny", "--steps", 2, *blur.split()]
    result = call("train", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    stored = load_model(tmp_path / "run").blur
    assert stored == BlurSettings(
        3, 6, 0.0, 1.0, "motion=2,defocus=1", max_sigma=0.02, photon_gain=0.001, min_quality=50,
        max_quality=90,
    )  # fmt: skip
    command = json.loads((tmp_path / "run" / "settings.json").read_text())["command"].split()
    again = [c for c in command[3:] if c != "--out"]
    repeated = call("train", *again, "--out", tmp_path / "again")
    assert repeated.exit_code == 0, repeated.output
    for name in ("log.jsonl", "model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    refused(
        call("train", "--resume", tmp_path / "run", "--length", "3:7"), "blur is another than in"
    )
    refused(
        call("train", "--resume", tmp_path / "run", "--layout", "pairs"),
        "--layout is pairs and was",
    )


# ---------------------------------------------------------------------- measuring


def test_whole_pairs_are_measured_and_methods_without_kernel_left_out(model, scenes):
    result = call("evaluate", "--model", model, "--data", scenes)
    assert result.exit_code == 0, result.output
    assert "measured: test; 2 whole pictures" in result.stdout
    assert f"the kernels of these pictures are not known: {', '.join(TOLD)}" in result.stdout
    assert "Gaussian weights of sigma 1.5" in result.stdout


def test_crops_of_pairs(model, scenes):
    found = rows(call("evaluate", "--model", model, "--data", scenes, "--size", 20, "--json"))
    assert found[BLURRY]["psnr"]["count"] == 20
    assert set(TOLD).isdisjoint(found)


def test_a_synthesized_set_knows_its_kernels_and_what_was_trained_on(model, sharp, tmp_path):
    made = call(
        "synthesize", "--data", sharp, "--out", tmp_path / "made", "--size", 40, "--each", 2
    )
    assert made.exit_code == 0, made.output
    assert made.stdout.splitlines()[-1] == f"6 pairs written to {tmp_path / 'made'}"
    result = call("evaluate", "--model", model, "--data", tmp_path / "made", "--json")
    found = rows(result)
    assert set(TOLD) <= found.keys()
    assert found[BLURRY]["psnr"]["count"] == 4  # two were cut out of what the model has seen


@pytest.mark.skipif(os.name != "posix", reason="cp is POSIX's")
def test_the_csv_the_page_and_other_commands(model, scenes, tmp_path):
    table, page = tmp_path / "a.csv", tmp_path / "a.html"
    options = ["--csv", table, "--report", page, "--also", "copy=cp {input} {output}"]
    result = call("evaluate", "--model", model, "--data", scenes, *options)
    assert result.exit_code == 0, result.output
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["picture"] for line in lines[:5]] == ["test/S3/0"] * 5
    copies = {line["picture"]: line for line in lines if line["method"] == "copy"}
    for line in lines:
        if line["method"] == BLURRY:
            assert copies[line["picture"]]["psnr"] == line["psnr"]
            assert line["made_worse"] == "False"
    assert "the model was not trained on" in page.read_text()
    before = table.read_bytes()
    refused(call("evaluate", "--model", model, "--data", scenes, "--csv", table), table, "--force")
    assert table.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="the command is a script for /bin/sh")
def test_a_command_that_fails_later_is_left_out(model, scenes, tmp_path):
    """What the other methods had reached by then is not lost."""
    script = tmp_path / "once"
    script.write_text(f'#!/bin/sh\nmkdir "{tmp_path}/used" && cp "$1" "$2"\n')
    script.chmod(0o755)
    page = tmp_path / "a.html"
    options = ["--report", page, "--also", f"flaky={script} {{input}} {{output}}"]
    result = call("evaluate", "--model", model, "--data", scenes, "--json", *options)
    assert result.exit_code == 0, result.output
    (told,) = result.stderr.splitlines()
    assert told.startswith("flaky is left out: --also flaky: the command ")
    assert "ended with exit status 1: mkdir" in told
    assert {BLURRY, "minigan"} <= rows(result).keys()
    assert "flaky" not in rows(result)
    assert "flaky" not in page.read_text()
    again = call("evaluate", "--model", model, "--data", scenes, *options[2:])
    refused(again, "--also flaky: the command", "ended with exit status 1")


def test_two_folders_and_halves(model, tmp_path):
    pixels = photographs()[1].pixels
    for folder, value in (("a", 0.5), ("b", 1.0)):
        picture(tmp_path / folder / "x.png", value * pixels)
    picture(tmp_path / "halves" / "x.png", np.concatenate([0.5 * pixels, pixels], axis=2))
    two = call(
        "evaluate",
        "--model",
        model,
        "--blurry",
        tmp_path / "a",
        "--sharp",
        tmp_path / "b",
        "--json",
    )
    halves = call(
        "evaluate",
        "--model",
        model,
        "--data",
        tmp_path / "halves",
        "--layout",
        "side-by-side",
        "--json",
    )
    assert rows(two) == rows(halves)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--layout", "zip"], ["the layout is 'zip'"]),
        (["--blurry", "x"], ["a folder of the sharp ones is needed as well"]),
        (["--frames", "4"], ["frames to average is 4"]),
        (["--frames", "x"], ["--frames"]),
        (["--size", "8"], ["--size", ">= 16"]),
        (["--also", "x=cp {input}"], ["--also 'x=cp {input}' needs a name"]),
        (["--also", "minigan=cp {input} {output}"], ["minigan is the name of another method"]),
        (["--also-seconds", "0", "--also", "x=cp {input} {output}"], ["--also-seconds"]),
        (["--csv", "no/such/a.csv"], ["no/such/a.csv"]),
        (["--csv", "same", "--report", "same"], ["would both go to same"]),
    ],
)
def test_evaluate_refuses(model, options, words):
    refused(call("evaluate", "--model", model, *options), *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--blur", "fog"], ["--blur is fog; it needs some of motion, defocus, gaussian"]),
        (["--length", "9:3"], ["--length", "'9:3'"]),
        (["--radius", "nan"], ["--radius", "'nan'"]),
        (["--jpeg", "50:96"], ["--jpeg", "whole number from 1 to 95"]),
        (["--noise", "-1"], ["--noise"]),
        (["--photon-gain", "2"], ["--photon-gain"]),
        (["--size", "3"], ["size of crops is 3"]),
        (["--seed", "x"], ["--seed"]),
    ],
)
def test_synthesize_refuses(sharp, tmp_path, options, words):
    result = call("synthesize", "--data", sharp, "--out", tmp_path / "new", *options)
    refused(result, *words)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "synthesize"])
def test_pairs_that_do_not_match_are_named(command, model, scenes, tmp_path):
    (scenes / "train/S1/blur/1.png").unlink()
    options = ["--model", model] if command == "evaluate" else ["--out", tmp_path / "new"]
    refused(call(command, "--data", scenes, *options), "S1/sharp/1.png has no twin in")
    picture(scenes / "train/S1/blur/1.png", np.zeros((3, 70, 81)))
    refused(
        call(command, "--data", scenes, *options),
        "S1/blur/1.png does not match",
        "81 x 70",
        "80 x 70",
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "synthesize"])
def test_one_damaged_picture_among_many_is_named(command, model, scenes, tmp_path):
    bad = scenes / "test/S3/blur/1.png"
    bad.write_bytes(bad.read_bytes()[:-200])
    options = ["--model", model] if command == "evaluate" else ["--out", tmp_path / "new"]
    refused(call(command, "--data", scenes, *options), bad, "damaged")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "synthesize"])
def test_an_empty_or_missing_folder_is_named(command, model, tmp_path):
    (tmp_path / "empty").mkdir()
    options = ["--model", model] if command == "evaluate" else ["--out", tmp_path / "new"]
    refused(call(command, "--data", tmp_path / "empty", *options), "empty holds no pictures")
    refused(call(command, "--data", tmp_path / "none", *options), "none does not exist")
    assert not (tmp_path / "new").exists()


def test_blur_for_pairs_and_a_set_inside_of_its_source_are_refused(scenes, sharp, tmp_path):
    for command in ("train", "synthesize"):
        result = call(command, "--data", scenes, "--length", 3, "--out", tmp_path / "new")
        refused(result, "blur is made for sharp photographs", scenes)
    assert not (tmp_path / "new").exists()
    refused(call("synthesize", "--data", sharp, "--out", sharp / "new"), "lies in", sharp)
    assert not (sharp / "new").exists()


def test_a_single_scene_cannot_train(scenes, tmp_path):
    (scenes / "train/S2").rename(tmp_path / "elsewhere")
    result = call("train", "--data", scenes / "train", "--out", tmp_path / "run")
    refused(result, "all 2 pictures are of one scene, S1")
    assert not (tmp_path / "run").exists()
