"""Blob storage: ETags, conditional reads and copies, and an event for everything that is written or deleted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shared import names
from shared.blob_download import CHUNK_BYTES
from shared.blobs import BlobChangedError, Blobs, UploadedContent, UploadedFile
from shared.datasets.blocks import Chunk
from shared.lifecycle.decide import CopyState
from tests.simulation.twins.progress import settle
from tests.simulation.twins.world import Event, Happening, World


@dataclass(frozen=True)
class Blob:
    """`copy` is how the copy goes that made it; None for what was uploaded."""

    content: bytes
    etag: str
    modified_at: datetime
    copy: Literal["pending", "success", "failed"] | None = None


class BlobStore:
    """What users, the app and its instances share. `account_id` is the storage account's ARM id, the events' topic."""

    def __init__(self, world: World, account_id: str) -> None:
        self._world = world
        self._account_id = account_id
        self._blobs: dict[str, dict[str, Blob]] = {name: {} for name in names.CONTAINERS}
        self._numbers = itertools.count(1)

    def upload(self, container: str, name: str, content: bytes) -> Blob:
        blob = self._put(container, name, Blob(content, "", self._world.now()))
        self._tell("BlobCreated", "PutBlob", container, name, blob)
        return blob

    def delete(self, container: str, name: str) -> None:
        """Nothing happens if it is gone."""
        blob = self._blobs[container].pop(name, None)
        if blob is not None:
            self._tell("BlobDeleted", "DeleteBlob", container, name, blob)

    def get(self, container: str, name: str) -> Blob | None:
        return self._blobs[container].get(name)

    def all(self, container: str, prefix: str = "") -> list[tuple[str, Blob]]:
        return sorted(item for item in self._blobs[container].items() if item[0].startswith(prefix))

    def copy(self, source: Blob, source_name: str, container: str, name: str) -> None:
        """From `datasets`, unless there is something else than a failed copy. A source that changes before the copy
        is done makes it fail."""
        found = self.get(container, name)
        if found is not None and found.copy != "failed":
            return
        fate = self._world.draw(Happening.COPY, source_name)
        pending = self._put(container, name, Blob(b"", "", self._world.now(), "pending"))

        def done(*, failed: bool) -> None:
            if self.get(container, name) != pending:
                return
            if failed or self.get(names.DATASETS, source_name) != source:
                self._put(container, name, replace(pending, copy="failed"))
                return
            copied = self._put(container, name, Blob(source.content, "", self._world.now(), "success"))
            self._tell("BlobCreated", "CopyBlob", container, name, copied)

        settle(
            self._world,
            fate,
            f"copy of {source_name}",
            succeed=lambda: done(failed=False),
            fail=lambda: done(failed=True),
        )

    def _put(self, container: str, name: str, blob: Blob) -> Blob:
        stored = replace(blob, etag=f"0x8D{next(self._numbers):012X}")
        self._blobs[container][name] = stored
        return stored

    def _tell(self, what: str, api: str, container: str, name: str, blob: Blob) -> None:
        number = next(self._numbers)
        url = f"https://twin.blob.core.windows.net/{container}/{name}"
        data = {
            "api": api,
            "requestId": f"request-{number}",
            "eTag": blob.etag,
            "contentType": "application/octet-stream",
            "contentLength": len(blob.content),
            "blobType": "BlockBlob",
            "url": url,
        }
        subject = f"/blobServices/default/containers/{container}/blobs/{name}"
        now = self._world.now()
        self._world.emit(
            Event(f"blob-{number}", self._account_id, f"Microsoft.Storage.{what}", subject, data, now),
        )


class BlobsTwin(Blobs):
    def __init__(self, world: World, store: BlobStore, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._world = world
        self._store = store
        self._chunk_bytes = chunk_bytes

    def uploaded(self, prefix: str = "") -> Iterator[UploadedFile]:
        """Nothing is asked before the first one is wanted."""

        def listed() -> list[UploadedFile]:
            return [_uploaded(name, blob) for name, blob in self._store.all(names.DATASETS, prefix)]

        yield from self._world.effect("blobs.uploaded", listed, writes=False, of=prefix)

    def uploaded_file(self, name: str) -> UploadedFile | None:
        blob = self._world.effect(
            "blobs.uploaded_file", lambda: self._store.get(names.DATASETS, name), writes=False, of=name
        )
        return None if blob is None else _uploaded(name, blob)

    def read_uploaded(self, name: str, etag: str) -> Iterator[Chunk]:
        """Each chunk is a call of its own."""
        start = 0
        while True:
            content = self._world.effect(
                "blobs.read_uploaded", lambda: self._require(name, etag).content, writes=False, of=name
            )
            if chunk := content[start : start + self._chunk_bytes]:
                yield chunk
            start += self._chunk_bytes
            if start >= len(content):
                return

    def uploaded_content(self, name: str, etag: str) -> UploadedContent:
        return UploadedContent(self, name, etag)

    def copy_states(self, tuning_id: str, files: tuple[str, ...]) -> dict[str, CopyState]:
        def look() -> dict[str, CopyState]:
            return {file: _copy_state(self._snapshot(tuning_id, file)) for file in files}

        return self._world.effect("blobs.copy_states", look, writes=False, of=tuning_id)

    def begin_copy(self, source: str, etag: str, tuning_id: str, file: str) -> None:
        def commit() -> None:
            target = names.snapshot_blob(tuning_id, file)
            self._store.copy(self._require(source, etag), source, names.TUNINGS, target)

        self._world.effect("blobs.begin_copy", commit, writes=True, of=f"{tuning_id}/{file}")

    def write_expanded(self, content: Iterable[bytes], tuning_id: str, file: str) -> None:
        """What is written is seen at the end or not at all; what is there stays."""
        whole, target = b"".join(content), names.snapshot_blob(tuning_id, file)

        def commit() -> None:
            if self._snapshot(tuning_id, file) is None:
                self._store.upload(names.TUNINGS, target, whole)

        self._world.effect("blobs.write_expanded", commit, writes=True, of=target)

    def snapshot_url(self, tuning_id: str, file: str) -> str:
        return f"https://twin.blob.core.windows.net/{names.TUNINGS}/{names.snapshot_blob(tuning_id, file)}"

    def write_snapshot(self, tuning_id: str, file: str, content: bytes) -> None:
        self._upload("blobs.write_snapshot", names.TUNINGS, names.snapshot_blob(tuning_id, file), content)

    def read_snapshot(self, tuning_id: str, file: str) -> bytes | None:
        return self._content("blobs.read_snapshot", names.TUNINGS, names.snapshot_blob(tuning_id, file))

    def read_snapshot_range(self, tuning_id: str, file: str, offset: int, size: int) -> bytes | None:
        name = names.snapshot_blob(tuning_id, file)
        content = self._content("blobs.read_snapshot_range", names.TUNINGS, name)
        return None if content is None else content[offset : offset + size]

    def snapshot_size(self, tuning_id: str, file: str) -> int | None:
        content = self._content("blobs.snapshot_size", names.TUNINGS, names.snapshot_blob(tuning_id, file))
        return None if content is None else len(content)

    def write_report(self, tuning_id: str, content: bytes) -> None:
        self._upload("blobs.write_report", names.REPORTS, names.report_blob(tuning_id), content)

    def read_report(self, tuning_id: str) -> bytes | None:
        return self._content("blobs.read_report", names.REPORTS, names.report_blob(tuning_id))

    def write_report_page(self, tuning_id: str, content: bytes) -> None:
        self._upload("blobs.write_report_page", names.REPORTS, names.report_page_blob(tuning_id), content)

    def read_report_page(self, tuning_id: str) -> bytes | None:
        return self._content("blobs.read_report_page", names.REPORTS, names.report_page_blob(tuning_id))

    def _require(self, name: str, etag: str) -> Blob:
        blob = self._store.get(names.DATASETS, name)
        if blob is None or blob.etag != etag:
            raise BlobChangedError(name)
        return blob

    def _snapshot(self, tuning_id: str, file: str) -> Blob | None:
        return self._store.get(names.TUNINGS, names.snapshot_blob(tuning_id, file))

    def _upload(self, operation: str, container: str, name: str, content: bytes) -> None:
        self._world.effect(operation, lambda: self._store.upload(container, name, content), writes=True, of=name)

    def _content(self, operation: str, container: str, name: str) -> bytes | None:
        blob = self._world.effect(operation, lambda: self._store.get(container, name), writes=False, of=name)
        return None if blob is None else blob.content


def _uploaded(name: str, blob: Blob) -> UploadedFile:
    return UploadedFile(name, blob.etag, len(blob.content), blob.modified_at)


def _copy_state(blob: Blob | None) -> CopyState:
    if blob is None or blob.copy == "failed":
        return CopyState.ABSENT
    return CopyState.PENDING if blob.copy == "pending" else CopyState.DONE
