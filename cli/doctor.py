"""`doctor`: whether everything that the app needs is there, and how to repair what is not."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.checkups import Finding, Health, examine
from cli.outcome import Outcome, end, ending
from shared.config import Settings

_STYLES = {Health.GOOD: "green", Health.BAD: "bold red", Health.UNKNOWN: "yellow"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object a check.")] = False,
) -> None:
    """Check identity, roles, settings, storage, events, model and quota, by trying them.

    Reads the app settings from the environment (`azd env get-values`), and takes your own identity, so a role that
    only the app has is reported as missing for you. Writes and deletes one small blob. Ends with 0 if nothing is
    wrong, 1 if something is, 2 if the settings can not be read.
    """
    with ending():
        settings = Settings.from_environment(os.environ)
        findings = list(examine(settings, os.environ))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        Console().print(_table(findings))
    end(Outcome.INVALID if any(finding.health is Health.BAD for finding in findings) else Outcome.VALID)


def _table(findings: list[Finding]) -> Table:
    table = Table("check", "", "what was found", "what to do", box=box.SIMPLE_HEAD)
    for finding in findings:
        health = Text(finding.health, style=_STYLES[finding.health])
        table.add_row(Text(finding.check), health, Text(finding.found), Text(finding.repair))
    return table
