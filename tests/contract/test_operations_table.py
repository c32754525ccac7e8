"""docs/localcloud.md says which operations there are: as many as there are routes, and the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from localcloud import identity
from localcloud.azureml import AzureML, Runners
from localcloud.eventgrid import EventGrid
from localcloud.monitor import Monitor
from localcloud.prices import RetailPrices
from localcloud.routing import CONTROL_PREFIX
from localcloud.store import Store
from tests.integration.azureml_support import RecordingSink, new_config

if TYPE_CHECKING:
    pass

_ROW = re.compile(r"^\| `(?P<operation>[A-Z]+ [^`]+)` \| (?P<state>\w+) \|(?P<remark>.*)\|$")
_ABBREVIATION = re.compile(r"`\{(?P<name>\w+)\}`\s+is\s+`(?P<path>/[^`]+)`")


@dataclass(frozen=True)
class Row:
    operation: str
    state: str
    remark: str


@pytest.fixture(scope="module")
def rows(pytestconfig: pytest.Config) -> list[Row]:
    text = (pytestconfig.rootpath / "docs" / "localcloud.md").read_text(encoding="utf-8")
    section = text.partition("## Operations\n")[2].partition("\n## ")[0]
    abbreviations = dict(_ABBREVIATION.findall(section))
    return [
        Row(_anonymous(_expanded(match["operation"], abbreviations)), match["state"], match["remark"].strip())
        for line in section.splitlines()
        if (match := _ROW.match(line))
    ]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Of everything that is Azure's; the control interface is described in a table of its own."""
    folder = tmp_path_factory.mktemp("routes")
    config = new_config(folder)
    store = Store(folder / "azure.db")
    azureml = AzureML(config, store, RecordingSink(), Runners())
    monitor = Monitor(azureml.usage, azureml.endpoints.existed)
    prices = RetailPrices(config.prices, config.azure_url)
    grid = EventGrid(config, folder / "eventgrid.db")
    found = [*azureml.routes, *monitor.routes, *prices.routes, *grid.routes, *identity.routes(config)]
    grid.close()
    store.close()
    return {
        _anonymous(f"{method} {route.path}")
        for route in found
        for method in (route.methods or set()) - {"HEAD"}
        if not route.path.startswith(CONTROL_PREFIX)
    }


def test_every_route_has_a_row_and_every_row_a_route(rows: list[Row], routes: set[str]) -> None:
    answered = {row.operation for row in rows if row.state in ("supported", "partly")}

    assert answered - routes == set()
    assert routes - answered == set()


def test_what_is_said_not_to_be_there_is_not(rows: list[Row], routes: set[str]) -> None:
    absent = {row.operation for row in rows if row.state == "not"}

    assert absent
    assert absent & routes == set()


def test_no_operation_has_two_rows_and_what_is_partly_there_says_what_is_lacking(rows: list[Row]) -> None:
    assert len({row.operation for row in rows}) == len(rows)
    assert {row.state for row in rows} == {"supported", "partly", "not"}
    assert [row for row in rows if row.state == "partly" and not row.remark] == []


def _expanded(operation: str, abbreviations: dict[str, str]) -> str:
    for _ in abbreviations:
        operation = re.sub(
            r"(?<=[ 0])\{(\w+)\}", lambda found: abbreviations.get(found.group(1), found.group()), operation
        )
    return operation


def _anonymous(operation: str) -> str:
    """Parameters have other names in every place."""
    return re.sub(r"\{[^}]*\}", "{}", operation)
