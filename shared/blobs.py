"""The blob containers: what users upload, what was validated and is trained on, and the reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import names
from shared.azureml.translate import translated
from shared.blob_download import BlobDownload
from shared.errors import PermanentError, TransientError
from shared.lifecycle.decide import CopyState
from shared.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobServiceClient

    from shared.datasets.blocks import Chunk


class BlobChangedError(PermanentError):
    """The blob is gone, or has another ETag than the one that was asked for."""

    def __init__(self, blob: str) -> None:
        super().__init__("DatasetChanged", f"{blob} was overwritten or deleted meanwhile")


@dataclass(frozen=True)
class UploadedFile:
    """A blob of the container `datasets`; `name` is the blob's name in it."""

    name: str
    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True)
class UploadedContent:
    """Chunks of a blob of `datasets`, as long as it has this ETag; see Blobs.read_uploaded."""

    blobs: Blobs
    name: str
    etag: str

    def __iter__(self) -> Iterator[Chunk]:
        return self.blobs.read_uploaded(self.name, self.etag)


class Blobs:
    """Raises TransientError, PermanentError or DroptuneError, and BlobChangedError where an ETag was given."""

    def __init__(self, service: BlobServiceClient, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self._service = service
        self._download = BlobDownload(service.credential, connect_timeout=timeouts.connect, read_timeout=timeouts.read)

    def uploaded(self, prefix: str = "") -> Iterator[UploadedFile]:
        """Everything below a prefix of `datasets`."""
        container = self._service.get_container_client(names.DATASETS)
        with translated(f"list {names.DATASETS}/{prefix}"):
            for blob in container.list_blobs(name_starts_with=prefix):
                yield UploadedFile(blob.name, _bare(blob.etag), blob.size, blob.last_modified)

    def uploaded_file(self, name: str) -> UploadedFile | None:
        from azure.core.exceptions import ResourceNotFoundError

        with translated(f"read {names.DATASETS}/{name}"):
            try:
                blob = self._blob(names.DATASETS, name).get_blob_properties()
            except ResourceNotFoundError:
                return None
        return UploadedFile(name, _bare(blob.etag), blob.size, blob.last_modified)

    def read_uploaded(self, name: str, etag: str) -> Iterator[Chunk]:
        """The content in chunks, all of them of the blob that has this ETag. A chunk is good until the next one."""
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        with translated(f"read {names.DATASETS}/{name}"):
            try:
                yield from self._download.chunks(self._blob(names.DATASETS, name).url, _quoted(etag))
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                raise BlobChangedError(name) from error

    def uploaded_content(self, name: str, etag: str) -> UploadedContent:
        """The same, to be read from its beginning as often as needed."""
        return UploadedContent(self, name, etag)

    def copy_states(self, tuning_id: str, files: tuple[str, ...]) -> dict[str, CopyState]:
        from azure.core.exceptions import ResourceNotFoundError

        states: dict[str, CopyState] = {}
        for file in files:
            with translated(f"read the copy of {file}"):
                try:
                    properties = self._blob(names.TUNINGS, names.snapshot_blob(tuning_id, file)).get_blob_properties()
                except ResourceNotFoundError:
                    states[file] = CopyState.ABSENT
                    continue
            status = properties.copy.status
            if status == "pending":
                states[file] = CopyState.PENDING
            else:
                states[file] = CopyState.DONE if status in (None, "success") else CopyState.ABSENT
        return states

    def begin_copy(self, source: str, etag: str, tuning_id: str, file: str) -> None:
        """Copy a split server-side to where the job reads it, if it still is the one that was validated.

        A copy that is there already, or under way, stays: a job may be reading it. Only one that failed is made anew.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        target = self._blob(names.TUNINGS, names.snapshot_blob(tuning_id, file))
        with translated(f"copy {source}"):
            try:
                target.start_copy_from_url(
                    self._blob(names.DATASETS, source).url,
                    source_etag=_quoted(etag),
                    source_match_condition=MatchConditions.IfNotModified,
                    **_over_a_failed_copy_only(target),
                )
            except ResourceExistsError:
                return
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                there = self.uploaded_file(source)
                if there is not None and there.etag == etag:
                    raise TransientError(f"copy {source}: somebody else began it") from error
                raise BlobChangedError(source) from error

    def write_expanded(self, content: Iterable[bytes], tuning_id: str, file: str) -> None:
        """Write what a compressed split holds to where the job reads it, a few MiB at a time, all or nothing.

        A snapshot that is there already stays: it was written from the same content.
        """
        from azure.core.exceptions import HttpResponseError, ResourceExistsError

        target = self._blob(names.TUNINGS, names.snapshot_blob(tuning_id, file))
        with translated(f"write {names.TUNINGS}/{target.blob_name}"):
            try:
                target.upload_blob(iter(content), overwrite=False)
            except ResourceExistsError:
                return
            except HttpResponseError as error:
                if error.status_code == 400:
                    # Somebody else finished writing it, which discards the blocks of this one.
                    raise TransientError(f"{target.blob_name} is being written by somebody else") from error
                raise

    def snapshot_url(self, tuning_id: str, file: str) -> str:
        return self._blob(names.TUNINGS, names.snapshot_blob(tuning_id, file)).url

    def write_snapshot(self, tuning_id: str, file: str, content: bytes) -> None:
        self._write(names.TUNINGS, names.snapshot_blob(tuning_id, file), content)

    def read_snapshot(self, tuning_id: str, file: str) -> bytes | None:
        return self._read(names.TUNINGS, names.snapshot_blob(tuning_id, file))

    def read_snapshot_range(self, tuning_id: str, file: str, offset: int, size: int) -> bytes | None:
        """Up to `size` bytes from `offset` on, nothing beyond the end; None if the file is not there."""
        return self._read(names.TUNINGS, names.snapshot_blob(tuning_id, file), offset, size)

    def snapshot_size(self, tuning_id: str, file: str) -> int | None:
        """In bytes; None if the file is not there."""
        from azure.core.exceptions import ResourceNotFoundError

        name = names.snapshot_blob(tuning_id, file)
        with translated(f"read {names.TUNINGS}/{name}"):
            try:
                return int(self._blob(names.TUNINGS, name).get_blob_properties().size)
            except ResourceNotFoundError:
                return None

    def write_report(self, tuning_id: str, content: bytes) -> None:
        self._write(names.REPORTS, names.report_blob(tuning_id), content)

    def read_report(self, tuning_id: str) -> bytes | None:
        return self._read(names.REPORTS, names.report_blob(tuning_id))

    def write_report_page(self, tuning_id: str, content: bytes) -> None:
        """As `text/html`, beside the report."""
        self._write(names.REPORTS, names.report_page_blob(tuning_id), content, "text/html; charset=utf-8")

    def read_report_page(self, tuning_id: str) -> bytes | None:
        return self._read(names.REPORTS, names.report_page_blob(tuning_id))

    def _write(self, container: str, name: str, content: bytes, content_type: str | None = None) -> None:
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(content_type=content_type) if content_type else None
        with translated(f"write {container}/{name}"):
            self._blob(container, name).upload_blob(content, overwrite=True, content_settings=settings)

    def _read(self, container: str, name: str, offset: int | None = None, size: int | None = None) -> bytes | None:
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        with translated(f"read {container}/{name}"):
            try:
                return self._blob(container, name).download_blob(offset=offset, length=size).readall()
            except ResourceNotFoundError:
                return None
            except HttpResponseError as error:
                if error.status_code == 416 and offset is not None:
                    return b""
                raise

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(container, name)


def _over_a_failed_copy_only(target: BlobClient) -> dict[str, Any]:
    """The condition on the target of a copy: nothing is there, or just what a copy that failed left behind."""
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceNotFoundError

    try:
        properties = target.get_blob_properties()
    except ResourceNotFoundError:
        return {"match_condition": MatchConditions.IfMissing}
    if properties.copy.status not in ("failed", "aborted"):
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": properties.etag, "match_condition": MatchConditions.IfNotModified}


def _bare(etag: str | None) -> str:
    """Listings give ETags without quotes, properties with them."""
    return (etag or "").strip('"')


def _quoted(etag: str) -> str:
    return f'"{etag}"'
