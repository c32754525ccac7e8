"""The storage account's system topic: BlobCreated and BlobDeleted.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Protocol

import httpx

from localcloud.config import STORAGE_ACCOUNT_ID
from localcloud.eventgrid.access_log import parse, read_on
from localcloud.eventgrid.blobs import StorageUnavailableError
from localcloud.eventgrid.events import Event, system_event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from localcloud.eventgrid.access_log import BlobOperation
    from localcloud.eventgrid.blobs import BlobProperties, Blobs
    from localcloud.eventgrid.store import LogPosition

log = logging.getLogger(__name__)

_POLL = 0.05
_STORAGE_DOWN = 1.0
_SAVE_POSITION_EVERY = 1 << 20
_PARALLEL_LOOKUPS = 8
_HOSTS_OWN_CONTAINERS = "azure-webjobs-"
_GONE_ETAG = "0x0"


class Accept(Protocol):
    def __call__(self, events: Sequence[Event], read: tuple[str, LogPosition]) -> None:
        """Take the events and remember, in one transaction, how far the log was read."""


class StorageTopic:
    def __init__(
        self,
        access_log: Path,
        position: LogPosition | None,
        blobs: Blobs,
        accept: Accept,
        clock: Callable[[], float],
    ) -> None:
        self._file = access_log
        self._position = position
        self._saved = position.offset if position else 0
        self._blobs = blobs
        self._accept = accept
        self._clock = clock
        self._last_sequencer = 0

    async def run(self) -> None:
        """Follow the log until cancelled. While the storage account does not answer, nothing is skipped."""
        while True:
            try:
                advanced = await self._step()
            except (httpx.HTTPError, StorageUnavailableError) as error:
                log.warning("storage account does not answer, its events wait: %s", error)
                await asyncio.sleep(_STORAGE_DOWN)
                continue
            if not advanced:
                await asyncio.sleep(_POLL)

    async def _step(self) -> bool:
        lines, position = read_on(self._file, self._position)
        if position is None or position == self._position:
            return False
        operations = [operation for line in lines if (operation := parse(line)) and not _internal(operation)]
        events = await self._events(operations)
        # Lines without events may be read twice: most are the host's polling, not worth a transaction each.
        if events or abs(position.offset - self._saved) > _SAVE_POSITION_EVERY:
            self._accept(events, (self._file.name, position))
            self._saved = position.offset
        self._position = position
        return bool(lines)

    async def _events(self, operations: Sequence[BlobOperation]) -> list[Event]:
        gate = asyncio.Semaphore(_PARALLEL_LOOKUPS)

        async def look_up(operation: BlobOperation) -> BlobProperties | None:
            if operation.api == "DeleteBlob":
                return None
            async with gate:
                return await self._blobs.properties(operation.container, operation.blob)

        found = await asyncio.gather(*map(look_up, operations))
        return [self._event(operation, blob) for operation, blob in zip(operations, found, strict=True)]

    def _event(self, operation: BlobOperation, blob: BlobProperties | None) -> Event:
        """The log has no ETag, so a blob that was replaced since shows its newest one.

        A blob that is gone by now was created nevertheless: its event has length 0 and an ETag that matches
        nothing.
        """
        created = operation.api != "DeleteBlob"
        data: dict[str, object] = {
            "api": operation.api,
            "clientRequestId": str(uuid.uuid4()),
            "requestId": str(uuid.uuid4()),
        }
        if created:
            data |= {
                "eTag": blob.etag if blob else _GONE_ETAG,
                "contentType": blob.content_type if blob else "application/octet-stream",
                "contentLength": blob.content_length if blob else 0,
            }
        data |= {
            "blobType": blob.blob_type if blob else "BlockBlob",
            "url": self._blobs.url(operation.container, operation.blob),
            "sequencer": self._sequencer(),
            "storageDiagnostics": {"batchId": str(uuid.uuid4())},
        }
        if not created:
            data["contentType"] = "application/octet-stream"
        return system_event(
            STORAGE_ACCOUNT_ID,
            "Microsoft.Storage.BlobCreated" if created else "Microsoft.Storage.BlobDeleted",
            f"/blobServices/default/containers/{operation.container}/blobs/{operation.blob}",
            data,
            self._event_time(operation),
        )

    def _event_time(self, operation: BlobOperation) -> float:
        """The log has whole seconds: the present time when it can be that, else the logged one."""
        now = self._clock()
        return now if 0 <= now - operation.at < 2 else operation.at

    def _sequencer(self) -> str:
        """Grows with the order of the operations, also over restarts; compared as strings."""
        self._last_sequencer = max(self._last_sequencer + 1, int(self._clock() * 1e9))
        return f"{self._last_sequencer:048x}"


def _internal(operation: BlobOperation) -> bool:
    return operation.container.startswith(_HOSTS_OWN_CONTAINERS)
