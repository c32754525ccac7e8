"""A validation report for people: a table of the splits, what is wrong, and the verdict."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from cli.checked import Checked
    from shared.datasets.split_report import LineError

SHOWN = 20
"""Findings of each list; `--json` has them up to the report's own limit."""


def print_report(console: Console, checked: Checked) -> None:
    report = checked.report
    console.print(_splits(checked))
    for problem in report.problems:
        console.print(Text.assemble((problem.kind, "bold red"), f" {problem.subject}: {problem.reason}"))
    errors = sum(sum(split.error_counts.values()) for split in report.splits)
    warnings = sum(sum(split.warning_counts.values()) for split in report.splits)
    _print_findings(console, "errors", "red", report.errors(), errors)
    _print_findings(console, "warnings", "yellow", report.warnings(), warnings)
    if checked.valid:
        console.print(Text(f"valid: {checked.path}", style="bold green"))
    else:
        counts = f"{errors} errors, {len(report.problems)} problems of the version"
        console.print(Text(f"invalid: {checked.path}: {counts}", style="bold red"))


def _splits(checked: Checked) -> Table:
    table = Table(title="Tokens are estimated", title_justify="left", title_style="dim", box=box.SIMPLE_HEAD)
    table.add_column("split", no_wrap=True)
    for name in ("rows", "messages", "tokens", "median", "p95", "longest", "errors", "warnings"):
        table.add_column(name, justify="right")
    for split in checked.report.splits:
        numbers = (
            split.rows,
            split.turns,
            split.tokens,
            split.lengths.median,
            split.lengths.p95,
            split.lengths.longest,
            sum(split.error_counts.values()),
            sum(split.warning_counts.values()),
        )
        table.add_row(split.split, *(f"{number:,.0f}" for number in numbers))
    return table


def _print_findings(
    console: Console, what: str, style: str, findings: Iterable[tuple[str, LineError]], count: int
) -> None:
    if not count:
        return
    table = Table(title=f"{count:,} {what}", title_justify="left", title_style=style, box=box.SIMPLE_HEAD)
    table.add_column("place", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("reason", overflow="fold")
    shown = list(islice(findings, SHOWN))
    for file, finding in shown:
        table.add_row(Text(f"{file}:{finding.line}"), Text(finding.kind), Text(finding.reason))
    console.print(table)
    if count > len(shown):
        console.print(Text(f"… and {count - len(shown):,} more {what}", style="dim"))
