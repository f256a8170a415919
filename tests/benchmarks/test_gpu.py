"""The benchmark for GPUs, run on the emulator: its logic, not its speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import gpu

    yield gpu
    for name in ("gpu", "timing"):
        sys.modules.pop(name, None)


def test_all_contenders_agree_and_the_figures_are_complete(gpu, tmp_path, capsys):
    torch = pytest.importorskip("torch", reason="PyTorch is the other contender")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gpu.main(["--device", "emulator", "--tiny", "--rounds", "2", "--out", str(tmp_path / "x.json")])
    torch.set_num_threads(threads)
    found = json.loads((tmp_path / "x.json").read_text())
    assert len(found["layers"]) == 7 * 3 + 1
    by_name = {(row["layer"].get("name"), row["operation"]): row for row in found["layers"]}
    block = by_name["block", "conv2d"]
    assert block["flops"] == 2 * 4 * 4 * 16 * 16 * 9
    times = block["seconds"]["warm"]
    assert {"ours", "v6_winograd", "v5_tf32", "torch fp32 nhwc", "torch tf32 nchw"} <= times.keys()
    assert all(len(t["samples"]) == 2 and t["median"] > 0 for t in times.values())
    assert "v7_thin" in by_name["last 7x7", "conv2d_dw"]["seconds"]["warm"]
    ratio = found["torch over ours, geometric mean of convolutions"]
    assert ratio["fp32"] > 0
    assert ratio["tf32"] > 0
    steps = found["training"]["seconds"]
    assert {"ours eager", "ours captured", "torch eager"} <= steps.keys()
    assert found["training"]["losses"]["ours"] == pytest.approx(
        found["training"]["losses"]["torch"], rel=1e-4
    )
    printed = capsys.readouterr().out
    assert "tiny: block, conv2d_dx" in printed
    assert "/" not in json.dumps(found["machine"]).replace(" / ", "")


def test_a_contender_with_a_wrong_result_ends_the_run(gpu):
    right, wrong = np.ones(4), np.array([1, 1, 1, 1.001])
    made = {"ours": (None, lambda: right), "v4_pipelined": (None, lambda: wrong)}
    with pytest.raises(SystemExit, match="conv2d: v4_pipelined is off by 1"):
        gpu.check("conv2d", made)
    made = {"ours": (None, lambda: right), "v5_tf32": (None, lambda: wrong)}
    gpu.check("conv2d", made)


def test_contenders_take_turns(gpu):
    order = []
    clock = gpu.HostClock()
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    samples = gpu.interleaved(calls, clock, rounds=3, cold=False)
    assert order == [*"ab", *"ab" * 3]
    assert {name: len(s.seconds) for name, s in samples.items()} == {"a": 3, "b": 3}
