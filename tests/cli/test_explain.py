"""minigan explain: a script as a page, and what is refused."""

import pytest
from calls import refused
from click.testing import CliRunner

from minigan.cli.main import main

TRAINING = """
import sys
import minigan as mg

x = mg.tensor([1.0, 2.0], requires_grad=True)
rate = float(sys.argv[1]) if len(sys.argv) > 1 else 0.1
for step in range(3):
    loss = (x * x).sum()
    loss.backward()
    print("step", step, rate)
    with mg.no_grad():
        x -= rate * x.grad
    x.grad = None
open("finished", "w").close()
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAINING)
    return tmp_path / "train.py"


def call(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def test_the_first_pass_is_written_and_the_script_ends_there(script, tmp_path):
    result = call(script)
    assert result.exit_code == 0, result.output
    assert result.stdout == "train.html: 3 nodes, 3 steps backward\n"
    page = (tmp_path / "train.html").read_text(encoding="utf-8")
    assert "train.py: a backward pass of 3 steps" in page
    assert "loss = (x * x).sum()" in page
    assert not (tmp_path / "finished").exists()


def test_a_later_pass_with_the_scripts_own_arguments(script, tmp_path):
    result = call(script, "0.25", "--pass", "3", "-o", "third.html")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == ["step 0 0.25", "step 1 0.25"]
    assert (tmp_path / "third.html").exists()


def test_options_behind_two_dashes_are_the_scripts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.py").write_text(
        "import sys, minigan as mg\nprint(sys.argv[1:])\n"
        "mg.tensor(1.0, requires_grad=True).exp().backward()\n"
    )
    result = call("s.py", "--lr", "3", "--", "--force", "-o")
    assert result.stdout.splitlines()[0] == "['--lr', '3', '--force', '-o']"


def test_a_script_may_import_what_lies_beside_it_and_use_mg_grad(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "beside.py").write_text("import minigan as mg\n\ndef f(x):\n    return x.exp()\n")
    (folder / "s.py").write_text(
        "import minigan as mg\nfrom beside import f\n"
        "x = mg.tensor(1.0, requires_grad=True)\nmg.grad(f(x), x)\n"
    )
    result = call("deep/s.py")
    assert result.exit_code == 0, result.output
    assert "return x.exp()" in (tmp_path / "s.html").read_text(encoding="utf-8")


def test_a_page_is_not_replaced_without_force(script, tmp_path):
    (tmp_path / "train.html").write_text("mine")
    refused(call(script), "train.html is there already", "--force")
    assert (tmp_path / "train.html").read_text() == "mine"
    assert call(script, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", ["ended without a backward pass"]),
        ("raise SystemExit(3)", ["ended with status 3", "without a backward pass"]),
        ("1 / 0", ["raised ZeroDivisionError in bad.py, line 1: division by zero"]),
        ("def f(:", ["invalid syntax in line 1"]),
        (
            "import minigan as mg\n(mg.tensor([1.0, 2.0], requires_grad=True) * 2.0).backward()",
            ["raised an error in bad.py, line 2", "shape (2,)", "exactly one element"],
        ),
        (
            "import minigan as mg\nmg.tensor(1.0).backward()",
            ["bad.py, line 2", "requires_grad=True"],
        ),
    ],
)
def test_scripts_that_give_no_page_are_refused(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.py").write_text(text)
    refused(call("bad.py"), "bad.py", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.py"]


def test_a_script_with_too_few_passes_says_how_many_it_had(script, tmp_path):
    refused(call(script, "--pass", "4"), "after 3 backward passes", "pass 4")
    assert not (tmp_path / "train.html").exists()


def test_a_missing_script_and_a_bad_path_are_refused(script):
    refused(call("none.py"), "none.py", "no such file")
    refused(call(script, "-o", "no/such/page.html"), "no/such")
    refused(call(script, "--pass", "0"), "--pass")
