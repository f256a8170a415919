"""Two hundred damaged models and checkpoints: each is refused in one sentence, or is what it was.

Most run in this process, some as a user would. Nothing is written, and no altered tensor gets in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial, partialmethod
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from damage import BYTES, DEEP, HEADER, RECORD, forged
from made_photographs import photographs

from minigan import serialize
from minigan.cli.main import main
from minigan.core.errors import FileError, ModelFileError
from minigan.core.parallel import workers
from minigan.deblur import run
from minigan.deblur.blur import BlurSettings
from minigan.deblur.networks import CriticSettings, GeneratorSettings
from minigan.deblur.photographs import Split
from minigan.deblur.settings import TrainSettings
from minigan.deblur.train import fit_least_squares
from minigan.images import write_image

SETTINGS = TrainSettings(
    steps=4,
    batch=2,
    crop=16,
    critic=CriticSettings(width=2),
    report_every=2,
    generator=GeneratorSettings(width=2, blocks=1),
)
SEEDS = {"a bit of the header": 12, "a bit of a tensor": 12, "cut short": 8, "a block of zeros": 4}


def job(folder: Path) -> run.Run:
    first, second, third = photographs()
    return run.Run(folder, SETTINGS, Split((first, second), (third,)), True, ["minigan"], "0")


def perform(folder: Path) -> None:
    with workers(1) as pool:
        run.perform(job(folder), pool, lambda *_: None)


@pytest.fixture(scope="module")
def sizes():
    """Runs whose measuring takes no time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("TEST_SIZE", 48), ("VALIDATION_SIZE", 32), ("TESTS_EACH", 1)):
            patch.setattr(run, name, size)
        prepared = partialmethod(BlurSettings.prepared, kernels=20)
        patch.setattr(BlurSettings, "prepared", prepared)
        patch.setattr(run, "fit_least_squares", partial(fit_least_squares, batches=1))
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory, sizes):
    """A run that has come to its second step, where the twin takes its own way."""
    folder = tmp_path_factory.mktemp("good") / "run"
    folder.mkdir()
    perform(folder)
    (folder / "checkpoints/minigan-00000004.safetensors").unlink()
    for twin in (folder / "checkpoints").glob("twin-*"):
        twin.unlink()
    return folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "blurred.png"
    write_image(path, np.random.default_rng(0).random((3, 20, 20), dtype=np.float32))
    return path


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def one_sentence(message: str) -> None:
    assert "\n" not in message
    assert "Traceback" not in message
    assert 20 < len(message) < 600, message


def as_it_was(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> bool:
    return found.keys() == wanted.keys() and all(
        a.dtype == wanted[n].dtype
        and a.shape == wanted[n].shape
        and a.tobytes() == wanted[n].tobytes()
        for n, a in found.items()
    )


def mutants(*families: dict) -> list:
    return [
        pytest.param(mutation, seed, id=f"{name}-{seed}")
        for family in families
        for name, mutation in family.items()
        for seed in range(SEEDS.get(name, 1))
    ]


# ---------------------------------------------------------------------- models

MODEL_RECORDS = {
    f"{keys[-1]}: {value!r:.20}": forged(value, "settings", *keys)
    for value, *keys in (
        ("critic", "kind"),
        (None, "kind"),
        ([], "generator"),
        ({"depth": 3}, "generator"),
        (10**12, "generator", "width"),
        (10**5, "generator", "width"),
        ("2", "generator", "width"),
        (2.5, "generator", "width"),
        (10**9, "generator", "blocks"),
        (-1, "generator", "blocks"),
        ([], "generator", "norm"),
        (None, "crop"),
        (1e400, "crop"),
        (float("nan"), "crop"),
        (-8, "crop"),
        (17, "crop"),
        (10**9, "crop"),
        (3, "blur"),
        ({"max_length": "long"}, "blur"),
        ({"max_length": float("nan")}, "blur"),
        (7, "seen"),
        ([[]], "seen"),
        ([1], "notes"),
        (None, "notes"),
    )
}


@pytest.mark.parametrize(("mutation", "seed"), mutants(BYTES, HEADER, RECORD, MODEL_RECORDS))
def test_a_damaged_model_is_refused_or_is_what_it_was(good, picture, tmp_path, mutation, seed):
    content = (good / "model.safetensors").read_bytes()
    wanted, settings = serialize.load(good / "model.safetensors")
    path, out = tmp_path / "model.safetensors", tmp_path / "out.png"
    path.write_bytes(mutation(content, np.random.default_rng(seed)))
    result = CliRunner().invoke(
        main, ["deblur", "restore", str(picture), "--model", str(path), "-o", str(out)]
    )
    if result.exit_code == 0:
        assert as_it_was(serialize.load(path)[0], wanted)
        assert serialize.load(path)[1] == settings
        return
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"Error: {path} ")
    one_sentence(result.stderr.rstrip("\n"))
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------------- checkpoints

CHECKPOINT_RECORDS = {
    f"{keys[-1]}: {value!r:.20}": forged(value, "settings", *keys)
    for value, *keys in (
        ("deblurring generator", "kind"),
        (4, "step"),
        ("2", "step"),
        (None, "record"),
        ([], "record"),
        ({}, "record"),
        (3, "record", "history"),
        ([3], "record", "history"),
        ([{"step": 2}], "record", "history"),
        ([{"step": "2", "val_psnr": "high"}], "record", "history"),
        ({}, "record", "since"),
        ([None], "record", "since"),
        (-1, "record", "logged"),
        ("all", "record", "logged"),
        (3, "record", "watch"),
        ({"steps": "x"}, "record", "watch"),
        (5, "record", "notices"),
        (None, "record", "random"),
        ({"key": "k", "drawn": []}, "record", "random"),
        ({"key": "1", "drawn": [[1]]}, "record", "random"),
        ({"key": "1", "drawn": 5}, "record", "random"),
    )
}


