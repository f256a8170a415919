"""minigan deblur as its users call it, with good input and bad."""

import json
import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from calls import call, refused
from standin_cupy import install

from minigan.deblur import run
from minigan.deblur.course import Training
from minigan.deblur.model import load_model, save_model
from minigan.deblur.photographs import bundled_photographs, fingerprints
from minigan.images import read_image, write_image


@pytest.fixture(scope="module", autouse=True)
def few_tests():
    """What runs measure is looked at elsewhere; here one crop of each photograph will do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "TESTS_EACH", 1)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the smallest preset, for all tests that need a model."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = call("train", "--preset", "tiny", "--steps", "3", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "blurred.png"
    write_image(path, np.random.default_rng(0).random((3, 33, 47), dtype=np.float32))
    return path


# ---------------------------------------------------------------------- good input


def test_training_writes_a_report_and_says_where(trained):
    assert (trained / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("device", ["emulator", "cuda"])
def test_training_and_restoring_on_a_device(trained, picture, tmp_path, device, monkeypatch):
    """The same losses and the same picture, to float32's rounding, from our CUDA kernels alone."""
    if device == "cuda":  # without a GPU: CuPy's stand-in
        install(monkeypatch)
    options = ["--preset", "tiny", "--steps", "3", "--device", device]
    result = call("train", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert (
        f"--device {device}" in json.loads((tmp_path / "run/settings.json").read_text())["command"]
    )
    ours, theirs = (
        json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
        for folder in (tmp_path / "run", trained)
    )
    assert ours == pytest.approx(theirs, rel=2e-4)
    for where, name in (("cpu", "a.png"), (device, "b.png")):
        result = call(
            "restore", picture, "--model", trained, "--device", where, "-o", tmp_path / name
        )
        assert result.exit_code == 0, result.output
    difference = read_image(tmp_path / "a.png") - read_image(tmp_path / "b.png")
    assert np.abs(difference).max() <= 1.01 / 255


def test_restoring_one_picture_writes_one_file(trained, picture, tmp_path):
    result = call("restore", picture, "--model", trained, "-o", tmp_path / "out.jpg")
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "out.jpg").shape == (3, 33, 47)


def test_restoring_several_pictures_fills_a_folder(trained, picture, tmp_path):
    grey = tmp_path / "grey.png"
    write_image(grey, np.full((1, 20, 30), 0.5, np.float32))
    result = call("restore", picture, grey, "--model", trained, "-o", tmp_path / "new" / "folder")
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "new/folder/grey.png").shape == (1, 20, 30)
    assert read_image(tmp_path / "new/folder/blurred.png").shape == (3, 33, 47)


def test_evaluating_measures_only_photographs_that_were_not_trained_on(trained):
    result = call("evaluate", "--model", trained, "--each", 1, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert rows[0]["psnr"]["count"] == 4  # of fifteen bundled photographs, eleven were trained on
    assert rows[-1]["name"] == "minigan"


def test_training_on_a_folder_and_by_minutes(tmp_path):
    for i in range(3):
        pixels = np.random.default_rng(i).random((3, 150, 160), dtype=np.float32)
        write_image(tmp_path / f"photo{i}.png", pixels)
    out = tmp_path / "run"
    result = call(
        "train", "--data", tmp_path, "--preset", "tiny", "--minutes", "0.01", "--out", out
    )
    assert result.exit_code == 0, result.output
    record = json.loads((out / "settings.json").read_text())
    assert len(record["unseen photographs"]) == 1
    assert record["settings"]["steps"] >= 10
    assert f"--steps {record['settings']['steps']}" in record["command"]


def test_a_copy_of_a_photograph_is_left_out_of_training(tmp_path):
    for i, name in enumerate("aba"):
        pixels = np.random.default_rng(ord(name)).random((3, 150, 160), dtype=np.float32)
        write_image(tmp_path / f"{i}.png", pixels)
    options = ["--data", tmp_path, "--preset", "tiny", "--steps", 1]
    result = call("train", *options, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "copies of others: 2.png" in result.stdout
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    names = record["training photographs"] + record["unseen photographs"]
    assert sorted(names) == ["0.png", "1.png"]


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch):
    from minigan.deblur import run

    def interrupted(*job):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "perform", interrupted)
    result = call("train", "--preset", "tiny", "--steps", "3", "--out", tmp_path / "my run")
    assert result.exit_code == 130
    said, _, last = result.stderr.splitlines()[-3:]
    assert (
        said
        == f"To go on from what was saved: minigan deblur train --resume '{tmp_path / 'my run'}'"
    )
    assert last == "Interrupted."


