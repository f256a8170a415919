"""Super-resolution and sketches: how inputs are made, and that the whole pipeline takes them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from minigan.cli.main import main
from minigan.core.errors import ArgumentError
from minigan.core.parallel import workers
from minigan.deblur.blur import BlurSettings
from minigan.deblur.evaluate import classical_methods, evaluate
from minigan.deblur.model import load_model, save_model
from minigan.deblur.pairs import unseen_pairs
from minigan.deblur.tasks import Downscaling, Sketching, as_input, degradation_of, resized, sketch
from minigan.deblur.train import Trainer, fit_least_squares
from minigan.images import Levels, read_levels


def smooth(height, width):
    """A picture whose curves bicubic interpolation follows."""
    y, x = np.mgrid[0:height, 0:width] / 40
    return np.stack([0.5 + 0.4 * np.sin(x + c) * np.cos(y) for c in range(3)]).astype(np.float32)


@pytest.mark.parametrize("scale", [2, 4])
def test_an_enlarged_picture_lies_where_the_sharp_one_lies(scale):
    task = Downscaling(scale)
    size = 32 + 2 * task.margin
    assert size % scale == 0  # or the small picture would not lie on the large one
    pair = task.draw(np.random.default_rng(0), smooth(size, size))
    assert pair.input.shape == pair.sharp.shape == (3, 32, 32)
    assert pair.kernel is None
    np.testing.assert_allclose(pair.input, pair.sharp, atol=0.02)
    noise = np.random.default_rng(1).random((3, size, size), dtype=np.float32)
    lost = task.draw(np.random.default_rng(0), noise)
    assert lost.input.std() < 0.7 * lost.sharp.std()  # what is finer than the small pixels is gone


@pytest.mark.parametrize("scale", [2, 4])
def test_no_border_of_a_crop_enters_its_pair(scale):
    """The same place, cut out with more around it, gives the same pair."""
    task, rng = Downscaling(scale), np.random.default_rng(2)
    picture = rng.random((3, 96, 96), dtype=np.float32)
    wide = task.draw(rng, picture).input
    near = task.draw(rng, picture[:, 8:-8, 8:-8]).input
    np.testing.assert_allclose(near, wide[:, 8:-8, 8:-8], atol=1e-6)


def test_resizing_is_pillows_of_each_channel():
    picture = np.random.default_rng(0).random((2, 6, 8), dtype=np.float32)
    ours = resized(picture, (3, 4))
    for mine, channel in zip(ours, picture, strict=True):
        theirs = Image.fromarray(channel).resize((4, 3), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(mine, np.asarray(theirs))


def test_a_sketch_is_white_with_dark_edges_and_has_no_colours():
    picture = np.zeros((3, 30, 30), np.float32)
    picture[0, :, 15:] = 1
    drawing = sketch(picture)
    assert (drawing[0] == drawing[1]).all()
    assert (drawing[0] == drawing[2]).all()
    assert drawing[:, :, :8].min() == drawing[:, :, 23:].min() == 1
    assert drawing[:, :, 14:16].max() < 0.5
    pair = Sketching().draw(np.random.default_rng(0), picture)
    np.testing.assert_array_equal(pair.input, drawing[:, 5:-5, 5:-5])
    np.testing.assert_array_equal(pair.sharp, picture[:, 5:-5, 5:-5])


def test_what_is_no_task_is_refused():
    with pytest.raises(ArgumentError, match="no task 'colour'; it needs one of deblur, superres"):
        degradation_of("colour", BlurSettings(), 2)
    with pytest.raises(ArgumentError, match="scale is 3; it needs 2 or 4"):
        degradation_of("superres", BlurSettings(), 3)


@pytest.mark.parametrize("task", ["superres", "sketch"])
def test_training_brings_results_nearer_than_the_input(photographs, settings, task):
    now = replace(
        settings,
        task=task,
        steps=60,
        batch=4,
        lr=5e-3,
        adversarial_weight=0.0,
        generator=replace(settings.generator, width=6),
    )
    pairs = unseen_pairs(photographs[:1], now.degradation, 32, each=4, seed=9)
    before = Trainer(now, photographs).validate(pairs)["val_psnr"]
    trainer = Trainer(now, photographs)
    with workers(2) as pool:
        for _ in range(now.steps):
            trainer.step(pool)
    assert trainer.validate(pairs)["val_psnr"] > before + 0.02


def test_a_model_remembers_its_task(tmp_path, photographs, settings):
    now = replace(settings, task="superres", scale=4)
    trainer = Trainer(now, photographs)
    path = tmp_path / "model.safetensors"
    save_model(path, trainer.model(fit_least_squares(trainer, batches=2)))
    model = load_model(path)
    assert (model.task, model.scale, model.enlargement) == ("superres", 4, 4)
    assert model.degradation == Downscaling(4)
    pairs = unseen_pairs(photographs[:1], model.degradation, 32, each=2)
    rows = evaluate(classical_methods(model.least_squares, model.task), pairs)
    assert [row.name for row in rows] == ["bicubic", "unsharp mask", "least-squares 9x9"]


def test_a_file_is_enlarged_with_its_transparency_and_keeps_its_bits():
    for dtype in (np.uint8, np.uint16):
        values = (smooth(10, 12).transpose(1, 2, 0) * np.iinfo(dtype).max).astype(dtype)
        alpha = np.full((10, 12), np.iinfo(dtype).max, dtype)
        large = as_input(Levels(values, alpha), "superres", 2)
        assert (large.values.shape, large.values.dtype) == ((20, 24, 3), dtype)
        assert large.alpha.shape == (20, 24)
        assert large.alpha.min() == np.iinfo(dtype).max
        back = resized(large.values.transpose(2, 0, 1).astype(np.float32), (10, 12))
        near = np.iinfo(dtype).max * 0.02
        np.testing.assert_allclose(back.transpose(1, 2, 0), values, atol=near)


# ---------------------------------------------------------------------- the commands


def call(*arguments):
    return CliRunner().invoke(main, ["deblur", *map(str, arguments)])


@pytest.fixture(scope="module")
def enlarger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "superres"
    result = call("train", "--preset", "tiny", "--task", "superres", "--steps", 3, "--out", folder)
    assert result.exit_code == 0, result.stderr
    return folder


def test_a_run_that_enlarges_says_so_in_its_table_and_on_its_page(enlarger):
    table = json.loads((enlarger / "table.json").read_text())
    assert table[0]["name"] == "bicubic"
    assert not any(row["knows_kernel"] for row in table)
    page = (enlarger / "report.html").read_text()
    assert "Enlarging photographs that training never saw" in page
    assert "Against bicubic interpolation, minigan" in page
    assert "The small pictures were made by a program" in page
    assert "--task superres" in json.loads((enlarger / "settings.json").read_text())["command"]


def test_pictures_come_back_larger(enlarger, tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray((smooth(20, 30).transpose(1, 2, 0) * 255).astype(np.uint8)).save(path)
    result = call("restore", path, "--model", enlarger, "-o", tmp_path / "large.png", "--compare")
    assert result.exit_code == 0, result.stderr
    assert read_levels(tmp_path / "large.png").values.shape == (40, 60, 3)
    told = call("restore", path, "--model", enlarger, "-o", tmp_path / "x.png", "--dry-run")
    assert "30 x 20" in told.output


def test_a_model_that_enlarges_is_not_measured_on_blurry_pictures(enlarger, tmp_path):
    for part in ("blur", "sharp"):
        (tmp_path / part).mkdir()
        for name in ("a.png", "b.png"):
            values = np.random.default_rng(len(name + part)).integers(
                0, 256, (160, 160, 3), np.uint8
            )
            Image.fromarray(values).save(tmp_path / part / name)
    result = call("evaluate", "--model", enlarger, "--data", tmp_path)
    assert result.exit_code == 2
    assert "a model of the task superres makes its inputs of sharp photographs" in result.stderr


def test_a_grey_sketch_becomes_a_photograph_with_colours(tmp_path):
    folder = tmp_path / "run"
    options = ["--preset", "tiny", "--task", "sketch", "--steps", 3, "--out", folder]
    assert call("train", *options).exit_code == 0
    path = tmp_path / "sketch.png"
    Image.fromarray(np.full((20, 24), 255, np.uint8)).save(path)
    assert call("restore", path, "--model", folder, "-o", tmp_path / "p.png").exit_code == 0
    assert read_levels(tmp_path / "p.png").values.shape == (20, 24, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "colour"], "no task 'colour'"),
        (["--task", "superres", "--scale", "3"], "--scale is 3; it needs 2 or 4"),
        (["--scale", "2"], "--scale is of use with --task superres only"),
        (
            ["--feature-layer", "conv1_1"],
            "--feature-layer is of use with --content perceptual only",
        ),
        (
            ["--crop", "8"],
            "--crop is 8; it needs a multiple of 8 pixels, 16 at",
        ),
        (["--features", "none.safetensors"], "none.safetensors does not exist"),
        (["--content", "perceptual", "--feature-layer", "conv9"], "it has no layer 'conv9'"),
        (["--task", "sketch", "--blur", "defocus"], "blur was asked for, too"),
    ],
)
def test_tasks_that_cannot_be_are_refused_in_a_sentence(tmp_path, options, words):
    result = call("train", "--preset", "tiny", "--out", tmp_path / "run", *options)
    assert result.exit_code == 2
    (message,) = result.stderr.splitlines()
    assert words in message
    assert not (tmp_path / "run").exists()
