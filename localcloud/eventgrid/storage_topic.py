"""The storage account's system topic: BlobCreated and BlobDeleted.

https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

import httpx

from localcloud.config import STORAGE_ACCOUNT_ID
from localcloud.eventgrid import storage_events
from localcloud.eventgrid.blobs import StorageUnavailableError
from localcloud.eventgrid.storage_journal import forget, parse, read_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from localcloud.eventgrid.blobs import BlobProperties, Blobs
    from localcloud.eventgrid.events import Event
    from localcloud.eventgrid.storage_journal import BlobOperation
    from localcloud.eventgrid.store import LogPosition

    History = Callable[[str, str], Mapping[str, object] | None]
    """Data of the last event of a topic about a subject."""

log = logging.getLogger(__name__)

JOURNAL = "storage-journal"
"""The name under which the position in the journal is stored."""

_POLL = 0.05
_STORAGE_DOWN = 1.0
_PARALLEL_LOOKUPS = 8
_HOSTS_OWN_CONTAINERS = "azure-webjobs-"


class Accept(Protocol):
    def __call__(self, events: Sequence[Event], read: tuple[str, LogPosition] | None = None) -> None:
        """Take the events and remember, in one transaction, how far the journal was read."""


class StorageTopic:
    def __init__(
        self,
        journal: Path,
        position: LogPosition | None,
        blobs: Blobs,
        accept: Accept,
        history: History,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._position = position
        self._blobs = blobs
        self._accept = accept
        self._history = history
        self._clock = clock
        self._last_sequencer = 0

    async def run(self) -> None:
        """Follow the journal until cancelled. While the storage account does not answer, nothing is skipped."""
        while True:
            try:
                advanced = await self._step()
            except (httpx.HTTPError, StorageUnavailableError) as error:
                log.warning("storage account does not answer, its events wait: %s", error)
                await asyncio.sleep(_STORAGE_DOWN)
                continue
            if not advanced:
                await asyncio.sleep(_POLL)

    async def publish_hierarchical(self, container: str, blob: str) -> bool:
        """What an account with a hierarchical namespace says of an uploaded file: CreateFile, then FlushWithClose.

        Azurite has no such accounts. False when there is no such blob.
        """
        found = await self._blobs.properties(container, blob)
        if found is None:
            return False
        now = self._clock()
        created = storage_events.created_file(self._blobs, container, blob, found, self._sequencer(), now)
        flushed = storage_events.flushed_file(self._blobs, container, blob, found, self._sequencer(), now)
        self._accept([created, flushed])
        return True

    async def _step(self) -> bool:
        lines, position = read_on(self._journal, self._position)
        if position == self._position or not lines:
            return False
        operations = [operation for line in lines if (operation := parse(line)) and not _internal(operation)]
        events = await self._events(operations)
        self._accept(events, (JOURNAL, position))
        self._position = position
        forget(self._journal, position)
        return True

    async def _events(self, operations: Sequence[BlobOperation]) -> list[Event]:
        gate = asyncio.Semaphore(_PARALLEL_LOOKUPS)

        async def look_up(operation: BlobOperation) -> BlobProperties | None:
            if operation.api == "DeleteBlob" or operation.content_length is not None:
                return None
            async with gate:
                return await self._blobs.properties(operation.container, operation.blob)

        found = await asyncio.gather(*map(look_up, operations))
        events: list[Event] = []
        fresh: dict[str, Mapping[str, object]] = {}
        for operation, blob in zip(operations, found, strict=True):
            subject = storage_events.subject_of(operation.container, operation.blob)
            before = fresh.get(subject) or self._history(STORAGE_ACCOUNT_ID, subject)
            event = storage_events.of_operation(self._blobs, operation, blob, before, self._sequencer())
            events.append(event)
            if isinstance(event.data, dict):
                fresh[subject] = event.data
        return events

    def _sequencer(self) -> str:
        """Grows with the order of the operations, also over restarts; compared as strings."""
        self._last_sequencer = max(self._last_sequencer + 1, int(self._clock() * 1e9))
        return f"{self._last_sequencer:048x}"


def _internal(operation: BlobOperation) -> bool:
    return operation.container.startswith(_HOSTS_OWN_CONTAINERS)