@pytest.mark.parametrize(("mutation", "seed"), mutants(BYTES, HEADER, RECORD, CHECKPOINT_RECORDS))
def test_a_damaged_checkpoint_is_refused_or_is_what_it_was(good, sizes, tmp_path, mutation, seed):
    folder = tmp_path / "run"
    shutil.copytree(good, folder)
    path = folder / "checkpoints/minigan-00000002.safetensors"
    wanted, settings = serialize.load(path)
    path.write_bytes(mutation(path.read_bytes(), np.random.default_rng(seed)))
    before = contents(folder)
    try:
        checked = serialize.load(path)
    except ModelFileError:
        checked = None
    try:
        perform(folder)
    except FileError as error:
        one_sentence(str(error))
        assert contents(folder) == before
    else:  # only what makes no difference, such as a byte of white space, goes through
        assert checked is not None
        assert as_it_was(checked[0], wanted)
        assert checked[1] == settings
        final = "model.safetensors"
        assert (folder / final).read_bytes() == (good / final).read_bytes()


# ---------------------------------------------------------------------- as a user meets them


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run as `minigan deblur train` leaves it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    options = ["--preset", "tiny", "--steps", "3", "--out", str(folder)]
    result = CliRunner().invoke(main, ["deblur", "train", *options])
    assert result.exit_code == 0, result.output
    return folder


def refused(folder: Path, result, named: str) -> None:
    assert result.returncode == 2 if hasattr(result, "returncode") else result.exit_code == 2
    (message,) = result.stderr.splitlines()
    assert message.startswith("Error: ")
    assert named in message
    one_sentence(message)


def changed(record: dict, value: object, *keys: str) -> str:
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return json.dumps(record)


NOT_JSON = [
    "",
    "{",
    "NaN",
    "[]",
    "3",
    "null",
    '"settings"',
    DEEP,
    '{"settings": ' + DEEP + "}",
    "9" * 9999,
]
SETTINGS_RECORDS = [
    ([], "settings"),
    (None, "settings"),
    ("many", "settings", "steps"),
    (2.5, "settings", "steps"),
    (float("nan"), "settings", "lr"),
    (0, "settings", "batch"),
    (10**15, "settings", "batch"),
    (12, "settings", "crop"),
    ([], "settings", "generator"),
    (10**12, "settings", "generator", "width"),
    ("wavelet", "settings", "adversarial"),
    (None, "settings", "blur"),
    ("x", "settings", "blur", "sigma"),
    (1, "settings", "unknown"),
    (3, "data"),
    ("a\0b", "data"),
    ("/no/such/folder", "data"),
    ("x" * 5000, "data"),
    ("minigan 'deblur", "command"),
    ([], "command"),
    ("quantum", "device"),
    ({"a": 1}, "fingerprints"),
    ([1, 2], "fingerprints"),
    ("none", "machine"),
    ("yes", "twin"),
]


@pytest.mark.parametrize(
    "text",
    [*NOT_JSON, b"\xff\xfe\0", *SETTINGS_RECORDS],
    ids=lambda case: f"{case!r:.40}".replace("\\", ""),
)
def test_a_run_whose_settings_are_damaged_is_not_resumed(trained, tmp_path, text):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = folder / "settings.json"
    if isinstance(text, tuple):
        text = changed(json.loads(path.read_text()), *text)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = contents(folder)
    result = CliRunner().invoke(main, ["deblur", "train", "--resume", str(folder)])
    refused(folder, result, "")
    assert contents(folder) == before


@pytest.mark.parametrize(
    "name", ["a bit of a tensor", "cut short", "a header of terabytes", "twice"]
)
def test_a_process_that_resumes_a_damaged_run_ends_with_a_sentence(trained, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    path = folder / "checkpoints/minigan-00000003.safetensors"
    path.write_bytes((BYTES | HEADER)[name](path.read_bytes(), np.random.default_rng(0)))
    before = contents(folder)
    command = ["deblur", "train", "--resume", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "minigan", *command], capture_output=True, text=True, check=False
    )
    refused(folder, done, "minigan-00000003.safetensors")
    assert contents(folder) == before


@pytest.mark.parametrize("command", ["evaluate", "export", "import"])
def test_a_process_that_gets_a_damaged_model_ends_with_a_sentence(good, tmp_path, command):
    path, out = tmp_path / "model.safetensors", tmp_path / "out"
    path.write_bytes(
        BYTES["a bit of a tensor"]((good / path.name).read_bytes(), np.random.default_rng(1))
    )
    arguments = {
        "evaluate": ["deblur", "evaluate", "--model", path],
        "export": ["export", path, "-o", out],
        "import": ["import", good / path.name, "--like", path, "-o", out],
    }
    done = subprocess.run(
        [sys.executable, "-m", "minigan", *arguments[command]],
        capture_output=True,
        text=True,
        check=False,
    )
    refused(tmp_path, done, str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_there_are_at_least_two_hundred():
    families = (BYTES, HEADER, RECORD)
    both = 2 * len(mutants(*families)) + len(mutants(MODEL_RECORDS, CHECKPOINT_RECORDS))
    assert both + len(NOT_JSON) + len(SETTINGS_RECORDS) >= 200
