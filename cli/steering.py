"""Commands that change something: one call of the app each, and one line of what it said."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cli.app_api import AppApi
from cli.outcome import ending
from cli.status import AsJson

Tuning = Annotated[str, typer.Argument(metavar="TUNING", help="Its id, as `status` shows it.")]
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset whose endpoint is meant.")]


def replay(
    tuning: Tuning,
    as_newest: Annotated[
        bool, typer.Option("--as-newest", help="Return to one that was superseded: it counts as the newest.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let a tuning that ended go on from the stage that failed."""
    _post(f"tunings/{tuning}/replay", as_json, as_newest=str(as_newest).lower())


def cancel(tuning: Tuning, as_json: AsJson = False) -> None:
    """End a tuning that is under way: its job is canceled, what it has in the cloud is removed."""
    _post(f"tunings/{tuning}/cancel", as_json)


def wake(dataset: Dataset, as_json: AsJson = False) -> None:
    """Deploy the last live model of a dataset again, without training."""
    _post(f"endpoints/{dataset}/wake", as_json)


def sleep(
    dataset: Dataset,
    force: Annotated[bool, typer.Option("--force", help="Also an endpoint with a keep mark.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a dataset's endpoint now; `wake`, or a call through the gateway, brings it back."""
    _post(f"endpoints/{dataset}/sleep", as_json, **({"force": "true"} if force else {}))


def keep(
    dataset: Dataset,
    until: Annotated[str, typer.Option(help="A date (2026-12-31) or ISO time; else for ever.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Take the mark away.")] = False,
    as_json: AsJson = False,
) -> None:
    """Protect a dataset's endpoint from the idle sweep."""
    if off and until:
        raise typer.BadParameter("--off and --until exclude one another")
    query = {"off": "true"} if off else {"until": until} if until else {}
    _post(f"endpoints/{dataset}/keep", as_json, **query)


def _post(path: str, as_json: bool, **query: str) -> None:
    with ending():
        answer = AppApi.from_environment().post(path, **query)
        typer.echo(json.dumps(answer, indent=1) if as_json else _line(answer))


def _line(answer: dict[str, Any]) -> str:
    subject = answer.get("id") or answer.get("dataset") or answer.get("name") or ""
    said = answer.get("message") or answer.get("state") or answer.get("status") or "done"
    return f"{subject}: {said}" if subject else str(said)
