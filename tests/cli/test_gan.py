"""minigan gan as its users call it, with good input and bad."""

import gzip
import json
import shlex
import struct
from dataclasses import replace

import numpy as np
import pytest
from calls import refused
from click.testing import CliRunner

from minigan.cli.main import main
from minigan.images import read_image, write_image


def call(*arguments):
    return CliRunner().invoke(main, ["gan", *map(str, arguments)])


def digits_file(path, side=12):
    levels = np.random.default_rng(0).integers(0, 256, (20, side, side), np.uint8)
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x803, *levels.shape) + levels.tobytes()))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run on the bundled digits, for all tests that need a model."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = call("train", "--steps", 3, "--batch", 4, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result


# ---------------------------------------------------------------------- good input


def test_training_shows_plain_lines_and_ends_with_where_the_pictures_are(trained):
    folder, result = trained
    lines = result.stderr.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"step {n} of 3" for n in (1, 2, 3)]
    assert all(word in lines[0] for word in ("D loss", "G loss", "D(real)", "D(fake)"))
    (last,) = result.stdout.splitlines()
    assert str(folder / "grid.png") in last
    assert str(folder / "samples.png") in last
    assert str(folder / "dynamics.html") in last


def test_the_recorded_command_repeats_the_run_bit_for_bit(trained, tmp_path):
    folder, _ = trained
    command = shlex.split(json.loads((folder / "settings.json").read_text())["command"])
    assert command[:3] == ["minigan", "gan", "train"]
    result = call(*command[2:], "--out", tmp_path / "again", "--threads", 1)
    assert result.exit_code == 0, result.output
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"dynamics.html", "moments/0000000.png"} <= names
    for name in names - {"times.jsonl"}:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_minutes_become_a_number_of_steps_that_is_recorded(tmp_path, monkeypatch):
    from minigan.gan import train

    monkeypatch.setattr(train, "seconds_per_step", lambda *arguments: 0.15)
    result = call("train", "--minutes", 0.01, "--batch", 2, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert record["settings"]["steps"] == 4
    assert "--steps 4" in record["command"]
    assert "--minutes" not in record["command"]
    assert "0.01 minutes are about 4 steps" in result.stdout


def test_every_option_reaches_the_settings(tmp_path):
    data = digits_file(tmp_path / "digits.gz")
    options = ["--data", data, "--steps", 1, "--seed", 7, "--loss", "zero-sum", "--d-steps", 2]
    options += ["--batch", 3, "--threads", 2, "--size", 16, "--out", tmp_path / "run"]
    result = call("train", *options)
    assert result.exit_code == 0, result.output
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    expected = {"steps": 1, "seed": 7, "loss": "zero-sum", "d_steps": 2, "batch": 3, "size": 16}
    assert {name: settings[name] for name in expected} == expected


def test_a_file_or_folder_of_images_decides_the_size(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_image(pictures / "a.png", np.full((3, 40, 50), 0.5, np.float32))
    sources = {digits_file(tmp_path / "digits"): 12, pictures: 28}
    for i, (data, size) in enumerate(sources.items()):
        out = tmp_path / f"run{i}"
        result = call("train", "--data", data, "--steps", 1, "--batch", 2, "--out", out)
        assert result.exit_code == 0, result.output
        assert json.loads((out / "settings.json").read_text())["settings"]["size"] == size


def test_without_out_runs_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert call("train", "--steps", 1, "--batch", 2).exit_code == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["gan-001", "gan-002"]


def test_sampling_draws_the_same_pictures_from_a_run_and_from_its_file(trained, tmp_path):
    folder, _ = trained
    for name, model in (("a.png", folder), ("b.png", folder / "model.safetensors")):
        result = call("sample", "--model", model, "-o", tmp_path / name, "--count", 9, "--seed", 5)
        assert result.exit_code == 0, result.output
        assert str(tmp_path / name) in result.stdout
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read_image(tmp_path / "a.png").shape == (1, 200, 200)


def test_another_seed_draws_other_pictures(trained, tmp_path):
    for seed in (1, 2):
        call("sample", "--model", trained[0], "-o", tmp_path / f"{seed}.png", "--seed", seed)
    assert (tmp_path / "1.png").read_bytes() != (tmp_path / "2.png").read_bytes()


def test_the_help_names_the_two_losses_of_the_deck():
    text = call("train", "--help").output
    assert "zero-sum" in text
    assert "non-saturating" in text


def test_ctrl_c_keeps_the_model_and_the_pictures(tmp_path, monkeypatch):
    from minigan.gan import run, train

    def interrupted(*arguments):
        steps = train.train(*arguments)
        for _ in range(3):
            yield next(steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train", interrupted)
    result = call("train", "--steps", 9, "--batch", 2, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Interrupted."
    assert str(tmp_path / "run" / "grid.png") in result.stdout
    # Rows before the first step, after steps 1 and 2, which are kept anyway, and after the third.
    assert read_image(tmp_path / "run" / "samples.png").shape[1] == 4 * 66 + 2
    assert call("sample", "--model", tmp_path / "run", "-o", tmp_path / "a.png").exit_code == 0


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--loss", "hinge"], ["'hinge'", "non-saturating, zero-sum"]),
        (["--size", 10], ["--size", "10 is no multiple of 4"]),
        (["--size", 3], ["3", "--size"]),
        (
            ["--steps", 0],
            ["minigan gan train: ", "--steps", "'0' is no whole number >= 1", "--help"],
        ),
        (["--steps", "many"], ["--steps", "'many' is no whole number >= 1"]),
        (["--batch", 0], ["--batch"]),
        (["--d-steps", 0], ["--d-steps"]),
        (["--threads", 0], ["--threads"]),
        (["--seed", -1], ["--seed"]),
        (["--minutes", 0], ["--minutes", "'0' is no number of minutes >= 0.01"]),
        (["--stpes", 4], ["--stpes"]),
        (["--steps", 1, "--minutes", 1], ["--steps and --minutes exclude each other"]),
        (["--data", "nowhere"], ["nowhere"]),
    ],
)
def test_bad_options_are_one_sentence_and_leave_nothing_behind(tmp_path, options, words):
    refused(call("train", "--out", tmp_path / "run", *options), *words)
    assert not (tmp_path / "run").exists()


def test_images_of_a_side_that_does_not_fit_ask_for_a_size(tmp_path):
    data = digits_file(tmp_path / "digits", side=10)
    refused(call("train", "--data", data, "--out", tmp_path / "run"), "10 x 10", "--size")
    assert not (tmp_path / "run").exists()


def test_a_damaged_file_of_digits_is_refused(tmp_path):
    data = digits_file(tmp_path / "digits")
    data.write_bytes(data.read_bytes()[:-9])
    refused(call("train", "--data", data, "--out", tmp_path / "run"), data, "damaged")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_refused_before_training(trained):
    before = (trained[0] / "model.safetensors").stat().st_mtime_ns
    refused(call("train", "--out", trained[0]), "holds a run already", "--out")
    assert (trained[0] / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_that_cannot_be_made_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(call("train", "--out", tmp_path / "file" / "run"), "cannot create the folder")


def test_diverging_training_is_one_sentence_that_names_the_step(tmp_path, monkeypatch):
    from minigan.gan import train

    def infinite(real, fake):
        return fake.mean() + float("inf")

    loss = train.loss_named("zero-sum")
    broken = type(loss)(infinite, loss.generator)
    monkeypatch.setattr(train, "loss_named", lambda name: broken)
    result = call("train", "--steps", 3, "--batch", 4, "--out", tmp_path / "run")
    refused(result, "at step 1 the discriminator's loss")
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["out.txt", "out", "missing/out.png"])
def test_a_picture_that_cannot_be_written_is_refused(trained, tmp_path, name):
    refused(call("sample", "--model", trained[0], "-o", tmp_path / name), "cannot write")


def test_a_damaged_model_is_refused_and_no_picture_is_written(trained, tmp_path):
    content = bytearray((trained[0] / "model.safetensors").read_bytes())
    content[-5] ^= 1
    model = tmp_path / "model.safetensors"
    model.write_bytes(content)
    refused(call("sample", "--model", model, "-o", tmp_path / "a.png"), model, "damaged")
    refused(
        call("sample", "--model", tmp_path / "none", "-o", tmp_path / "a.png"), "does not exist"
    )
    assert not (tmp_path / "a.png").exists()


def test_a_picture_that_is_there_already_is_replaced_only_by_force(trained, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"a picture")
    draw = ["sample", "--model", trained[0], "-o", path, "--count", 1]
    refused(call(*draw), path, "is there already", "--force")
    assert path.read_bytes() == b"a picture"
    assert "1 picture: " in call(*draw, "--force").stdout
    assert read_image(path).shape == (1, 68, 68)


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_count_out_of_range_is_refused(trained, tmp_path, count):
    result = call("sample", "--model", trained[0], "-o", tmp_path / "a.png", "--count", count)
    refused(result, "--count")


def test_help_names_every_loss_that_there_is():
    from minigan.cli.gan import _LOSSES
    from minigan.gan.losses import LOSSES

    assert all(name in _LOSSES for name in LOSSES)
    deblur = CliRunner().invoke(main, ["deblur", "train", "--help"]).output
    words = "".join(deblur.split())  # however the lines are broken
    assert all(name in words for name in LOSSES)


def test_a_discriminator_that_is_too_sure_is_told_of(tmp_path, monkeypatch):
    """The zero-sum loss, three steps of the discriminator for one: what the loss's docstring warns of."""
    from minigan.gan import train

    strong = replace(train.GanSettings(), d_lr=4e-3, d_warmup=0)
    monkeypatch.setattr(train, "GanSettings", lambda **given: replace(strong, **given))
    options = ["--loss", "zero-sum", "--d-steps", "3", "--steps", "300", "--batch", "8"]
    result = CliRunner().invoke(main, ["gan", "train", *options, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "the generator's gradient has shrunk" in result.stderr
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "passes nothing back" in log