def test_resuming_a_run_needs_nothing_but_its_folder(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    before = (folder / "model.safetensors").read_bytes()
    result = call("train", "--resume", folder, "--seed", 0, "--preset", "tiny")
    assert result.exit_code == 0, result.output
    assert (folder / "model.safetensors").read_bytes() == before


def test_what_the_method_leaves_open_can_be_asked_for_and_is_recorded(tmp_path):
    """A generator with noise, in a Wasserstein game, on content by pixels."""
    folder = tmp_path / "run"
    asked = ["--adversarial", "wgan-gp", "--critic-steps", "2", "--adversarial-from", "0.5"]
    asked += [
        "--noise-channels",
        "1",
        "--dropout",
        "0.2",
        "--up",
        "transposed",
        "--norm",
        "instance",
    ]
    asked += ["--content", "mse", "--ema", "0.9", "--schedule", "linear", "--batch", "2"]
    asked += ["--crop", "16", "--lr", "0.001", "--critic-lr", "0.002"]
    result = call("train", "--preset", "tiny", "--steps", 4, "--out", folder, *asked)
    assert result.exit_code == 0, result.stderr
    record = json.loads((folder / "settings.json").read_text())
    settings = record["settings"]
    assert settings["adversarial"] == "wgan-gp"
    assert settings["content"]["loss"] == "mse"
    assert settings["generator"]["noise_channels"] == 1
    assert (settings["critic_steps"], settings["averaging"], settings["batch"]) == (2, 0.9, 2)
    for i in range(0, len(asked), 2):
        assert " ".join(asked[i : i + 2]) in record["command"]
    again = call("train", "--resume", folder, *asked)
    assert again.exit_code == 0, again.stderr
    refused(
        call("train", "--resume", folder, "--critic-steps", 3),
        "--critic-steps is 3 and was 2",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--adversarial", "hinge"], ["no loss named 'hinge'", "wgan-gp"]),
        (["--content", "ssim"], ["--content is ssim; it needs one of l1, mse, perceptual"]),
        (["--up", "bilinear"], ["--up is bilinear; it needs 'upsample' or 'transposed'"]),
        (["--dropout", "1"], ["--dropout is 1.0; it needs a share"]),
        (["--lr", "nan"], ["--lr is nan; it needs a positive number"]),
        (["--crop", "20"], ["crop is 20", "multiple of 8"]),
        (["--ema", "2"], ["--ema is 2.0; it needs a number of at least 0 and below 1"]),
        (["--blur", "zoom"], ["--blur is zoom; it needs some of motion, defocus, gaussian"]),
        (["--features", "none.safetensors"], ["none.safetensors does not exist"]),
        (["--features", "x", "--content", "l1"], ["features", "'l1'"]),
    ],
)
def test_choices_that_there_are_not(tmp_path, options, words):
    result = call("train", "--preset", "tiny", "--steps", 2, "--out", tmp_path / "run", *options)
    refused(result, *words)


