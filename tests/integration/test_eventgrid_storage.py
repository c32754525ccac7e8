"""Storage events out of the real Azurite, and dead letters into it."""

from __future__ import annotations

import json
import shutil
import ssl
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings

from localcloud.azurite import azurite_is_up, azurite_process, connection_string, find_azurite
from localcloud.config import STORAGE_ACCOUNT_ID, WORKSPACE_ID
from tests.integration.eventgrid_harness import Webhook, new_config, records, running, subscription, until, webhook

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
    config = new_config(state, storage, subscription(hook, name="runs", dead_letter_container="letters"))
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
    assert data["contentType"] == "application/octet-stream"
    assert event["id"].startswith(data["requestId"][:-6] + "06")
    assert len(data["sequencer"]) == 48
    assert data["storageDiagnostics"].keys() == {"batchId"}


def test_an_event_names_the_request_of_its_client_and_the_etag_of_that_very_upload(
    hook: Webhook, grid: EventGrid, container: ContainerClient
) -> None:
    answers: list[Any] = []
    blob = container.get_blob_client("twice.txt")
    text = ContentSettings(content_type="text/plain")
    for content in (b"1", b"22"):
        blob.upload_blob(content, overwrite=True, content_settings=text, raw_response_hook=answers.append)
    until(lambda: len(events(hook, container)) == 2, "not two events")

    seen = sorted(events(hook, container), key=lambda event: event["data"]["sequencer"])
    headers = [answer.http_response.headers for answer in answers]
    assert [e["data"]["eTag"] for e in seen] == [h["etag"].strip('"') for h in headers]
    assert [e["data"]["requestId"] for e in seen] == [h["x-ms-request-id"] for h in headers]
    assert [e["data"]["clientRequestId"] for e in seen] == [
        answer.http_request.headers["x-ms-client-request-id"] for answer in answers
    ]
    assert [(e["data"]["contentType"], e["data"]["contentLength"]) for e in seen] == [
        ("text/plain", 1),
        ("text/plain", 2),
    ]


def test_blobs_deleted_in_a_batch_are_events_each(hook: Webhook, grid: EventGrid, container: ContainerClient) -> None:
    for name in ("one.txt", "two ä.txt"):
        container.upload_blob(name, b"", content_settings=ContentSettings(content_type="text/plain"))
    container.delete_blobs("one.txt", "two ä.txt", "never.txt", raise_on_any_failure=False)
    until(lambda: len(events(hook, container)) == 4, "not four events")

    deleted = [e for e in events(hook, container) if e["eventType"] == "Microsoft.Storage.BlobDeleted"]
    assert sorted(e["subject"].rpartition("/")[2] for e in deleted) == ["one.txt", "two ä.txt"]
    for event in deleted:
        assert event["data"].keys() == {
            *("api", "clientRequestId", "requestId", "contentType", "blobType"),
            *("url", "sequencer", "storageDiagnostics"),
        }
        assert (event["data"]["api"], event["data"]["contentType"]) == ("DeleteBlob", "text/plain")
    assert len({e["id"] for e in events(hook, container)}) == 4


def test_an_account_with_a_hierarchical_namespace_tells_of_a_file_when_it_is_made_and_when_it_is_closed(
    hook: Webhook, config: CloudConfig, container: ContainerClient
) -> None:
    container.upload_blob("file.txt", b"12345")
    with running(config, serve=True):
        control = f"{config.azure_url}/_localcloud/events/hierarchical"
        names = {"container": container.container_name, "blob": "file.txt"}
        tls = ssl.create_default_context(cafile=str(config.ca_file))
        assert httpx.post(control, json=names, verify=tls).status_code == 200
        assert httpx.post(control, json={**names, "blob": "none"}, verify=tls).status_code == 404
        assert httpx.post(control, json={"blob": 1}, verify=tls).status_code == 400
        until(lambda: len(events(hook, container)) == 3, "no events")

    created = [e["data"] for e in events(hook, container) if e["data"]["api"] != "PutBlob"]
    created.sort(key=lambda data: str(data["sequencer"]))
    assert [(d["api"], d["contentLength"], d["contentOffset"]) for d in created] == [
        ("CreateFile", 0, 0),
        ("FlushWithClose", 5, 0),
    ]


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
        # Else it is sent again after the restart, at least once as it is.
        until(lambda: records(config)[-1].deliveries[0].state == "delivered", "not recorded")
    container.upload_blob("meanwhile", b"")
    container.upload_blob("gone", b"x").delete_blob()

    with running(config):
        container.upload_blob("after", b"")
        until(lambda: len(events(hook, container)) == 5, "events are missing")

    names = sorted(e["subject"].rpartition("/")[2] for e in events(hook, container))
    assert names == ["after", "before", "gone", "gone", "meanwhile"]


def test_undeliverable_events_become_one_blob_with_the_reasons(
    hook: Webhook, grid: EventGrid, service: BlobServiceClient
) -> None:
    letters = service.create_container("letters")
    hook.statuses = [403, 400]
    for number in (1, 2):
        grid.publish(WORKSPACE_ID, "Type", "dead/now", {"number": number})
    until(lambda: len(list(letters.list_blobs())) >= 1, "no dead letter")

    [blob] = letters.list_blobs()
    name, year, month, day, hour, file = blob.name.split("/")
    assert name == "RUNS"
    assert [str(int(part)) for part in (year, month, day, hour)] == [year, month, day, hour]
    assert str(uuid.UUID(file.removesuffix(".json"))) == file.removesuffix(".json")
    found = {letter["data"]["number"]: letter for letter in json.loads(letters.download_blob(blob.name).readall())}
    assert found.keys() == {1, 2}
    assert {letter["deadLetterReason"] for letter in found.values()} == {
        "UndeliverableDueToHttpForbidden",
        "UndeliverableDueToHttpBadRequest",
    }
    for letter in found.values():
        assert letter["subject"] == "dead/now"
        assert (letter["deliveryAttempts"], letter["lastHttpStatusCode"]) in ((1, 403), (1, 400))
        assert letter["lastDeliveryOutcome"] in ("Forbidden", "BadRequest")
        assert letter["publishTime"] <= letter["lastDeliveryAttemptTime"]


def test_a_dead_letter_without_its_container_is_dropped(
    hook: Webhook, config: CloudConfig, service: BlobServiceClient, tmp_path: Path
) -> None:
    shutil.copytree(config.ca_file.parent, tmp_path / "certs")
    dead = subscription(hook, name="dead", dead_letter_container="no-such-container")
    other = replace(config, state_dir=str(tmp_path), event_subscriptions=(dead,))
    hook.statuses = [400]
    with running(other) as grid:
        grid.publish(WORKSPACE_ID, "Type", "dead/nowhere", {})
        until(lambda: records(other)[0].deliveries[0].state == "dropped", "not dropped")

    assert not service.get_container_client("no-such-container").exists()
