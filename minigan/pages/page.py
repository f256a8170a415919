"""A page of one file: markup, style, script and data in it, and nothing that it would fetch."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from importlib import resources
from typing import Any

# Nothing may be loaded from anywhere; what is in the page may be run and drawn.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_OWN_SERVER = "; connect-src 'self'"

_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
<script>
{script}
</script>
</body>
</html>
"""


def assembled(
    title: str, package: str, parts: Sequence[str], data: Any, connects: bool = False
) -> str:
    """The page made of the files `parts` in a package (.html, .css, .js) and its data as JSON.

    Before the page's own styles and scripts come those that all pages share, in this package. With
    `connects`, the page may ask the server that it came from.
    """
    files = {
        kind: [_part(package, name) for name in parts if name.endswith(kind)]
        for kind in (".html", ".css", ".js")
    }
    return _FRAME.format(
        policy=_POLICY + _OWN_SERVER * connects,
        title=html.escape(title),
        style="\n".join([_part("minigan.pages", "base.css"), *files[".css"]]),
        body="\n".join(files[".html"]),
        data=as_json(data),
        script="\n".join([_part("minigan.pages", "base.js"), *files[".js"]]),
    )


def as_json(data: Any) -> str:
    """JSON that can stand in a <script>: no `<` in it, so that no string in it can end the element.

    JSON has no NaN and no infinity; `number` makes strings of them first.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def number(value: float) -> float | str:
    """A number for `as_json`: NaN and the infinities as the strings "nan", "inf" and "-inf"."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _part(package: str, name: str) -> str:
    return (resources.files(package) / name).read_text(encoding="utf-8")
