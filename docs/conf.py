"""The documentation as a site: `make docs` builds it, and any warning fails it.

The lessons are the scripts of examples/, copied beside these pages and executed; the reference is
written anew from the docstrings. Neither is kept in the repository.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

from lesson_pages import copy_lessons  # noqa: E402
from reference_pages import write_reference  # noqa: E402

project = "minigan"
author = "The minigan authors"
copyright = "The minigan authors, MIT licence"
release = installed_version("minigan")

extensions = ["myst_nb", "sphinx_copybutton"]
exclude_patterns = ["_build", "*.py", "lessons/runs", "**.ipynb_checkpoints"]
suppress_warnings = ["ref.python"]  # a type's short name may stand for several
add_function_parentheses = False
maximum_signature_line_length = 80
smartquotes = False  # the primes of formulas are none

html_theme = "furo"
html_title = "minigan"
html_static_path: list[str] = []
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_custom_formats = {".py": ["lesson_pages.read", {}]}
nb_execution_mode = "cache"  # a lesson runs again when it changes
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
highlight_language = "none"  # commands; programs name their language
copybutton_exclude = ".linenos, .gp, .go"

LINK_OUT = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\((?:\.\./)+([\w./-]+)(#[\w-]+)?\)")


def name_files_outside(app, docname: str, source: list[str]) -> None:
    """Links to files of the repository, which a site does not have, become the files' names."""

    def named(link: re.Match[str]) -> str:
        words, path, _ = link.groups()
        if path.startswith("README"):
            return f"[{words}](index.md)"
        plain = words.strip("`")
        return f"`{path}`" if path.endswith(plain) else f"{words} (`{path}`)"

    source[0] = LINK_OUT.sub(named, source[0])


def setup(app) -> None:
    copy_lessons(ROOT / "examples", DOCS / "lessons")
    write_reference(DOCS / "reference")
    app.connect("source-read", name_files_outside)
