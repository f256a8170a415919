"""Formulas of `minigan.explain.formulas` as HTML."""

from __future__ import annotations

import html

_TAGS = {"_": "sub", "^": "sup"}


def marked_up(formula: str) -> str:
    """`x_i` and `e^{−x}` with what is lowered and raised in <sub> and <sup>; all else is escaped."""
    found, i = "", 0
    while i < len(formula):
        tag = _TAGS.get(formula[i])
        if tag is None or i + 1 == len(formula):
            found += html.escape(formula[i])
            i += 1
            continue
        inner = _braced(formula, i + 1) if formula[i + 1] == "{" else formula[i + 1]
        i += 1 + len(inner)
        inner = inner[1:-1] if inner.startswith("{") else inner
        found += f"<{tag}>{marked_up(inner)}</{tag}>"
    return found


def _braced(formula: str, start: int) -> str:
    """From an opening brace to the one that closes it, or to the end."""
    depth = 0
    for i in range(start, len(formula)):
        depth += {"{": 1, "}": -1}.get(formula[i], 0)
        if depth == 0:
            return formula[start : i + 1]
    return formula[start:] + "}"
