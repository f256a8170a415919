"""The documentation as a site: it builds without a warning, and its reference has every public name."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minigan as mg

ROOT = Path(__file__).parents[1]
PACKAGES = ("nn", "ops", "optim", "images", "export", "explain", "deblur.networks")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, with the lessons as they stand and not executed, which the lessons' own tests do."""
    pytest.importorskip("myst_nb", reason="Sphinx with myst-nb is not installed: no site")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-D", "nb_execution_mode=off", str(ROOT / "docs"), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return folder


def names_in(site: Path) -> set[str]:
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    return {name for domain in inventory.data.values() for name in domain}


def test_the_reference_has_every_public_name(site):
    known = names_in(site)
    wanted = {f"minigan.{name}" for name in dir(mg) if callable(getattr(mg, name))}
    for package in PACKAGES:
        module = importlib.import_module(f"minigan.{package}")
        callables = [name for name in module.__all__ if callable(getattr(module, name))]
        wanted |= {f"minigan.{package}.{name}" for name in callables}
    # An operation is listed once, by its shortest name; aliases of types are no functions.
    short = {f"minigan.{name}" for name in mg.ops.__all__}
    aliases = {"minigan.optim.Schedule"}
    missing = {n for n in wanted if n.replace(".ops.", ".") not in short & known and n not in known}
    assert missing - aliases == set()
    assert {"minigan.Tensor.backward", "minigan.nn.Module.state_dict"} <= known


def test_the_reference_has_every_command(site):
    text = (ROOT / "docs/reference/commands.md").read_text()
    for command in ("explain", "gan lab", "deblur restore", "deblur evaluate", "selftest"):
        assert f"## `minigan {command}`" in text


def test_every_lesson_is_a_page_and_every_slide_has_one(site):
    lessons = {path.stem for path in (ROOT / "examples").glob("[0-9][0-9]_*.py")}
    assert lessons == {path.stem for path in (site / "lessons").glob("*.html")}
    linked = set(re.findall(r"lessons/(\w+)\.py", (ROOT / "docs/tutorial.md").read_text()))
    assert linked == lessons


def test_docstrings_become_markdown(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from reference_pages import markdown, signature

    text = "One line.\n\n    y = x\n\nname   what it is,\n       and more\nother  that\n\nThe end."
    assert markdown(text) == (
        "One line.\n\n    y = x\n\n\n`name`\n: what it is,\n  and more\n\n`other`\n: that\n\nThe end.\n"
    )
    assert signature(mg.sum).startswith("(x: ")
    assert signature(mg.Tensor.sum, of_instance=True).startswith("(axis")
