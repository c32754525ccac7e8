"""The form of the storage account's events.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage. Two facts that its samples do not agree on
are as real events have them (azure-docs issue 46597, delivery-and-retry): the ETag comes without quotes, and an
event's id is its request's with other last six digits, beginning with 06. So an event that is made again from the
same operation has the same id.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from localcloud.config import STORAGE_ACCOUNT_ID
from localcloud.eventgrid.events import Event, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.eventgrid.blobs import BlobProperties, Blobs
    from localcloud.eventgrid.storage_journal import BlobOperation

_CREATED = "Microsoft.Storage.BlobCreated"
_DELETED = "Microsoft.Storage.BlobDeleted"
_UNKNOWN_TYPE = "application/octet-stream"


def subject_of(container: str, blob: str) -> str:
    return f"/blobServices/default/containers/{container}/blobs/{blob}"


def of_operation(
    blobs: Blobs,
    operation: BlobOperation,
    found: BlobProperties | None,
    before: Mapping[str, object] | None,
    sequencer: str,
) -> Event:
    """`found` is the blob as it is by now, `before` the data of the last event about it.

    A blob that was replaced or deleted since has the length of the newer one, or 0: only its ETag is certain.
    """
    request_id = operation.request_id or str(uuid.uuid4())
    data: dict[str, object] = {
        "api": operation.api,
        "clientRequestId": operation.client_request_id or str(uuid.uuid4()),
        "requestId": request_id,
    }
    deleted = operation.api == "DeleteBlob"
    before = before or {}
    if deleted:
        data["contentType"] = before.get("contentType", _UNKNOWN_TYPE)
        data["blobType"] = before.get("blobType", "BlockBlob")
    else:
        length = operation.content_length
        data["eTag"] = operation.etag
        data["contentType"] = operation.content_type or (found.content_type if found else _UNKNOWN_TYPE)
        data["contentLength"] = length if length is not None else (found.content_length if found else 0)
        data["blobType"] = operation.blob_type or (found.blob_type if found else "BlockBlob")
    data |= {
        "url": blobs.url(operation.container, operation.blob),
        "sequencer": sequencer,
        "storageDiagnostics": {"batchId": _batch_id(request_id)},
    }
    return Event(
        id=_event_id(request_id),
        topic=STORAGE_ACCOUNT_ID,
        source=STORAGE_ACCOUNT_ID,
        type=_DELETED if deleted else _CREATED,
        subject=subject_of(operation.container, operation.blob),
        time=timestamp(operation.at),
        data=data,
    )


def created_file(blobs: Blobs, container: str, blob: str, found: BlobProperties, sequencer: str, now: float) -> Event:
    """A file has no content when it is created: what was appended to it counts with the flush."""
    return _of_file(blobs, container, blob, found, sequencer, now, api="CreateFile", length=0)


def flushed_file(blobs: Blobs, container: str, blob: str, found: BlobProperties, sequencer: str, now: float) -> Event:
    return _of_file(blobs, container, blob, found, sequencer, now, api="FlushWithClose", length=found.content_length)


def _of_file(
    blobs: Blobs,
    container: str,
    blob: str,
    found: BlobProperties,
    sequencer: str,
    now: float,
    *,
    api: str,
    length: int,
) -> Event:
    request_id = str(uuid.uuid4())
    data: dict[str, object] = {
        "api": api,
        "clientRequestId": str(uuid.uuid4()),
        "requestId": request_id,
        "eTag": found.etag,
        "contentType": found.content_type,
        "contentLength": length,
        "contentOffset": 0,
        "blobType": "BlockBlob",
        "url": blobs.url(container, blob).replace(".blob.", ".dfs.", 1),
        "sequencer": sequencer,
        "storageDiagnostics": {"batchId": _batch_id(request_id)},
    }
    return Event(
        id=_event_id(request_id),
        topic=STORAGE_ACCOUNT_ID,
        source=STORAGE_ACCOUNT_ID,
        type=_CREATED,
        subject=subject_of(container, blob),
        time=timestamp(now),
        data=data,
        data_version="2",
    )


def _event_id(request_id: str) -> str:
    return f"{request_id[:-6]}06{_digest(request_id)[:4]}"


def _batch_id(request_id: str) -> str:
    digits = _digest(request_id)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:26]}000000"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
