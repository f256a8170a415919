"""minigan doctor: what this machine can do."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine can do, what is missing, and the command that installs it."""
    from minigan.machine import survey

    findings = survey()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "yes" if finding.there else " no"
        click.echo(f"{mark}  {finding.name:{width}}  {finding.detail}")
        if finding.remedy:
            click.echo(f"{'':{width + 7}}{finding.remedy}")
