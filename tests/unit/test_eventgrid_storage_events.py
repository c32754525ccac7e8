"""What a storage event says about a blob that is another one by now, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from localcloud.config import CloudConfig, Ports
from localcloud.eventgrid.blobs import BlobProperties, Blobs
from localcloud.eventgrid.storage_events import of_operation
from localcloud.eventgrid.storage_journal import BlobOperation

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST = "5dd8aea9-b465-4fcb-a845-d7c6d10ad830"
COMMITTED = BlobOperation(
    "PutBlockList", "datasets", "a/train ä.jsonl", 1795370135.25, "0x8DE0000000000A1", REQUEST, "mine"
)


def data_of(
    operation: BlobOperation, found: BlobProperties | None, before: Mapping[str, object] | None = None
) -> dict[str, Any]:
    config = CloudConfig("state", Ports(1, 2, 10000, 4, 5, 6), "secret", ())
    event = of_operation(Blobs(config, httpx.AsyncClient()), operation, found, before, "0" * 48)
    assert isinstance(event.data, dict)
    return {**event.data, "id": event.id, "time": event.time}


def test_the_same_operation_gives_the_same_event_however_often_it_is_read() -> None:
    first, second = data_of(COMMITTED, None), data_of(COMMITTED, None)

    assert first == second
    assert first["id"] == REQUEST[:-6] + "06" + first["id"][-4:]
    assert first["id"] != data_of(replace(COMMITTED, request_id=REQUEST[::-1]), None)["id"]
    assert first["time"] == "2026-11-22T17:55:35.2500000Z"
    assert first["url"] == "https://127.0.0.1:10000/devstoreaccount1/datasets/a/train%20%C3%A4.jsonl"


def test_a_blob_that_was_replaced_since_keeps_the_etag_of_its_own_upload() -> None:
    newer = BlobProperties("0x8DE0000000000B2", "text/plain", 99, "BlockBlob")

    data = data_of(COMMITTED, newer)

    assert (data["eTag"], data["contentType"], data["contentLength"]) == ("0x8DE0000000000A1", "text/plain", 99)


def test_a_blob_that_is_gone_by_now_was_created_nevertheless() -> None:
    data = data_of(COMMITTED, None)

    assert (data["eTag"], data["contentLength"], data["blobType"]) == ("0x8DE0000000000A1", 0, "BlockBlob")


def test_a_deleted_blob_is_described_by_what_was_known_of_it() -> None:
    deleted = replace(COMMITTED, api="DeleteBlob", etag="")

    known = data_of(deleted, None, {"contentType": "text/plain", "blobType": "PageBlob"})
    unknown = data_of(deleted, None)

    assert (known["contentType"], known["blobType"]) == ("text/plain", "PageBlob")
    assert (unknown["contentType"], unknown["blobType"]) == ("application/octet-stream", "BlockBlob")
    assert not {"eTag", "contentLength"} & known.keys()
