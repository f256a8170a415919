"""The benchmarks for the CPU: their logic, not their speed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
from minigan.core.tensor import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is the other contender")

FOLDER = Path(__file__).parents[2] / "benchmarks"
MODULES = ("step_cpu", "ops_cpu", "timing", "networks")


@pytest.fixture
def benchmark(monkeypatch):
    """Import a script of benchmarks/ by name; it starts nothing again and sets nothing of malloc."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()

    def load(name):
        module = __import__(name)
        monkeypatch.setattr(module, "keep_freed_memory", lambda: True)
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
