"""The benchmarks for the CPU: their logic, not their speed."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan.core.tensor import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is the other contender")

FOLDER = Path(__file__).parents[2] / "benchmarks"
MODULES = (
    *("agreement", "memory", "networks", "ops_cpu", "overhead", "peers"),
    *("loader", "restore_cpu", "restore_memory", "scaling", "step_cpu", "timing"),
)


@pytest.fixture
def benchmark(monkeypatch):
    """Import a script of benchmarks/ by name; it starts nothing again and sets nothing of malloc."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()

    def load(name):
        module = __import__(name)
        monkeypatch.setattr(module, "keep_freed_memory", lambda: True, raising=False)
        return module

    yield load
    torch.set_num_threads(threads)
    for name in MODULES:
        sys.modules.pop(name, None)


def test_steps_agree_with_pytorchs_and_the_figures_are_complete(benchmark, tmp_path, capsys):
    out = tmp_path / "x.json"
    benchmark("step_cpu").main(["--tiny", "--rounds", "1", "--runs", "2", "--out", str(out)])
    found = json.loads(out.read_text())
    assert [row["case"] for row in found["steps"]] == [
        "generator, batch 2, 16x16",
        "WGAN-GP, batch 2, 32x32",
    ]
    for row in found["steps"]:
        losses = row["losses"]
        assert losses["minigan"][0] == pytest.approx(losses["torch nchw"][0], rel=1e-3)
        assert len(row["ratios"]) == 2
        assert len(row["seconds"]) == 2
        assert row["seconds"][0].keys() == {"minigan", "torch nchw", "torch nhwc"}
        assert min(row["ratios"]) <= row["ratio"] <= max(row["ratios"])
    assert "minigan / torch" in capsys.readouterr().out
    assert "/" not in json.dumps(found["machine"])


def test_losses_that_disagree_end_the_run(benchmark):
    script = benchmark("step_cpu")
    steps = {"minigan": lambda: 1.01, "torch nchw": lambda: 1.0}
    with pytest.raises(SystemExit, match="the losses of minigan are"):
        script.compared_losses(steps)


def test_every_operation_is_compared_before_it_is_timed(benchmark, tmp_path, capsys):
    script = benchmark("ops_cpu")
    arguments = ["--rounds", "1", "--runs", "1", "--out", str(tmp_path / "x.json")]
    script.main(["--only", "instance norm", *arguments])
    found = json.loads((tmp_path / "x.json").read_text())
    (row,) = found["operations"]
    assert found["geometric mean, both"] == pytest.approx(row["both"]["ratio"])
    assert row["forward"]["seconds"][0].keys() == {"minigan", "torch nchw", "torch nhwc"}
    assert "instance norm + relu" in capsys.readouterr().out
    wrong = script.Case("wrong", ((3,),), mg.relu, lambda x: torch.nn.functional.leaky_relu(x, 0.5))
    leaf = Tensor(np.array([1.0, -2.0, 3.0], np.float32))
    theirs = wrong.theirs(torch.tensor([1.0, -2.0, 3.0]))
    with pytest.raises(SystemExit, match="wrong: the result is off by 3"):
        script.check(wrong, lambda: [mg.relu(leaf)], lambda: [theirs])
    with pytest.raises(SystemExit, match="no case begins with 'nothing'"):
        script.main(["--only", "nothing", *arguments])


def test_cases_cover_the_layers_and_shapes(benchmark):
    names = [case.name for case in benchmark("ops_cpu").cases()]
    assert len(names) == len(set(names)) == 20
    assert sum(name.startswith("conv ") for name in names) == 10


def test_a_restored_picture_is_compared_before_it_is_timed(benchmark, tmp_path, monkeypatch):
    script = benchmark("restore_cpu")
    monkeypatch.setattr(script, "peak_of", lambda name, size: 2.0)
    arguments = ["--rounds", "1", "--runs", "1", "--size", "40", "52", "--out", str(tmp_path / "x")]
    script.main(arguments)
    found = json.loads((tmp_path / "x").read_text())
    assert found["memory ratio"] == 1.0
    assert found["time"]["ratio"] > 0
    contender = script.contender

    def darker(name, scope):
        run = contender(name, scope)
        return (lambda picture: 0.99 * run(picture)) if name == "minigan" else run

    monkeypatch.setattr(script, "contender", darker)
    with pytest.raises(SystemExit, match="the picture of minigan is not that of PyTorch"):
        script.main(arguments)


@pytest.mark.parametrize("name", ["minigan", "torch nchw"])
def test_memory_is_measured_of_one_contender_alone(benchmark, name):
    script = benchmark("memory")
    script.alone(name, script.Case("generator", 2, 16, 4, 1))
    benchmark("restore_cpu").alone(name, (40, 52))


linux_tells = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists()
    or not Path(f"/proc/self/task/{os.getpid()}/children").exists(),
    reason="Linux tells the memory and the children of a process",
)


@linux_tells
def test_the_memory_of_a_command_is_the_most_it_ever_had(benchmark, capfd):
    script = benchmark("peak")
    grows = (
        "b = bytearray(80 << 20); import time; time.sleep(0.1); del b; time.sleep(0.1); print(1)"
    )
    small, large = (
        script.peak_megabytes([sys.executable, "-c", program]) for program in ("pass", grows)
    )
    assert 70 < large - small < 95
    assert capfd.readouterr().out == ""
    with pytest.raises(SystemExit, match=r"-c raise SystemExit.3. failed with exit code 3"):
        script.peak_megabytes([sys.executable, "-c", "raise SystemExit(3)"])