# ---------------------------------------------------------------------- bad input: resuming


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "4"], ["--seed is 4 and was 0 in"]),
        (["--steps", "9"], ["--steps is 9 and was 3 in"]),
        (["--preset", "small"], ["--preset is small and was tiny in"]),
        (["--data", "elsewhere"], ["--data is elsewhere and was None in"]),
        (["--twin"], ["--twin is True and was False in"]),
        (["--out", "new"], ["--resume and --out exclude each other"]),
        (["--minutes", "2"], ["--resume and --minutes exclude each other"]),
    ],
)
def test_a_resumed_run_keeps_its_settings(trained, options, words):
    refused(call("train", "--resume", trained, *options), *words)


def test_what_is_no_run_cannot_be_resumed(tmp_path):
    refused(call("train", "--resume", tmp_path / "none"), "none holds no run; --resume needs")
    (tmp_path / "settings.json").write_text("{}")
    refused(call("train", "--resume", tmp_path), "settings.json does not describe a run that")
    (tmp_path / "settings.json").write_text("[")
    refused(call("train", "--resume", tmp_path), "settings.json: it is no JSON")


@pytest.mark.parametrize(
    ("name", "value"),
    [("data", 3), ("machine", []), ("device", None), ("twin", "no"), ("command", 1)],
)
def test_a_record_of_other_kinds_is_refused(trained, tmp_path, name, value):
    record = json.loads((trained / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(json.dumps({**record, name: value}))
    refused(call("train", "--resume", tmp_path), f"{name} is {value!r}")


def test_other_photographs_or_another_machine_are_told(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    record = json.loads((folder / "settings.json").read_text())
    record["machine"]["numpy"] = "1.0"
    (folder / "settings.json").write_text(json.dumps(record))
    result = call("train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert "bits may differ from an undisturbed run: numpy 1.0 then, " in result.stderr
    record["fingerprints"][0] = "0" * 16
    (folder / "settings.json").write_text(json.dumps(record))
    refused(
        call("train", "--resume", folder), "photographs of the installed libraries are not those"
    )


# ---------------------------------------------------------------------- bad input: training


def test_a_missing_folder_of_photographs(tmp_path):
    refused(call("train", "--data", tmp_path / "none", "--out", tmp_path / "run"), "none")
    assert not (tmp_path / "run").exists()


def test_an_empty_folder_of_photographs(tmp_path):
    (tmp_path / "photos").mkdir()
    refused(call("train", "--data", tmp_path / "photos", "--out", tmp_path / "run"), "photos")
    assert not (tmp_path / "run").exists()


def test_a_photograph_smaller_than_the_crop(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, side in (("large.png", 200), ("small.png", 40)):
        write_image(tmp_path / "photos" / name, np.zeros((3, side, side), np.float32))
    result = call("train", "--data", tmp_path / "photos", "--out", tmp_path / "run")
    refused(result, "small.png", "40 x 40", "140 x 140")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.png", b"no picture at all"), ("empty.jpg", b"")],
)
def test_a_file_among_the_photographs_that_is_no_image(tmp_path, name, content):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / name).write_bytes(content)
    refused(call("train", "--data", tmp_path / "photos", "--out", tmp_path / "run"), name)
    assert not (tmp_path / "run").exists()


def test_one_photograph_alone_cannot_be_split(tmp_path):
    (tmp_path / "photos").mkdir()
    write_image(tmp_path / "photos" / "one.png", np.zeros((3, 200, 200), np.float32))
    refused(call("train", "--data", tmp_path / "photos", "--out", tmp_path / "run"), "two")


def test_a_run_folder_that_is_taken(trained):
    before = (trained / "model.safetensors").read_bytes()
    refused(call("train", "--out", trained), "holds a run already")
    assert (trained / "model.safetensors").read_bytes() == before


def test_a_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(call("train", "--out", tmp_path / "file" / "run"), "file")


@pytest.mark.parametrize(("device", "word"), [("cuda", "driver"), ("tpu", "cpu")])
def test_a_device_that_is_not_there(tmp_path, monkeypatch, device, word):
    install(monkeypatch, driver=0)
    refused(call("train", "--device", device, "--out", tmp_path / "run"), device, word)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options", [["--preset", "huge"], ["--steps", "0"], ["--minutes", "x"], ["--seed", "-1"]]
)
def test_options_that_make_no_sense(tmp_path, options):
    refused(call("train", *options, "--out", tmp_path / "run"), options[0])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("minutes", ["nan", "inf", "-inf"])
def test_minutes_that_are_no_time(tmp_path, minutes):
    refused(call("train", "--minutes", minutes, "--out", tmp_path / "r"), "--minutes")
    assert not (tmp_path / "r").exists()


def test_several_pictures_need_a_folder(trained, picture, tmp_path):
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes())
    result = call("restore", picture, other, "--model", trained, "-o", tmp_path / "out.png")
    refused(result, "2 pictures", "out.png", "folder")
    assert not (tmp_path / "out.png").exists()


def test_a_refused_command_leaves_no_folder(trained, picture, tmp_path):
    out = tmp_path / "new"
    refused(call("restore", picture, picture, "--model", tmp_path / "none", "-o", out), "none")
    namesake = tmp_path / "other" / picture.name
    namesake.parent.mkdir()
    namesake.write_bytes(picture.read_bytes())
    refused(call("restore", picture, namesake, "--model", trained, "-o", out), "twice")
    assert not out.exists()


def test_steps_and_minutes_exclude_each_other(tmp_path):
    refused(call("train", "--steps", 3, "--minutes", 1, "--out", tmp_path / "r"), "exclude")


# ---------------------------------------------------------------------- bad input: restoring


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_picture_that_cannot_be_read(trained, tmp_path, content):
    bad = tmp_path / "bad.png"
    if content is not None:
        bad.write_bytes(content)
    refused(call("restore", bad, "--model", trained, "-o", tmp_path / "out.png"), "bad.png")
    assert not (tmp_path / "out.png").exists()


def test_a_truncated_picture(trained, picture, tmp_path):
    picture.write_bytes(picture.read_bytes()[:-200])
    refused(call("restore", picture, "--model", trained, "-o", tmp_path / "out.png"), "blurred.png")
    assert not (tmp_path / "out.png").exists()


def test_a_model_that_is_none(picture, tmp_path):
    for content in (b"", b"weights", picture.read_bytes()):
        (tmp_path / "model").write_bytes(content)
        result = call("restore", picture, "--model", tmp_path / "model", "-o", tmp_path / "o.png")
        refused(result, "model")
    refused(call("restore", picture, "--model", tmp_path / "x", "-o", tmp_path / "o.png"), "x")
    assert not (tmp_path / "o.png").exists()


def test_a_model_with_one_byte_changed(trained, picture, tmp_path):
    content = bytearray((trained / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (tmp_path / "model").write_bytes(content)
    result = call("restore", picture, "--model", tmp_path / "model", "-o", tmp_path / "o.png")
    refused(result, "damaged", "checksum")


@pytest.mark.parametrize("out", ["no/such/folder.png", "picture.xyz"])
def test_an_output_that_cannot_be_written(trained, picture, tmp_path, out):
    refused(call("restore", picture, "--model", trained, "-o", tmp_path / out), out)


def test_the_picture_itself_is_never_overwritten(trained, picture):
    before = picture.read_bytes()
    for out in (picture, picture.parent):
        refused(call("restore", picture, "--model", trained, "-o", out), "itself")
    assert picture.read_bytes() == before


def test_a_picture_that_is_there_already_is_replaced_only_by_force(trained, picture, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for out, path in ((tmp_path / "o.png", tmp_path / "o.png"), (folder, folder / picture.name)):
        path.write_bytes(b"a picture")
        refused(call("restore", picture, "--model", trained, "-o", out), path, "--force")
        assert path.read_bytes() == b"a picture"
        assert call("restore", picture, "--model", trained, "-o", out, "--force").exit_code == 0
        assert read_image(path).shape == (3, 33, 47)


def test_of_several_pictures_none_is_written_when_one_is_missing(trained, picture, tmp_path):
    result = call("restore", picture, "none.png", "--model", trained, "-o", tmp_path / "out")
    refused(result, "none.png", "no such file")
    assert not list((tmp_path / "out").glob("*.png"))


def test_two_pictures_of_one_name_do_not_overwrite_each_other(trained, picture, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / picture.name).write_bytes(picture.read_bytes())
    out = tmp_path / "out"
    result = call("restore", picture, tmp_path / "b" / picture.name, "--model", trained, "-o", out)
    refused(result, "twice", "blurred.png")
    assert not list(out.glob("*.png"))


def test_a_photograph_of_which_all_were_trained_on_cannot_judge(trained, tmp_path):
    from minigan.deblur.photographs import bundled_photographs

    for p in bundled_photographs().training[:2]:
        write_image(tmp_path / f"{p.name}.png", p.pixels / np.float32(255))
    refused(call("evaluate", "--model", trained, "--data", tmp_path), "trained on")


# ---------------------------------------------------------------------- beginning with trained weights


def weights(folder) -> dict:
    return load_model(folder).generator.state_dict()


@pytest.fixture
def one_crop_each(monkeypatch):
    """Measuring takes little time."""
    monkeypatch.setattr(run, "TESTS_EACH", 1)


@pytest.mark.usefixtures("one_crop_each")
def test_a_run_begins_with_a_trained_model_s_weights(trained, tmp_path):
    """At a rate that moves nothing, they are those in the end; the shipped ones bring their network."""
    options = ["--preset", "tiny", "--steps", "1", "--lr", "1e-20", "--start"]
    for start, expected in ((trained, weights(trained)), ("shipped", weights(None))):
        folder = tmp_path / Path(start).name
        result = call("train", *options, start, "--out", folder)
        assert result.exit_code == 0, result.output
        for name, array in weights(folder).items():
            np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-12)
    record = json.loads((tmp_path / "run/settings.json").read_text())
    assert record["command"].endswith(f"--start {trained.resolve()}")
    assert str(trained.resolve()) in (tmp_path / "run/report.html").read_text()
    assert {*load_model(None).seen} <= {*load_model(tmp_path / "shipped").seen}


@pytest.mark.usefixtures("one_crop_each")
def test_such_a_run_is_resumed_without_the_model(trained, tmp_path, monkeypatch):
    model = tmp_path / "model.safetensors"
    save_model(model, replace(load_model(trained), seen=["0" * 16]))
    options = ["--preset", "tiny", "--steps", "5", "--start", model, "--twin"]
    assert call("train", *options, "--out", tmp_path / "whole").exit_code == 0
    with monkeypatch.context() as patch:  # killed at once
        patch.setattr(Training, "go", lambda *_: 1 / 0)
        result = call("train", *options, "--out", tmp_path / "killed")
        assert isinstance(result.exception, ZeroDivisionError)
    model.unlink()
    assert "0" * 16 in load_model(tmp_path / "whole").seen
    result = call("train", "--resume", tmp_path / "killed")
    assert result.exit_code == 0, result.output
    for name in ("model.safetensors", "twin.safetensors", "log.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    refused(call("train", "--resume", tmp_path / "killed", "--start", trained), "--start is ")
    shutil.rmtree(tmp_path / "killed/checkpoints")
    refused(call("train", "--resume", tmp_path / "killed"), "holds no checkpoint, and began with")


def test_a_start_that_cannot_be(trained, tmp_path):
    def start(*options):
        return call("train", "--preset", "tiny", "--out", tmp_path / "run", "--start", *options)

    refused(start(trained, "--norm", "instance"), "--norm is instance and is none in the model")
    refused(start(tmp_path / "none"), "none")
    everything = replace(load_model(trained), seen=fingerprints(chain(*bundled_photographs())))
    save_model(tmp_path / "all.safetensors", everything)
    refused(start(tmp_path / "all.safetensors"), "trained on all the photographs")
    assert not (tmp_path / "run").exists()
