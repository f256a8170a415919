"""minigan explain: a backward pass of a script as a page that one can step through."""

from __future__ import annotations

from pathlib import Path

import click

from minigan.cli.options import COUNT, FORCE, PATH, refuse_replacing


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("script", type=PATH)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "-o", "--out", type=PATH, help="The page to write [default: SCRIPT's name with .html]."
)
@click.option(
    "--pass",
    "number",
    type=COUNT,
    default=1,
    show_default=True,
    help="Which of the script's backward passes.",
)
@FORCE
def explain(
    script: Path, arguments: tuple[str, ...], out: Path | None, number: int, force: bool
) -> None:
    """Run SCRIPT until a backward pass has ended, and write that pass as a page.

    The page shows the graph, and step by step what each operation computed, which gradient flowed in,
    what was passed on and by which formula, and which line of the script is behind it. It is one file
    and needs no network. Arguments that are not named here are the script's own; behind -- all are.
    """
    from minigan.explain.script import trace_script
    from minigan.files import check_writable

    page = out or Path(f"{script.stem}.html")
    refuse_replacing([page], force)
    check_writable(page)
    trace = trace_script(script, arguments, number)
    trace.write(page, title=f"{script.name}: a backward pass of {len(trace.visits)} steps")
    click.echo(f"{page}: {len(trace.nodes)} nodes, {len(trace.visits)} steps backward")
