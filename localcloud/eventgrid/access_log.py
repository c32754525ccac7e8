"""What happened in the storage account, as Azurite's access log tells it (Azurite emits no events itself)."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, unquote

from localcloud.config import STORAGE_ACCOUNT
from localcloud.eventgrid.store import LogPosition

if TYPE_CHECKING:
    from pathlib import Path

Api = Literal["PutBlob", "PutBlockList", "CopyBlob", "DeleteBlob"]

_CHUNK = 256 * 1024

# Common log format, all three services in one file. Blobs are told from queues and tables by their answers:
# only blobs answer 201 or 202 to PUT and DELETE of a path of two segments or more (queues and tables: 204).
_LINE = re.compile(
    r"\[(?P<time>[^\]]+)\] "
    r'"(?P<method>PUT|DELETE) /' + re.escape(STORAGE_ACCOUNT) + r"/(?P<container>[^/?\" ]+)/(?P<blob>[^?\" ]+)"
    r"(?:\?(?P<query>[^\" ]*))? HTTP/[\d.]+\" (?P<status>\d{3}) "
)


@dataclass(frozen=True)
class BlobOperation:
    """`at` is when it was answered, in whole seconds since the epoch."""

    api: Api
    container: str
    blob: str
    at: float


def parse(line: str) -> BlobOperation | None:
    """The operation of a line if it created, replaced or deleted a blob; None for everything else.

    Not to be seen in the log, so never reported: deletes inside a batch request, and the root container,
    whose blobs look like queues.
    """
    match = _LINE.search(line)
    if match is None:
        return None
    query = parse_qs(match["query"] or "", keep_blank_values=True)
    api = _api(match["method"], int(match["status"]), query.get("comp", [""])[0])
    if api is None or "snapshot" in query or "versionid" in query:
        return None
    try:
        at = dt.datetime.strptime(match["time"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        return None
    return BlobOperation(api, unquote(match["container"]), unquote(match["blob"]), at)


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


def read_on(file: Path, position: LogPosition | None) -> tuple[list[str], LogPosition | None]:
    """The next complete lines after `position`, at most about 256 KiB, and the position after them.

    Begins anew when the file was replaced or cut. Returns no lines when there is nothing new.
    """
    try:
        with file.open("rb") as stream:
            status = os.fstat(stream.fileno())
            if position is None or position.inode != status.st_ino or position.offset > status.st_size:
                position = LogPosition(status.st_ino, 0)
            if position.offset == status.st_size:
                return [], position
            stream.seek(position.offset)
            chunk = stream.read(_CHUNK)
    except FileNotFoundError:
        return [], position
    complete = chunk.rfind(b"\n") + 1
    if complete == 0 and len(chunk) == _CHUNK:
        complete = _CHUNK  # no request line is that long: skip what can not be one
    lines = chunk[:complete].decode(errors="replace").splitlines()
    return lines, LogPosition(position.inode, position.offset + complete)
