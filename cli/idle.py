"""`python -m cli idle`: what nobody calls in a workspace, without droptune's app."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from cli.idle_table import as_json, print_table
from cli.idle_workspace import IdleWorkspace, Judged
from cli.outcome import give_up
from cli.prices import with_prices
from shared.clock import utc_now
from shared.config import Settings, setting_name
from shared.errors import ConfigurationError, DroptuneError
from shared.idle.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

idle = typer.Typer(
    help="Find, mark and delete online endpoints that nobody calls, in any workspace.",
    no_args_is_help=True,
    add_completion=False,
)

Names = Annotated[list[str] | None, typer.Argument(metavar="[ENDPOINT]...", help="Only these; else all.")]
Subscription = Annotated[str, typer.Option(envvar="AZURE_SUBSCRIPTION_ID", help="Of the workspace.")]
Group = Annotated[str, typer.Option("--resource-group", envvar="AZURE_RESOURCE_GROUP", help="Of the workspace.")]
Workspace = Annotated[str, typer.Option(envvar="AZUREML_WORKSPACE", help="Azure Machine Learning workspace.")]
Location = Annotated[str, typer.Option(envvar="AZURE_LOCATION", help="Its region, as eastus.")]
After = Annotated[float, typer.Option(envvar="IDLE_AFTER_MINUTES", min=1, max=43_200, help="Unused for so long: idle.")]
Grace = Annotated[float, typer.Option(envvar="IDLE_GRACE_MINUTES", min=1, max=43_200, help="From mark to deletion.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Apply = Annotated[bool, typer.Option("--apply/--dry-run", help="Do it; else only say what would be done.")]
Yes = Annotated[list[str] | None, typer.Option("--yes", metavar="ENDPOINT", help="Delete it unasked; repeatable.")]


class Ended(IntEnum):
    """The exit code. What could not be checked wins: a script must not take it for in use."""

    DONE = 0
    """Nothing is idle, or everything that was asked for is done."""
    LEFT = 1
    """Something is idle, or would be changed with --apply, or was refused."""
    UNCHECKED = 2
    """The workspace, or the metrics of an endpoint, could not be read; an unknown name; a bad setting."""


@idle.command()
def report(
    names: Names = None,
    subscription: Subscription = "",
    group: Group = "",
    workspace: Workspace = "",
    location: Location = "",
    after_minutes: After = 1440,
    grace_minutes: Grace = 120,
    as_json: AsJson = False,
) -> None:
    """List endpoints with their idle time and cost. Ends with 1 if one of them is idle."""
    _, found = _look(names, _settings(subscription, group, workspace, location), after_minutes, grace_minutes)
    _print(found, {}, as_json)
    _end(found, left=any(item.verdict.kind in ("mark", "marked", "delete") for item in found))


@idle.command()
def mark(
    names: Names = None,
    subscription: Subscription = "",
    group: Group = "",
    workspace: Workspace = "",
    location: Location = "",
    after_minutes: After = 1440,
    grace_minutes: Grace = 120,
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Tag idle endpoints `droptune-idle-since`; take the tag from those that are used again."""
    at, found = _look(names, _settings(subscription, group, workspace, location), after_minutes, grace_minutes)
    wanted = [item for item in found if item.verdict.kind in ("mark", "unmark")]
    results = {item.endpoint.name: _acted(at, item) if apply else "only with --apply" for item in wanted}
    _print(found, results, as_json)
    _end(found, left=any(results.values()) or _refused(names, found, ("mark", "unmark", "marked")))


@idle.command()
def delete(
    names: Names = None,
    subscription: Subscription = "",
    group: Group = "",
    workspace: Workspace = "",
    location: Location = "",
    after_minutes: After = 1440,
    grace_minutes: Grace = 120,
    apply: Apply = False,
    yes: Yes = None,
    as_json: AsJson = False,
) -> None:
    """Delete endpoints that were marked a grace ago and are idle still. Asks for the name of each."""
    at, found = _look(names, _settings(subscription, group, workspace, location), after_minutes, grace_minutes)
    wanted = [item for item in found if item.verdict.kind == "delete"]
    if apply and not as_json:
        print_table(Console(stderr=True), wanted, {})
    results: dict[str, str] = {}
    for item in wanted:
        name = item.endpoint.name
        if not apply:
            results[name] = "only with --apply"
        elif name in (yes or ()) or _typed(name):
            results[name] = _acted(at, item)
        else:
            results[name] = "not confirmed"
    _print(found, results, as_json)
    _end(found, left=any(results.values()) or _refused(names, found, ("delete",)))


def _settings(subscription: str, group: str, workspace: str, location: str) -> Settings:
    """The app's settings of this environment, with placeholders for the storage account that is not needed."""
    logging.getLogger("azure").setLevel(logging.ERROR)
    given = {
        "AZURE_SUBSCRIPTION_ID": ("--subscription", subscription),
        "AZURE_RESOURCE_GROUP": ("--resource-group", group),
        "AZUREML_WORKSPACE": ("--workspace", workspace),
        "AZURE_LOCATION": ("--location", location),
    }
    if missing := [option for option, value in given.values() if not value]:
        give_up(f"{', '.join(missing)} must be given, or {', '.join(given)} set")
    required = (item for item in dataclasses.fields(Settings) if item.default is dataclasses.MISSING)
    placeholders = {setting_name(item): "-" for item in required}
    try:
        return Settings.from_environment(
            {**placeholders, **os.environ, **{name: value for name, (_, value) in given.items()}}
        )
    except ConfigurationError as error:
        give_up(error)


def _look(
    names: list[str] | None, settings: Settings, after: float, grace: float
) -> tuple[IdleWorkspace, list[Judged]]:
    from azure.identity import DefaultAzureCredential

    policy = Policy(timedelta(minutes=after), timedelta(minutes=grace))
    now = utc_now().replace(microsecond=0)
    workspace = IdleWorkspace(settings, DefaultAzureCredential(), policy, now)
    try:
        found = with_prices(workspace.judged(), settings, now)
    except DroptuneError as error:
        give_up(error)
    if unknown := set(names or ()) - {item.endpoint.name for item in found}:
        give_up(f"{settings.azureml_workspace} has no endpoint {', '.join(sorted(unknown))}")
    return workspace, [item for item in found if not names or item.endpoint.name in names]


def _acted(workspace: IdleWorkspace, item: Judged) -> str:
    try:
        return workspace.act(item)
    except DroptuneError as error:
        return str(error)


def _typed(name: str) -> bool:
    """Nobody who is not there has confirmed anything."""
    if not sys.stdin.isatty():
        return False
    return bool(typer.prompt(f"Type {name} to delete it with all of its deployments", default="", err=True) == name)


def _refused(names: list[str] | None, found: Iterable[Judged], kinds: tuple[str, ...]) -> bool:
    """Whether one that was asked for by name is not what it was asked to be."""
    return bool(names) and any(item.verdict.kind not in kinds for item in found)


def _print(found: list[Judged], results: dict[str, str], as_json_: bool) -> None:
    if as_json_:
        typer.echo(json.dumps([as_json(item, results.get(item.endpoint.name)) for item in found], indent=2))
    else:
        print_table(Console(), found, results)


def _end(found: Iterable[Judged], *, left: bool) -> NoReturn:
    unchecked = any(item.unknown for item in found)
    raise typer.Exit(int(Ended.UNCHECKED if unchecked else Ended.LEFT if left else Ended.DONE))
