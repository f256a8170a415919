"""The table of cures: games are played once, lines survive interruptions, means are right."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import gan_modes


def line(method, seed, modes, good):
    settings = gan_modes.asdict(gan_modes.settings_of((method, "ring", seed)))
    found = {"method": method, "target": "ring", "seed": seed, "modes": modes, "good": good}
    return {**found, "seconds": 1.0, "settings": json.loads(json.dumps(settings))}


def test_a_game_gives_a_line():
    found = gan_modes.play(("plain", "ring", 3), steps=2)
    assert found["steps"] == 2
    assert found["settings"]["seed"] == 3
    assert found["failed"] is None
    assert 0 <= found["modes"] <= 8
    json.dumps(found)


def test_games_are_played_once_and_again_when_their_settings_change():
    lines = [line("plain", 0, 8, 0.9)]
    waiting = gan_modes.open_games(lines, ["plain"], ["ring"], seeds=2)
    assert waiting == [("plain", "ring", 1)]
    lines[0]["settings"]["lr"] = 123.0
    assert len(gan_modes.open_games(lines, ["plain"], ["ring"], seeds=2)) == 2
    assert gan_modes.of_today(lines) == []


def test_a_line_that_was_cut_short_is_left_out(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(line("plain", 0, 8, 0.9)) + "\n" + '{"method": "pl')
    assert len(gan_modes.lines_of(path)) == 1
    gan_modes.add_line(path, line("plain", 1, 8, 0.9))
    assert [found["seed"] for found in gan_modes.lines_of(path)] == [0, 1]
    assert gan_modes.lines_of(tmp_path / "none") == []


def test_the_table_has_means_and_deviations():
    rows = list(gan_modes.table([line("plain", 0, 8, 0.9), line("plain", 1, 4, 0.5)]))
    assert len(rows) == 1
    assert rows[0]["ring"]["modes"] == 6
    assert rows[0]["ring"]["modes_deviation"] == 2
    assert rows[0]["ring"]["good"] == pytest.approx(0.7)
    assert "6.0 ± 2.0" in gan_modes.shown(rows[0])
