"""The reference: every public name of minigan with its signature and docstring, as pages of Markdown.

A module's public names are those it defines itself and that do not begin with an underscore. A name is
written as users write it: `minigan.conv2d`, although the function lives in `minigan.ops.conv`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from sphinx.util.inspect import stringify_signature

import minigan
from minigan.cli.main import main as command_line
from minigan.core.op import Op

# The pages, in the order in which a reader may want them: what they are about, and their modules.
PAGES = {
    "core": "Tensors, gradients, errors",
    "ops": "Operations",
    "nn": "Layers and losses",
    "optim": "Optimisers",
    "gan": "GANs",
    "deblur": "Deblurring",
    "explain": "Explaining a backward pass",
    "images": "Pictures in files",
    "export": "Export to ONNX",
    "serialize": "Files of arrays",
    "checkpoints": "Checkpoints",
    "runs": "Run folders",
    "files": "Writing files",
    "processes": "A batch over processes",
    "devices": "Devices and kernels",
    "testing": "The catalogue of operations",
    "pages": "Pages of one file",
}
ROW = re.compile(r"^(\S+(?: \S+)*?)  +(\S.*)$")  # "name    what it is", as docstrings list things


def write_reference(folder: Path) -> None:
    """Write the pages; those that have not changed are left alone."""
    folder.mkdir(exist_ok=True)
    pages = {f"{name}.md": page(name, title) for name, title in PAGES.items()}
    pages["commands.md"] = commands()
    pages["index.md"] = index()
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def index() -> str:
    """The page that lists the pages."""
    names = "\n".join([*PAGES, "commands"])
    return (
        "# Reference\n\n"
        "Every public name, with its shapes, units, errors and the source of its formulas, as its\n"
        "docstring has them. What is written `minigan.x` is there after `import minigan`, which is\n"
        "`mg` in all examples.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    )


def page(name: str, title: str) -> str:
    """The page of a top-level module or package: a section for each module with public names."""
    parts = [f"# {title}\n"]
    for module in modules(f"minigan.{name}"):
        entries = [entry(shown, value) for shown, value in public(module)]
        if entries or module.__name__ == f"minigan.{name}":
            parts += [f"## `{module.__name__}`\n", markdown(module.__doc__), *entries]
    return "\n".join(parts)


def modules(name: str) -> Iterator[ModuleType]:
    """The module of that name, and all in it."""
    module = importlib.import_module(name)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        yield from modules(found.name)


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The names that a module defines, as users write them, in the order of the source."""
    for name, value in vars(module).items():
        defined_here = getattr(value, "__module__", None) == module.__name__
        is_code = inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, Op)
        if not name.startswith("_") and defined_here and is_code:
            yield shortest(module, name, value), value


def shortest(module: ModuleType, name: str, value: Any) -> str:
    """The name by the outermost package that has this very object."""
    home = module.__name__
    packages = [home.rsplit(".", count)[0] for count in range(home.count("."), 0, -1)]
    for package in packages:
        known = dir(minigan) if package == "minigan" else vars(importlib.import_module(package))
        if name in known and getattr(importlib.import_module(package), name) is value:
            return f"{package}.{name}"
    return f"{home}.{name}"


def entry(name: str, value: Any) -> str:
    """A name with its signature, docstring and, for a class, methods."""
    if not inspect.isclass(value):
        return directive("function", f"{name}{signature(value)}", markdown(value.__doc__))
    methods = [
        directive("property", member, markdown(thing.__doc__))
        if isinstance(thing, property)
        else directive(
            "method", f"{member}{signature(thing, of_instance=True)}", markdown(thing.__doc__)
        )
        for member, thing in vars(value).items()
        if not member.startswith("_")
        and (isinstance(thing, property) or inspect.isroutine(thing))
        and thing.__doc__
    ]
    own = "" if value.__doc__ is None else markdown(value.__doc__)
    kind = "exception" if issubclass(value, BaseException) else "class"
    return directive(kind, f"{name}{signature(value)}", "\n".join([own, *methods]), fence=5)


def signature(value: Any, of_instance: bool = False) -> str:
    """How it is called; nothing where Python does not know."""
    try:
        found = inspect.signature(getattr(value, "__func__", value))
    except (TypeError, ValueError):
        return ""
    parameters = [p for p in found.parameters.values() if not (of_instance and p.name == "self")]
    text = stringify_signature(found.replace(parameters=parameters), unqualified_typehints=True)
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def directive(kind: str, head: str, body: str, fence: int = 4) -> str:
    """A directive of Sphinx's Python domain."""
    return f"{'`' * fence}{{py:{kind}}} {head}\n\n{body}\n{'`' * fence}\n"


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown: lists of "name    what it is" become definitions."""
    lines, table = [], False
    for line in inspect.cleandoc(docstring or "").splitlines():
        row = ROW.match(line)
        if row:
            term, meaning = row.groups()
            lines += ["", f"`{term}`", f": {meaning}"]
        elif table and line.startswith("  "):
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
        table = bool(row) or (table and line.startswith("  "))
    return "\n".join(lines) + "\n"


def commands() -> str:
    """What `--help` says, for every command."""
    parts = ["# Commands\n"]
    for names, command in tree(command_line, ("minigan",)):
        context = click.Context(command, info_name=" ".join(names), terminal_width=96)
        parts.append(f"## `{' '.join(names)}`\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def tree(
    command: click.Command, names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it."""
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None and not found.hidden:
                yield from tree(found, (*names, name))
