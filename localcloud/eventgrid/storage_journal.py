"""What happened to the blobs of the storage account, as azurite_journal.cjs notes it from inside Azurite.

The journal is a folder of numbered files of JSON lines. Azurite only appends to the newest; who reads deletes what
is behind him, so it stays small and nothing is lost while nobody reads.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from localcloud.config import STORAGE_ACCOUNT
from localcloud.eventgrid.store import LogPosition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Api = Literal["PutBlob", "PutBlockList", "CopyBlob", "DeleteBlob"]

_CHUNK = 256 * 1024
_START = LogPosition(0, 0)


@dataclass(frozen=True)
class BlobOperation:
    """`at` is when it was answered, in seconds since the epoch.

    What the request did not tell is empty: `etag` of a deletion, `content_type` and `content_length` (None) of
    what was committed from blocks or copied.
    """

    api: Api
    container: str
    blob: str
    at: float
    etag: str = ""
    request_id: str = ""
    client_request_id: str = ""
    content_type: str = ""
    content_length: int | None = None
    blob_type: str = ""


def parse(line: str) -> BlobOperation | None:
    """The operation if it created, replaced or deleted a blob; None for every other request.

    Blobs in the root container are never reported: their paths look like those of containers.
    """
    try:
        entry = json.loads(line)
        account, container, blob = unquote(entry["path"]).removeprefix("/").split("/", 2)
        api = _api(entry["method"], entry["status"], entry["comp"])
        if api is None or account != STORAGE_ACCOUNT or not container or not blob:
            return None
        # Put Blob From URL and copies tell of their request, not of the blob that they make.
        told = api == "PutBlob" and not entry["copied"]
        length = entry["contentLength"]
        return BlobOperation(
            api,
            container,
            blob,
            at=float(entry["time"]),
            etag=entry["etag"].strip('"'),
            request_id=entry["requestId"],
            client_request_id=entry["clientRequestId"],
            content_type=entry["contentType"] if told else "",
            content_length=length if told and length >= 0 and entry["blobType"] == "BlockBlob" else None,
            blob_type=entry["blobType"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # not an object path, or a line that Azurite's death cut off


def _api(method: str, status: int, comp: str) -> Api | None:
    match method, status, comp:
        case "PUT", 201, "":
            return "PutBlob"
        case "PUT", 201, "blocklist":
            return "PutBlockList"
        case "PUT", 202, "":
            return "CopyBlob"
        case "DELETE", 202, "":
            return "DeleteBlob"
        case _:
            return None


def read_on(folder: Path, position: LogPosition | None) -> tuple[list[str], LogPosition]:
    """The next complete lines after `position`, at most about 256 KiB of one file, and the position after them.

    A position names a file by its number (`inode`) and how far it was read. A file that is gone is skipped. The
    one that was read last is never deleted, so a journal that ends before it is a new one.
    """
    segments = list(_segments(folder))
    if position is None or (segments and segments[-1][0] < position.inode):
        position = _START
    for number, file in segments:
        if number < position.inode:
            continue
        offset = position.offset if number == position.inode else 0
        try:
            with file.open("rb") as stream:
                stream.seek(offset)
                chunk = stream.read(_CHUNK)
        except FileNotFoundError:
            continue
        complete = chunk.rfind(b"\n") + 1
        if complete:
            lines = chunk[:complete].decode(errors="replace").splitlines()
            return lines, LogPosition(number, offset + complete)
    return [], position


def forget(folder: Path, position: LogPosition) -> None:
    """Delete the files before the one that `position` is in."""
    for number, file in _segments(folder):
        if number < position.inode:
            with contextlib.suppress(FileNotFoundError):
                file.unlink()


def _segments(folder: Path) -> Iterator[tuple[int, Path]]:
    """Oldest first."""
    for file in sorted(folder.glob("*.jsonl")):
        if file.stem.isdigit():
            yield int(file.stem), file
