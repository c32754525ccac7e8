"""Event Grid triggers and blob triggers of the local Functions host, by their webhooks."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.integration.functions_app_sample.harness import eventually, records, storage_event

if TYPE_CHECKING:
    from tests.integration.functions_app_sample.harness import Azurite, FunctionsHost

pytest_plugins = ("tests.integration.functions_app_sample.fixtures",)
pytestmark = pytest.mark.localcloud

VALIDATION = {
    "id": "1",
    "topic": "/subscriptions/s",
    "subject": "",
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "eventTime": "2026-11-22T10:00:00Z",
    "dataVersion": "2",
    "data": {"validationCode": "the-code", "validationUrl": "https://example.org/validate"},
}


def event(event_id: str, **data: object) -> dict[str, object]:
    return {
        "id": event_id,
        "topic": "/subscriptions/s",
        "subject": "runs/1",
        "eventType": "Microsoft.MachineLearningServices.RunCompleted",
        "eventTime": "2026-11-22T10:00:00.1234567Z",
        "dataVersion": "1",
        "metadataVersion": "1",
        "data": data,
    }


@pytest.mark.parametrize(
    ("extension", "function"), [("eventgrid", "on_event"), ("EventGrid", "on_event"), ("blobs", "on_blob")]
)
def test_a_subscription_in_the_event_grid_schema_is_validated(
    shared_host: FunctionsHost, extension: str, function: str
) -> None:
    name = f"Host.Functions.{function}" if extension == "blobs" else function
    key = "blobs-key" if extension == "blobs" else "event-key"
    response = shared_host.send_events(extension, name, [VALIDATION], key, kind="SubscriptionValidation")
    assert (response.status_code, response.json()) == (200, {"validationResponse": "the-code"})


def test_a_subscription_in_the_cloud_events_schema_is_validated(shared_host: FunctionsHost) -> None:
    response = shared_host.call(
        "OPTIONS",
        "/runtime/webhooks/eventgrid?functionName=on_cloud_event&code=event-key",
        headers={"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "30"},
    )
    assert response.status_code == 200
    assert response.headers["webhook-allowed-origin"] == "eventgrid.azure.net"


@pytest.mark.parametrize(
    ("extension", "function", "key", "kind", "status"),
    [
        ("eventgrid", "on_event", "", "Notification", 401),
        ("eventgrid", "on_event", "default-key", "Notification", 401),
        ("eventgrid", "on_event", "blobs-key", "Notification", 401),
        ("blobs", "Host.Functions.on_blob", "event-key", "Notification", 401),
        ("eventgrid", "on_event", "", "SubscriptionValidation", 401),
        ("eventgrid", "on_event", "master-key", "Unsubscribe", 202),
        ("eventgrid", "on_event", "event-key", "Unsubscribe", 202),
        ("eventgrid", "on_event", "event-key", "Something", 400),
        ("eventgrid", "nobody", "event-key", "Notification", 404),
        ("eventgrid", "on_blob", "event-key", "Notification", 404),
        ("blobs", "on_blob", "blobs-key", "Notification", 404),
        ("durabletask", "on_event", "master-key", "Notification", 404),
    ],
)
def test_the_webhook_answers_each_caller_by_key_function_and_kind(
    shared_host: FunctionsHost, extension: str, function: str, key: str, kind: str, status: int
) -> None:
    response = shared_host.send_events(extension, function, [VALIDATION], key, kind)
    assert response.status_code == status


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"[1]"])
def test_a_body_without_events_is_refused(shared_host: FunctionsHost, body: bytes) -> None:
    response = shared_host.call(
        "POST",
        "/runtime/webhooks/eventgrid?functionName=on_event&code=event-key",
        headers={"aeg-event-type": "Notification"},
        content=body,
    )
    assert response.status_code == 400


def test_every_event_of_a_batch_is_one_invocation(shared_host: FunctionsHost) -> None:
    ids = [str(uuid.uuid4()) for _ in range(5)]
    response = shared_host.send_events("eventgrid", "on_event", [event(i, n=i) for i in ids])
    assert response.status_code == 202
    for event_id in ids:
        (seen,) = records(shared_host.record, "on_event", id=event_id)
        assert seen["data"] == {"n": event_id}
        assert seen["type"] == "Microsoft.MachineLearningServices.RunCompleted"


def test_one_failure_fails_the_batch_after_all_events_ran(shared_host: FunctionsHost) -> None:
    good, bad, last = (str(uuid.uuid4()) for _ in range(3))
    batch = [event(good), event(bad, fail=True), event(last)]
    response = shared_host.send_events("eventgrid", "on_event", batch)
    assert response.status_code == 500
    assert all(records(shared_host.record, "on_event", id=event_id) for event_id in (good, bad, last))


def test_cloud_events_come_one_by_one_or_in_batches(shared_host: FunctionsHost) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    cloud_event = {"specversion": "1.0", "source": "/s", "type": "t", "subject": "x", "data": {"a": 1}}
    one = shared_host.send_events("eventgrid", "on_cloud_event", {**cloud_event, "id": first})
    many = shared_host.send_events("eventgrid", "on_cloud_event", [{**cloud_event, "id": second}])
    assert (one.status_code, many.status_code) == (202, 202)
    for event_id in (first, second):
        (seen,) = records(shared_host.record, "on_cloud_event", id=event_id)
        assert (seen["subject"], seen["data"]) == ("x", {"a": 1})


def test_a_blob_event_runs_the_function_with_a_client_of_the_blob(
    shared_host: FunctionsHost, functions_storage: Azurite
) -> None:
    name = f"folder/{uuid.uuid4()} ü.jsonl"
    url = functions_storage.upload("incoming", name, b"12345")
    assert shared_host.send_events("blobs", "Host.Functions.on_blob", [storage_event(url)]).status_code == 202
    (seen,) = eventually(lambda: records(shared_host.record, "on_blob", name=name), "the function ran")
    assert (seen["container"], seen["size"]) == ("incoming", 5)


def test_a_stream_binding_gets_the_content_and_an_output_binding_writes(
    shared_host: FunctionsHost, functions_storage: Azurite
) -> None:
    stem = str(uuid.uuid4())
    url = functions_storage.upload("streams", f"{stem}.txt", b"the text")
    shared_host.send_events("blobs", "Host.Functions.on_stream", [storage_event(url)])
    path = f"streams/{stem}.txt"
    (seen,) = eventually(lambda: records(shared_host.record, "on_stream", name=path), "the function ran")
    assert (seen["text"], seen["length"], seen["uri"]) == ("the text", 8, url)
    eventually(lambda: f"saw {path}" in functions_storage.peek("shared-seen"), "the output was written")


def test_an_event_of_a_blob_that_is_gone_is_dropped(shared_host: FunctionsHost, functions_storage: Azurite) -> None:
    name = f"folder/{uuid.uuid4()}"
    url = functions_storage.upload("incoming", name, b"x")
    functions_storage.blobs.get_blob_client("incoming", name).delete_blob()
    shared_host.send_events("blobs", "Host.Functions.on_blob", [storage_event(url)])
    eventually(lambda: f"blob 'incoming/{name}' is gone" in shared_host.log(), "the host said so")
    assert not records(shared_host.record, "on_blob", name=name)
    eventually(lambda: not functions_storage.peek("azure-webjobs-blobtrigger-shared"), "the message went")


def test_a_blob_that_fails_five_times_becomes_a_poison_message(
    shared_host: FunctionsHost, functions_storage: Azurite
) -> None:
    name = f"folder/bad-{uuid.uuid4()}"
    url = functions_storage.upload("incoming", name, b"x")
    shared_host.send_events("blobs", "Host.Functions.on_blob", [storage_event(url)])

    def poison() -> list[dict[str, str]]:
        messages = [json.loads(body) for body in functions_storage.peek("webjobs-blobtrigger-poison")]
        return [message for message in messages if message["BlobName"] == name]

    (message,) = eventually(poison, "the poison message")
    assert len(records(shared_host.record, "on_blob", name=name)) == 5
    assert message == {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.on_blob",
        "BlobType": "BlockBlob",
        "ContainerName": "incoming",
        "BlobName": name,
        "ETag": '"0x8D4"',
    }


def test_a_blob_event_without_a_blob_is_refused(shared_host: FunctionsHost) -> None:
    response = shared_host.send_events("blobs", "Host.Functions.on_blob", [storage_event("http://x/only")])
    assert response.status_code == 400
