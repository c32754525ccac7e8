"""`GET /api/tunings` over an empty ledger and over one of thousands, on Azurite's tables."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from azure.data.tables import TableServiceClient

from handlers.http import Response
from handlers.status_api import list_tunings
from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE, CloudConfig
from localcloud.ports import allot_ports
from localcloud.stack import LocalCloud
from shared import names
from shared.config import Settings
from shared.lifecycle.ledger import Versioned, _to_entity
from shared.lifecycle.records import DatasetVersion, VersionState
from shared.lifecycle.tuning import State, Tuning
from shared.services import Services
from tests.http_requests import http_request

pytestmark = pytest.mark.localcloud
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MANY = 5_000


@dataclass
class App:
    services: Services
    tables: TableServiceClient

    def get(self, **query: str) -> Any:
        """The answer; status and code of a refusal."""
        request = http_request("GET", "/api/tunings", {}, query)
        with patch("shared.services.services", lambda: self.services):
            answer: Response = list_tunings.build().get_user_function()(request)
        body = json.loads(bytes(answer.body))
        return body if answer.status_code == 200 else (answer.status_code, body["error"]["code"])

    def pages(self, **query: str) -> Iterator[list[str]]:
        """The ids of each."""
        answer = self.get(**query)
        yield [item["id"] for item in answer["tunings"]]
        while answer["next"]:
            answer = self.get(**query, continuation=answer["next"])
            yield [item["id"] for item in answer["tunings"]]

    def insert(self, rows: Sequence[Tuning]) -> None:
        table = self.tables.get_table_client(names.TUNINGS_TABLE)
        for start in range(0, len(rows), 100):
            entities = [_to_entity(row, "tuning", row.id) for row in rows[start : start + 100]]
            table.submit_transaction([("create", entity) for entity in entities])


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    state = tmp_path_factory.mktemp("cloud")
    config = CloudConfig(state_dir=str(state), ports=allot_ports(state), identity_header="secret", models=())
    before = dict(os.environ)
    with LocalCloud(config, persistent=False) as running:
        os.environ.update(running.client_environment())
        yield running
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def app(cloud: LocalCloud) -> Iterator[App]:
    """With empty tables."""
    cloud.create_storage(tables=names.TABLES)
    config = cloud.config
    settings = Settings(
        azure_subscription_id=SUBSCRIPTION_ID,
        azure_resource_group=RESOURCE_GROUP,
        azureml_workspace=WORKSPACE,
        azure_location=LOCATION,
        storage_blob_uri=config.blob_url,
        storage_queue_uri=config.queue_url,
        storage_table_uri=config.table_url,
    )
    connection = cloud.storage_connection_string()
    with TableServiceClient.from_connection_string(connection, connection_verify=str(config.ca_file)) as tables:
        yield App(Services(settings), tables)
        for table in names.TABLES:
            tables.delete_table(table)


def tuning(number: int) -> Tuning:
    at = NOW + timedelta(seconds=number // 2)
    row = Tuning(
        id=f"chats{number % 7}-v{number}-0123abcd",
        dataset=f"chats{number % 7}",
        version=f"v{number}",
        fingerprint="f" * 64,
        state=State.LIVE if number % 10 == 0 else State.RETIRED,
        created_at=at,
        state_since=at,
        wake_at=at,
    )
    for _ in range(20):
        row = row.noted(at, "something happened " * 10)
    return row


def test_an_empty_ledger_has_one_empty_page(app: App) -> None:
    assert app.get() == {"tunings": [], "next": None, "collecting": [], "collecting_in_all": 0}


def test_one_tuning_is_shown_as_it_is_alone(app: App) -> None:
    app.insert([tuning(0)])
    (shown,) = app.get(limit="1")["tunings"]
    with patch("shared.services.services", lambda: app.services):
        alone = app.services.status.tuning(shown["id"])
    assert alone is not None
    assert shown == {key: alone[key] for key in shown}


def test_a_row_of_a_release_without_heads_is_shown_too(app: App) -> None:
    old = _to_entity(tuning(0), "tuning", tuning(0).id)
    del old["head"]
    app.tables.get_table_client(names.TUNINGS_TABLE).create_entity(old)
    app.insert([tuning(1)])
    assert list(app.pages(limit="1")) == [[tuning(1).id], [tuning(0).id]]


def test_versions_without_a_tuning_stand_on_the_first_page_only(app: App) -> None:
    app.insert([tuning(0), tuning(1)])
    for number in range(3):
        version = DatasetVersion(
            dataset="chats0",
            version=f"w{number}",
            state=VersionState.COLLECTING,
            files={},
            first_seen=NOW,
            changed_at=NOW + timedelta(seconds=number),
            wake_at=NOW,
        )
        app.services.lifecycle.ledger.put(Versioned(version, ""))
        app.services.lifecycle.ledger.put(
            Versioned(replace(version, version=f"taken{number}", state=VersionState.TAKEN), "")
        )
    first = app.get(limit="1")
    assert ([item["version"] for item in first["collecting"]], first["collecting_in_all"]) == (["w2"], 3)
    second = app.get(limit="1", continuation=first["next"])
    assert (second["collecting"], second["next"]) == ([], None)
    assert app.get(state="live")["collecting"] == []
    only = app.get(state="collecting")
    assert (only["tunings"], only["next"], only["collecting_in_all"]) == ([], None, 3)
    assert app.get(dataset="chats1")["collecting"] == []


def test_what_can_not_be_meant_is_refused(app: App) -> None:
    for query in ({"limit": "0"}, {"state": "' or 1 eq 1"}, {"dataset": "a'b"}, {"continuation": "x"}):
        assert app.get(**query) == (400, "BadRequest")


def test_of_thousands_every_page_is_bounded_and_together_they_are_all(app: App) -> None:
    rows = [tuning(number) for number in range(MANY)]
    app.insert(rows)
    in_order = [row.id for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)]
    stored = sum(len(str(_to_entity(row, "tuning", row.id))) for row in rows)

    app.get(limit="1")  # imports and the token
    tracemalloc.start()
    answer = app.get()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [item["id"] for item in answer["tunings"]] == in_order[:100]
    assert peak < stored / 4

    found = list(app.pages(limit="1000"))
    assert [len(page) for page in found] == [1000] * 5
    assert [name for page in found for name in page] == in_order
    live = [row for row in in_order if int(row.split("-")[1][1:]) % 10 == 0]
    assert [name for page in app.pages(limit="300", state="live") for name in page] == live
    one = [row for row in in_order if row.startswith("chats3-")]
    assert [name for page in app.pages(limit="500", dataset="chats3") for name in page] == one
