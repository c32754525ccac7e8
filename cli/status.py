"""`status` and `show`: what is going on, and all about one tuning."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.app_api import AppApi
from cli.outcome import ending
from shared.clock import utc_now

_STYLES = {
    "live": "bold green",
    "rejected": "red",
    "failed": "red",
    "rolled_back": "red",
    "superseded": "dim",
    "retired": "dim",
}

AsJson = Annotated[bool, typer.Option("--json", help="For programs: the app's own answer.")]


def status(
    dataset: Annotated[str, typer.Option(help="Only tunings of this dataset.")] = "",
    state: Annotated[str, typer.Option(help="Only these states, separated by commas.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=5000, help="At most so many, the newest first.")] = 20,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="Seconds between looks of --watch.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show tunings with their state, and versions whose files are still arriving."""
    query = {key: value for key, value in {"dataset": dataset, "state": state}.items() if value}
    with ending():
        api = AppApi.from_environment()
        if as_json:
            typer.echo(json.dumps(_look(api, query, limit), indent=1))
            return
        if not watch:
            Console().print(_board(_look(api, query, limit), utc_now()))
            return
        with Live(console=Console(), auto_refresh=False, screen=sys.stdout.isatty()) as view:
            while True:
                view.update(_board(_look(api, query, limit), utc_now()), refresh=True)
                time.sleep(interval)


def show(
    tuning: Annotated[str, typer.Argument(metavar="TUNING", help="Its id, as `status` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one tuning: parameters, history with times, report, smoke test."""
    with ending():
        found = AppApi.from_environment().get(f"tunings/{tuning}")
        if as_json:
            typer.echo(json.dumps(found, indent=1))
        else:
            Console().print(_page(found))


def _look(api: AppApi, query: Mapping[str, str], limit: int) -> dict[str, Any]:
    first = api.get("tunings", **query, limit=str(min(limit, 1000)))
    tunings = first["tunings"]
    if first["next"] and len(tunings) < limit:
        tunings = list(islice(api.tunings(**query, limit="1000"), limit))
    return {"tunings": tunings, "collecting": first["collecting"]}


def _board(found: Mapping[str, Any], now: datetime) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("tuning", "state", "for", "endpoint", "what it waits for, or why it ended"):
        table.add_column(name, no_wrap=name != "what it waits for, or why it ended", overflow="fold")
    for version in found["collecting"]:
        name = f"{version['dataset']}/{version['version']}"
        table.add_row(
            Text(name), Text("collecting", style="cyan"), _age(version["changed_at"], now), "", Text(_why(version))
        )
    for tuning in found["tunings"]:
        state = Text(tuning["state"], style=_STYLES.get(tuning["state"], "cyan"))
        table.add_row(
            Text(tuning["id"]),
            state,
            _age(tuning["state_since"], now),
            Text(tuning["endpoint"] or ""),
            Text(_why(tuning)),
        )
    if not table.row_count:
        return Text("nothing yet: upload a version with `droptune upload`", style="dim")
    return table


def _page(tuning: Mapping[str, Any]) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    for name in ("state", "dataset", "version", "base_model", "job", "model", "endpoint", "deployment", "waiting_for"):
        if tuning.get(name):
            facts.add_row(Text(name.replace("_", " "), style="dim"), Text(str(tuning[name])))
    if tuning.get("reason"):
        facts.add_row(Text("reason", style="dim"), Text(f"{tuning['reason']['code']}: {tuning['reason']['message']}"))
    if tuning.get("last_error"):
        facts.add_row(Text("last error", style="dim"), Text(tuning["last_error"], style="red"))
    history = Table("at (UTC)", "state", "what happened", box=box.SIMPLE_HEAD)
    for entry in tuning["history"]:
        at = datetime.fromisoformat(entry["at"])
        history.add_row(f"{at:%Y-%m-%d %H:%M:%S}", Text(entry["state"]), Text(entry["message"]))
    return Group(Text(str(tuning["id"]), style="bold"), facts, history, *_parameters(tuning.get("parameters") or {}))


def _parameters(parameters: Mapping[str, str]) -> Iterable[RenderableType]:
    if parameters:
        text = ", ".join(f"{name} {value}" for name, value in sorted(parameters.items()))
        yield Text(f"parameters: {text}", style="dim")


def _why(item: Mapping[str, Any]) -> str:
    reason = item.get("reason")
    if reason:
        return f"{reason['code']}: {reason['message']}"
    return str(item.get("waiting_for") or item.get("last_error") or "")


def _age(since: str, now: datetime) -> str:
    minutes = (now - datetime.fromisoformat(since)).total_seconds() / 60
    if minutes < 120:
        return f"{max(minutes, 0):.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} d"
