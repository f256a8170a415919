"""What the documentation shows is true: its programs run, its code is the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import minigan as mg
import minigan.ops  # enters the variants
from minigan import nn, optim
from minigan.cli.deblur.choices import CHOICES, spelled
from minigan.deblur.settings import PRESETS
from minigan.devices.launch.variants import REGISTRY

ROOT = Path(__file__).parents[1]
FROM_PYTORCH = (ROOT / "docs/from-pytorch.md").read_text()
ROWS = re.findall(r"^\| `(.+)` \| `(.+)` \|$", FROM_PYTORCH, re.MULTILINE)


def programs(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_the_operation_that_the_architecture_shows_is_the_real_one():
    (shown,) = programs((ROOT / "docs/architecture.md").read_text())
    assert shown in (ROOT / "minigan/ops/elementwise.py").read_text()


def test_the_program_about_explaining_writes_its_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = programs((ROOT / "docs/explain.md").read_text())
    exec(program, {})
    assert "A layer" in (tmp_path / "backward.html").read_text()


def test_the_program_about_films_writes_its_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (program,) = programs((ROOT / "docs/lab.md").read_text())
    exec(program, {})
    assert "The ring of eight" in (tmp_path / "ring.html").read_text()


def test_the_program_for_those_who_come_from_pytorch_runs(capsys):
    (program,) = programs(FROM_PYTORCH)
    seen: dict = {}
    exec(program, seen)
    assert re.fullmatch(r"loss \d\.\d{3}\n", capsys.readouterr().out)
    np.testing.assert_allclose(seen["w"].numpy(), [0.8, 1.6], rtol=1e-6)
    assert seen["w"].requires_grad


def test_the_programs_about_gpus_run_on_the_emulator(capsys):
    seen: dict = {}
    for program in programs((ROOT / "docs/gpu.md").read_text()):
        exec(program, seen)
    out = capsys.readouterr().out
    assert "conv2d: v6_winograd is taken" in out
    assert "(1, 64, 32, 32)" in out
    assert float(seen["captured"].results) < 0.5


def test_the_table_of_versions_lists_all_there_are():
    text = (ROOT / "docs/gpu.md").read_text()
    named = set(re.findall(r"^\| `(v\d_\w+)` \|", text, re.MULTILINE))
    assert named == {
        v.name.removesuffix("_small") for variants in REGISTRY.values() for v in variants
    }


def test_the_table_of_presets_is_true():
    text = (ROOT / "docs/deblurring.md").read_text()
    for name in CHOICES.keys() - {"task", "scale", "features", "feature_layer"}:
        found = [CHOICES[name].found(settings) for settings in PRESETS.values()]
        shown = [f"{value:g}" if isinstance(value, int | float) else value for value in found]
        assert f"| `{spelled(name)}` | {' | '.join(shown)} |" in text


def test_the_table_has_rows():
    assert len(ROWS) == 20


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[ours for _, ours in ROWS])
def test_both_columns_of_the_table_compute_the_same(theirs, ours):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no second column")
    arrays = {"x": noise(2, 3), "image": noise(1, 3, 4, 4), "kernel": noise(2, 3, 3, 3)}

    def f(x):
        return (x * x).sum()

    here = {name: mg.tensor(a, requires_grad=True) for name, a in arrays.items()}
    there = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
    a = eval(ours, {"mg": mg, "np": np, "f": f, **here})
    b = eval(theirs, {"torch": torch, "F": torch.nn.functional, "f": f, **there}).detach().numpy()
    assert np.asarray(a).dtype == b.dtype
    np.testing.assert_allclose(np.asarray(a), b, rtol=1e-5, atol=1e-6)


def test_what_is_said_to_behave_otherwise_does(tmp_path):
    x = mg.tensor(np.ones(3), requires_grad=True)
    double = mg.tensor(np.ones(3), dtype=mg.float64)
    assert (x.dtype, (x * np.ones(3)).dtype, (x * double).dtype) == ("f4", "f4", "f8")
    assert not hasattr(x, "add_")
    with pytest.raises(TypeError):
        x[0] = 1
    y = z = x * 1
    y += 1
    assert (y.tolist(), z.tolist()) == ([2] * 3, [1] * 3)
    assert z.detach().copy_(5).tolist() == [5] * 3
    assert not x.numpy().flags.writeable
    assert not mg.tensor(x).requires_grad
    assert mg.grad(x.sum(), double.requires_grad_())[0].tolist() == [0] * 3
    optimizer = optim.Scheduled(optim.Momentum([x]), optim.cosine_decay(100))
    optimizer.zero_grad()
    assert nn.Flatten(start_dim=1)(mg.rand(2, 3, 4)).shape == (2, 12)
    assert not hasattr(nn, "Parameter")
    net = nn.Linear(2, 3)
    mg.serialize.save(tmp_path / "net", net.state_dict())
    arrays, settings = mg.serialize.load(tmp_path / "net")
    net.load_state_dict(arrays)
    assert settings == {}


def test_pytorch_s_weights_come_over():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no weights of its own")
    theirs, net = torch.nn.Linear(2, 3), nn.Linear(2, 3)
    net.load_state_dict({name: t.numpy() for name, t in theirs.state_dict().items()})
    x = noise(4, 2)
    np.testing.assert_allclose(
        net(mg.tensor(x)).numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )
