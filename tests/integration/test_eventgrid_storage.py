"""Storage events out of the real Azurite, and dead letters into it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import BlobBlock, BlobServiceClient

from localcloud.azurite import azurite_is_up, azurite_process, connection_string, find_azurite
from localcloud.config import STORAGE_ACCOUNT_ID, WORKSPACE_ID
from tests.integration.eventgrid_harness import Webhook, new_config, running, subscription, until, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import ContainerClient

    from localcloud.config import CloudConfig
    from localcloud.eventgrid import EventGrid

pytestmark = pytest.mark.localcloud


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


@pytest.fixture(scope="module")
def config(hook: Webhook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudConfig]:
    state = tmp_path_factory.mktemp("state")
    storage = subscription(hook, name="storage", topic=STORAGE_ACCOUNT_ID)
    config = new_config(state, storage, subscription(hook, name="runs"))
    process = azurite_process(config, find_azurite(Path(__file__)), persistent=False, log_file=state / "azurite.err")
    process.start()
    try:
        process.wait_until_ready(lambda: azurite_is_up(config), deadline=30)
        yield config
    finally:
        process.stop()


@pytest.fixture
def grid(config: CloudConfig) -> Iterator[EventGrid]:
    with running(config) as grid:
        yield grid


@pytest.fixture
def service(config: CloudConfig) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(
        connection_string(config), connection_verify=str(config.ca_file)
    ) as service:
        yield service


@pytest.fixture
def container(service: BlobServiceClient) -> ContainerClient:
    return service.create_container(f"c{uuid.uuid4().hex[:8]}")


def events(hook: Webhook, container: ContainerClient) -> list[dict[str, Any]]:
    prefix = f"/blobServices/default/containers/{container.container_name}/"
    return [r.event for r in hook.notifications if r.event["subject"].startswith(prefix)]


def test_an_uploaded_blob_is_an_event_with_its_properties(
    hook: Webhook, grid: EventGrid, config: CloudConfig, container: ContainerClient
) -> None:
    blob = container.upload_blob("chat/v 1/träin.jsonl", b"12345")
    until(lambda: len(events(hook, container)) == 1, "no event")

    [event] = events(hook, container)
    data = event["data"]
    assert event["topic"] == STORAGE_ACCOUNT_ID
    assert event["eventType"] == "Microsoft.Storage.BlobCreated"
    assert event["subject"].endswith("/blobs/chat/v 1/träin.jsonl")
    assert (data["api"], data["blobType"], data["contentLength"]) == ("PutBlob", "BlockBlob", 5)
    assert data["eTag"] == blob.get_blob_properties().etag.strip('"')
    assert data["url"] == blob.url
    assert {"clientRequestId", "requestId", "contentType", "sequencer", "storageDiagnostics"} <= data.keys()


def test_each_way_to_create_and_delete_has_its_name(hook: Webhook, grid: EventGrid, container: ContainerClient) -> None:
    block = container.get_blob_client("blocks")
    block.stage_block("AAAA", b"1")
    block.commit_block_list([BlobBlock("AAAA")])
    copy = container.get_blob_client("copy")
    copy.start_copy_from_url(block.url + "?" + "", requires_sync=False)
    block.delete_blob()
    until(lambda: len(events(hook, container)) == 3, "not three events")

    seen = sorted(events(hook, container), key=lambda event: event["data"]["sequencer"])
    assert [(e["eventType"].rpartition(".")[2], e["data"]["api"]) for e in seen] == [
        ("BlobCreated", "PutBlockList"),
        ("BlobCreated", "CopyBlob"),
        ("BlobDeleted", "DeleteBlob"),
    ]
    assert "eTag" not in seen[2]["data"]


def test_what_creates_no_blob_is_no_event(hook: Webhook, grid: EventGrid, container: ContainerClient) -> None:
    blob = container.upload_blob("one", b"1")
    with pytest.raises(Exception, match="already exists"):
        container.upload_blob("one", b"2")
    lease = blob.acquire_lease()
    lease.release()
    blob.set_blob_metadata({"a": "b"})
    blob.create_snapshot()
    container.upload_blob("last", b"")
    until(lambda: any(e["subject"].endswith("/last") for e in events(hook, container)), "no event")

    assert len(events(hook, container)) == 2


def test_the_functions_hosts_own_blobs_are_no_events(
    hook: Webhook, grid: EventGrid, service: BlobServiceClient, container: ContainerClient
) -> None:
    own = service.create_container("azure-webjobs-hosts")
    own.upload_blob("timers/x/status", b"{}")
    container.upload_blob("after", b"")
    until(lambda: len(events(hook, container)) == 1, "no event")

    assert events(hook, own) == []


def test_uploads_while_event_grid_was_down_are_events_later_and_only_once(
    hook: Webhook, config: CloudConfig, container: ContainerClient
) -> None:
    with running(config):
        container.upload_blob("before", b"")
        until(lambda: len(events(hook, container)) == 1, "no event")
    container.upload_blob("meanwhile", b"")
    container.upload_blob("gone", b"x").delete_blob()

    with running(config):
        container.upload_blob("after", b"")
        until(lambda: len(events(hook, container)) == 5, "events are missing")

    names = sorted(e["subject"].rpartition("/")[2] for e in events(hook, container))
    assert names == ["after", "before", "gone", "gone", "meanwhile"]


def test_an_undeliverable_event_becomes_a_blob_with_the_reason(
    hook: Webhook, grid: EventGrid, service: BlobServiceClient
) -> None:
    hook.statuses = [403]
    grid.publish(WORKSPACE_ID, "Type", "dead/now", {"a": 1})
    letters = service.get_container_client("deadletter")
    until(lambda: letters.exists() and len(list(letters.list_blobs())) == 1, "no dead letter")

    [blob] = letters.list_blobs()
    topic, name, year, month, day, hour, file = blob.name.split("/")
    assert (topic, name) == ("local-workspace", "runs")
    assert [len(part) for part in (year, month, day, hour)] == [4, 2, 2, 2]
    assert file.endswith(".json")
    [letter] = json.loads(letters.download_blob(blob.name).readall())
    assert letter["subject"] == "dead/now"
    assert letter["deadLetterReason"] == "UndeliverableDueToHttpForbidden"
    assert (letter["deliveryAttempts"], letter["lastHttpStatusCode"]) == (1, 403)