@linux_tells
def test_memory_counts_the_processes_that_a_process_makes(benchmark):
    script = benchmark("peak")
    assert script.children(os.getpid()) == []
    before = script.megabytes(os.getpid())
    theirs, reply = multiprocessing.get_context("fork").Pipe()

    def grow():
        grown = np.ones(5 << 20)  # 40 MB
        theirs.send("grown")
        theirs.recv()
        del grown

    process = multiprocessing.get_context("fork").Process(target=grow, daemon=True)
    process.start()
    assert reply.recv() == "grown"
    assert script.children(os.getpid()) == [process.pid]
    both = script.megabytes(os.getpid()) + script.megabytes(process.pid)
    assert both == pytest.approx(before + 40, abs=8)
    reply.send("end")
    process.join()
    assert script.megabytes(process.pid) == 0


def test_overhead_takes_both_through_the_same_operations(benchmark, tmp_path, monkeypatch, capsys):
    script = benchmark("overhead")
    monkeypatch.setattr(script, "IMPORTS", {"minigan": "import ast", "torch": "import email"})
    script.main(["--rounds", "1", "--runs", "1", "--out", str(tmp_path / "x")])
    found = json.loads((tmp_path / "x").read_text())
    names = [row["case"] for row in found["cases"]]
    assert names == [*script.OPERATIONS, "a chain", "a small net"]
    assert found["import"]["seconds"].keys() == {"minigan", "torch", "nothing"}
    assert "geometric mean" in capsys.readouterr().out
    for name in script.OPERATIONS:
        ours, theirs = (run() for run in script.one_operation(name).values())
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, err_msg=name)
    ours, theirs = (run()[0].numpy() for run in script.chain().values())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_losses_farther_apart_than_their_bound_are_an_error(benchmark, tmp_path, monkeypatch):
    script = benchmark("agreement")
    monkeypatch.setattr(script, "BATCH", 1)
    monkeypatch.setattr(script, "SIZE", 16)
    arguments = ["--only", "float64", "--steps", "2", "--out", str(tmp_path / "x")]
    script.main(arguments)
    (row,) = json.loads((tmp_path / "x").read_text())["cases"]
    assert row["distances"]["led"] < 1e-14
    assert row["losses"]["led"][1] != row["losses"]["led"][0]
    monkeypatch.setattr(script, "CASES", [script.Case("float64", "float64", False, 2, -1.0)])
    with pytest.raises(SystemExit, match="farther from PyTorch's"):
        script.main(arguments)


def test_scaling_has_a_line_for_each_size(benchmark, tmp_path, capsys):
    benchmark("scaling").main(["--tiny", "--rounds", "1", "--out", str(tmp_path / "x")])
    rows = json.loads((tmp_path / "x").read_text())["steps"]
    assert [(row["varied"], row["value"]) for row in rows] == [("side", 16), ("side", 32)]
    assert all(len(row["ratios"]) == 2 for row in rows)
    assert "two processors for one" in capsys.readouterr().out


def test_peers_that_are_missing_are_left_out(benchmark, tmp_path, monkeypatch, capsys):
    script = benchmark("peers")

    def missing():
        raise ImportError("no module of that name")

    class Wrong:
        def step(self, arrays, batch, blocks):
            return lambda: 1.0

    arguments = ["--tiny", "--rounds", "1", "--runs", "1", "--out", str(tmp_path / "x")]
    monkeypatch.setattr(script, "PEERS", {"autograd": missing})
    script.main(arguments)
    assert "autograd is left out: no module of that name" in capsys.readouterr().out
    assert list(json.loads((tmp_path / "x").read_text())["steps"]) == ["minigan"]
    monkeypatch.setattr(script, "PEERS", {"wrong": Wrong})
    with pytest.raises(SystemExit, match="the losses of wrong are"):
        script.main(arguments)


def test_blas_is_freed_by_starting_again(benchmark, monkeypatch):
    timing = benchmark("step_cpu").free_blas.__globals__
    started = []
    monkeypatch.setattr(timing["os"], "execv", lambda *command: started.append(command))
    timing["free_blas"]()
    assert started == []
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    timing["free_blas"]()
    assert started[0][1][0] == sys.executable
    assert "OPENBLAS_CORETYPE" not in timing["os"].environ


def test_the_loader_takes_turns_with_drawing_in_place(benchmark, monkeypatch, tmp_path, capsys):
    loader = benchmark("loader")
    monkeypatch.setattr(loader, "PRESETS", {"small": loader.PRESETS["tiny"]})
    found = tmp_path / "found.json"
    counts = ["--loaders", "1", "2", "--steps", "1", "--rounds", "2", "--runs", "1"]
    loader.main([*counts, "--out", str(found)])
    assert "2 loaders / drawn in place" in capsys.readouterr().out
    result = json.loads(found.read_text())
    (run,) = result["seconds"]
    assert run.keys() == {"drawn in place", "1 loaders", "2 loaders"}
    assert all(len(one["samples"]) == 2 for one in run.values())
    assert result["ratios"].keys() == {"1 loaders", "2 loaders"}


def test_restore_memory_fails_where_a_photograph_takes_too_much(benchmark, monkeypatch, tmp_path):
    module = benchmark("restore_memory")
    monkeypatch.setattr(module, "CASES", (("one", 20, 30, 8, 100), ("two", 20, 30, 16, 100)))
    seen = []

    def peak(command):
        seen.append(Path(command[5]).suffix)
        assert Path(command[5]).exists()
        return 40.0 * len(seen) ** 2

    monkeypatch.setattr(module, "peak_megabytes", peak)
    module.main(["--only", "one", "--out", str(tmp_path / "a.json")])
    with pytest.raises(SystemExit):
        module.main(["--only", "two", "--out", str(tmp_path / "b.json")])
    found = json.loads((tmp_path / "b.json").read_text())["photographs"]
    assert found == {"two": {"megabytes": 160.0, "at most": 100}}
    assert seen == [".jpg", ".png"]
