"""`costs`: what was spent and avoided, by dataset and month."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.app_api import AppApi
from cli.outcome import ending
from cli.status import AsJson


def costs(
    month: Annotated[str, typer.Option(help="Only this month, for example 2026-11.")] = "",
    dataset: Annotated[str, typer.Option(help="Only this dataset.")] = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show money and hours: endpoints, fine-tune jobs, and what was not spent while endpoints slept."""
    query = {key: value for key, value in {"month": month, "dataset": dataset}.items() if value}
    with ending():
        api = AppApi.from_environment()
        if as_csv:
            typer.echo(api.text("costs", **query, format="csv"), nl=False)
            return
        found = api.get("costs", **query)
        if as_json:
            typer.echo(json.dumps(found, indent=1))
        else:
            Console().print(_statement(found))


def _statement(found: Mapping[str, Any]) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("month")
    table.add_column("dataset")
    for name in ("endpoint hours", "cost", "job hours", "cost", "spent", "avoided", "unpriced hours"):
        table.add_column(name, justify="right")
    for line in found["costs"]:
        table.add_row(Text(line["month"]), Text(line["dataset"]), *_figures(line))
    for total in found["total"]:
        table.add_row("[bold]total[/]", "", *_figures(total))
    running = Table("live endpoint", "costs an hour", "since its last request", box=box.SIMPLE_HEAD)
    for endpoint in found["endpoints"]:
        hourly, since = endpoint.get("hourly"), endpoint.get("since_last_request")
        currency = endpoint.get("currency") or ""
        running.add_row(Text(endpoint["name"]), _money(hourly, currency), _money(since, currency))
    return Group(table, running) if found["endpoints"] else table


def _figures(line: Mapping[str, Any]) -> list[str]:
    currency = line["currency"]
    return [
        f"{line['deployment_hours']:,.1f}",
        _money(line["deployment_cost"], currency),
        f"{line['job_hours']:,.1f}",
        _money(line["job_cost"], currency),
        _money(line["spent"], currency),
        _money(line["avoided"], currency),
        f"{line['unpriced_hours']:,.1f}",
    ]


def _money(amount: float | None, currency: str) -> str:
    return "unknown" if amount is None else f"{amount:,.2f} {currency}".strip()
