"""CUDA source as a C++ compiler takes it: the few rewritings that headers cannot do.

Everything else is left as it stands, and lines keep their numbers, so that the compiler and the
checker speak of the user's own lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_COMMENT_OR_STRING = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])'""", re.S | re.X
)
_DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:__align__\s*\([^)]*\)\s*|alignas\s*\([^)]*\)\s*)?"
    r"(?P<type>[A-Za-z_][\w:<> ]*?)\s*(?:__align__\s*\([^)]*\)\s*)?\b(?P<name>\w+)\s*\[\s*\]\s*;"
)
# nvcc takes the attribute behind __shared__, g++ before `static`.
_ALIGNED_SHARED = re.compile(r"(?P<shared>__shared__)\s+(?P<alignas>alignas\s*\([^)]*\))")
# What `static` adds to __shared__ is nothing to nvcc, and once too much for g++.
_STATIC_SHARED = re.compile(r"\bstatic(?=\s+__shared__\b)|(?<=\b__shared__)\s+static\b")
# In preprocessed source, where __global__ has become `emulator_kernel`.
_SCOPE = re.compile(
    r"\bnamespace\s+(?P<namespace>[\w:]+)\s*\{|[{}]|(?P<kernel>\bemulator_kernel\b)"
)
_KERNEL_NAME = re.compile(r"emulator_kernel\s+(?:static\s+|inline\s+)*void\s+(?P<name>\w+)\s*\(")
_TEMPLATE_BEFORE = re.compile(r"template\s*<[^{};]*>\s*(?:static\s+|inline\s+)*$")


def blanked(source: str) -> str:
    """The source with comments and strings blanked out, every other character in its place."""
    return _COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), source)


def kernels_in(preprocessed: str) -> list[str]:
    """The names of all `__global__` functions that are no templates, with their namespaces."""
    plain = blanked(preprocessed)
    scopes: list[str] = []
    found = []
    for match in _SCOPE.finditer(plain):
        if match["namespace"]:
            scopes.append(match["namespace"] + "::")
        elif match[0] == "{":
            scopes.append("")
        elif match[0] == "}":
            scopes = scopes[:-1]
        else:
            named = _KERNEL_NAME.match(plain, match.start())
            if named and not _TEMPLATE_BEFORE.search(plain, 0, match.start()):
                found.append("".join(scopes) + named["name"])
    return list(dict.fromkeys(found))  # once, where a declaration comes before the definition


def rewritten(source: str) -> str:
    """`extern __shared__` arrays as pointers, host code's <<<launches>>> as calls that do nothing."""
    plain = blanked(source)
    edits: list[_Edit] = [
        *_dynamic_shared(plain),
        *_launches(plain),
        *_aligned_shared(plain),
        *((*match.span(), "") for match in _STATIC_SHARED.finditer(plain)),
    ]
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + "\n" * source.count("\n", start, end) + source[end:]
    return source


_Edit = tuple[int, int, str]


def _dynamic_shared(plain: str) -> Iterable[_Edit]:
    for match in _DYNAMIC_SHARED.finditer(plain):
        kind, name = match["type"].strip(), match["name"]
        inside = plain.count("{", 0, match.start()) > plain.count("}", 0, match.start())
        if inside:
            yield *match.span(), f"{kind}* {name} = ({kind}*)emulator_dynamic_shared();"
        else:  # for all functions of the file
            line = 1 + plain.count("\n", 0, match.start())
            macro = f"\n#define {name} (({kind}*)emulator_dynamic_shared())\n#line {line}\n"
            yield *match.span(), macro


def _aligned_shared(plain: str) -> Iterable[_Edit]:
    dynamic = [match.span() for match in _DYNAMIC_SHARED.finditer(plain)]
    for match in _ALIGNED_SHARED.finditer(plain):
        if not any(start <= match.start() < end for start, end in dynamic):
            yield *match.span(), match["alignas"] + " " + match["shared"]


def _launches(plain: str) -> Iterable[_Edit]:
    for match in re.finditer(r"<<<", plain):
        end = plain.find(">>>", match.end())
        if end < 0:
            continue
        start = _start_of_name(plain, match.start())
        yield start, end + 3, "emulator_no_launch"


def _start_of_name(plain: str, end: int) -> int:
    """Where `name` or `name<arguments>` begins that ends at `end`."""
    start = len(plain[:end].rstrip())
    if plain[start - 1] == ">":
        depth = 0
        while start:
            start -= 1
            depth += {">": 1, "<": -1}.get(plain[start], 0)
            if depth == 0:
                break
    before = re.search(r"[\w:]+\s*$", plain[:start])
    return before.start() if before else start
