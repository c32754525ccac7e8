"""What was found out about endpoints, for people and for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.console import Console

    from cli.idle_workspace import Judged

_STYLES = {"mark": "yellow", "marked": "yellow", "delete": "bold red", "unmark": "green", "keep": ""}
_DONE = {"mark": "marked", "unmark": "unmarked", "delete": "being deleted"}


def print_table(console: Console, found: Sequence[Judged], results: Mapping[str, str]) -> None:
    """`results`: endpoint → why it was not done, empty if it was."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("endpoint", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("idle since", no_wrap=True)
    table.add_column("USD an hour", justify="right")
    table.add_column("deployments")
    table.add_column("reason")
    for item in found:
        verdict = item.verdict
        table.add_row(
            Text(item.endpoint.name),
            Text(verdict.kind, style=_STYLES[verdict.kind]),
            _time(verdict.idle_since),
            "unknown" if item.hourly is None else f"{item.hourly:.2f}",
            Text(", ".join(f"{d.name} ({d.instance_count} × {d.instance_type})" for d in item.deployments)),
            Text(_reason(item, results.get(item.endpoint.name))),
        )
    console.print(table)
    counts = Counter(item.verdict.kind for item in found)
    console.print(Text(f"{len(found)} endpoints: " + ", ".join(f"{count} {kind}" for kind, count in counts.items())))


def as_json(item: Judged, result: str | None) -> dict[str, Any]:
    """`done` is None where nothing was to be done."""
    verdict = item.verdict
    return {
        "endpoint": item.endpoint.name,
        "verdict": verdict.kind,
        "reason": verdict.reason,
        "idle_since": verdict.idle_since.isoformat() if verdict.idle_since else None,
        "deletes_at": verdict.deletes_at.isoformat() if verdict.deletes_at else None,
        "hourly_cost": item.hourly,
        "deployments": [
            {"name": d.name, "instance_type": d.instance_type, "instance_count": d.instance_count}
            for d in item.deployments
        ],
        "done": None if result is None else result == "",
        "refused": result or "",
    }


def _reason(item: Judged, result: str | None) -> str:
    if result is None:
        return item.verdict.reason
    return f"{_DONE[item.verdict.kind]}: {item.verdict.reason}" if not result else f"{result}; {item.verdict.reason}"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
