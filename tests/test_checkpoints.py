"""Checkpoints: whole or not at all, the last ones and the best kept, damage told."""

from __future__ import annotations

import numpy as np
import pytest

from minigan import serialize
from minigan.checkpoints import Checkpoint, Checkpoints
from minigan.core.errors import ArgumentError, ModelFileError, OutputPathError


def state(step):
    return Checkpoint(step, {"w": np.full(3, step, np.float32)}, {"loss": 0.1 * step})


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "run" / "checkpoints", "minigan")


def test_what_was_saved_last_comes_back(checkpoints):
    assert checkpoints.newest() is None
    for step in (100, 200):
        checkpoints.save(state(step))
    newest = checkpoints.newest()
    assert newest.step == 200
    assert newest.arrays["w"].tolist() == [200] * 3
    assert newest.record == {"loss": 0.1 * 200}


@pytest.mark.parametrize(
    ("keep", "best", "left"), [(2, None, [4, 5]), (1, 2, [2, 5]), (3, 9, [3, 4, 5])]
)
def test_the_last_ones_and_the_best_stay(checkpoints, keep, best, left):
    checkpoints.keep = keep
    for step in range(1, 6):
        checkpoints.save(state(step), best)
    assert checkpoints.steps() == left


def test_two_networks_share_a_folder(checkpoints):
    other = Checkpoints(checkpoints.folder, "twin")
    checkpoints.save(state(1))
    other.save(state(2))
    assert (checkpoints.steps(), other.steps()) == ([1], [2])


def test_a_damaged_one_is_told_with_what_is_left(checkpoints):
    for step in (100, 200):
        path = checkpoints.save(state(step))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"minigan-00000200.* goes on from step 100$"):
        checkpoints.newest()
    path.unlink()
    assert checkpoints.newest().step == 100


def test_the_only_one_damaged_leaves_the_beginning(checkpoints):
    checkpoints.save(state(7)).write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"training goes on from the beginning$"):
        checkpoints.newest()


@pytest.mark.parametrize("settings", [{}, {"kind": "checkpoint", "step": 8, "record": {}}])
def test_another_file_under_its_name_is_refused(checkpoints, settings):
    serialize.save(checkpoints.save(state(7)), {}, settings)
    with pytest.raises(ModelFileError, match="is no checkpoint of step 7, as its name says"):
        checkpoints.newest()


def test_a_disk_that_is_full_leaves_the_old_ones(checkpoints, monkeypatch):
    for step in (1, 2):
        checkpoints.save(state(step))

    def full(*_, **__):
        raise OutputPathError("cannot write x: No space left on device")

    monkeypatch.setattr(serialize, "save", full)
    with pytest.raises(OutputPathError):
        checkpoints.save(state(3))
    assert checkpoints.steps() == [1, 2]


@pytest.mark.parametrize(("name", "keep"), [("a", 0), ("../a", 1), ("", 1)])
def test_bad_settings_are_refused(tmp_path, name, keep):
    with pytest.raises(ArgumentError, match="lower-case letters and a positive number"):
        Checkpoints(tmp_path, name, keep)
