"""minigan selftest: the catalogue's checks on this machine."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("operations", nargs=-1)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "emulator"]),
    default="cpu",
    show_default=True,
    help="Where to compute.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Calls of each operation.",
)
def selftest(operations: tuple[str, ...], device: str, examples: int) -> None:
    """Check OPERATIONS (default: all) against references and finite differences.

    Ends with 1 if a check fails.
    """
    from minigan.core.errors import require

    require("scipy", "test", "run the checks")
    require("hypothesis", "test", "run the checks")
    from minigan.testing.selftest import selftest as results

    failed, count = 0, 0
    for result in results(device, operations, examples):
        count += 1
        failed += bool(result.problem)
        word = "FAILED" if result.problem else "ok"
        click.echo(f"{word:6}  {result.operation:24} {', '.join(result.checks)}")
        if result.problem:
            click.echo(f"        {result.problem}")
    click.echo(f"{count - failed} of {count} operations are right on {device}")
    sys.exit(1 if failed else 0)
