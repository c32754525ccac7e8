"""One long request for a blob, that goes on where it broke off."""

import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.core.rest import HttpResponse

from shared import blob_download
from shared.blob_download import BlobDownload
from shared.errors import TransientError
from tests.unit.https_server import HttpsServer, send, serve

ETAG = '"0x1"'
CONTENT = Random(1).randbytes(2_000_000)


class Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with serve(tmp_path, monkeypatch) as running:
        yield running


def download(server: HttpsServer, pauses: list[float] | None = None, **bounds: int) -> bytes:
    pause: Callable[[float], None] = ([] if pauses is None else pauses).append
    reader = BlobDownload(Credential(), connect_timeout=5, read_timeout=2, pause=pause)
    return b"".join(map(bytes, reader.chunks(f"{server.url}/blob", ETAG, **bounds)))


def blob(content: bytes, breaks: list[int] | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers as blob storage does; of each answer only so many bytes come as `breaks` says, one by one."""
    remaining = iter(breaks or [])

    def respond(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers["If-Match"] != ETAG:
            send(handler, 412, b"")
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        begin, end = (int(found[1]), int(found[2] or len(content)) + bool(found[2])) if found else (0, len(content))
        if found and begin >= len(content):
            send(handler, 416, b"")
            return
        part = content[begin:end]
        handler.send_response(206 if found else 200)
        handler.send_header("Content-Length", str(len(part)))
        handler.end_headers()
        handler.wfile.write(part[: next(remaining, len(part))])
        handler.close_connection = True

    return respond


def test_a_blob_comes_in_one_request(server: HttpsServer) -> None:
    server.respond = blob(CONTENT)

    assert download(server) == CONTENT
    (request,) = server.requests
    assert request.headers["If-Match"] == ETAG
    assert "Range" not in request.headers
    assert request.headers["Authorization"] == "Bearer token"


def test_a_download_goes_on_where_it_broke_off_with_the_same_etag(server: HttpsServer) -> None:
    breaks = [1, 100_000, 500_000, 300_000, 1, 700_000, 50]
    server.respond = blob(CONTENT, breaks)
    pauses: list[float] = []

    assert download(server, pauses) == CONTENT
    assert len(pauses) == len(breaks)
    assert {request.headers["If-Match"] for request in server.requests} == {ETAG}
    begins = [int(request.headers["Range"][6:].rstrip("-").split("-")[0]) for request in server.requests[1:]]
    assert begins == [sum(breaks[: number + 1]) for number in range(len(breaks))]


def test_only_failures_in_a_row_are_counted(server: HttpsServer) -> None:
    server.respond = blob(CONTENT, [1_000] * 12)

    assert download(server) == CONTENT
    assert len(server.requests) == 13


def test_a_download_that_does_not_go_on_is_given_up_for_now(server: HttpsServer) -> None:
    server.respond = blob(CONTENT, [1_000, 0, 0, 0, 0, 0])
    pauses: list[float] = []

    with pytest.raises(TransientError, match="5 times at byte 1000"):
        download(server, pauses)

    assert pauses == sorted(pauses)


def test_a_connection_that_always_breaks_before_a_whole_chunk_gets_on_in_smaller_ones(
    server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reset, so what was received of a chunk is lost."""
    server.respond = blob(CONTENT)
    real = blob_download._reader

    def breaking(response: HttpResponse) -> Callable[[memoryview], int]:
        read, left = real(response), [300_000]

        def readinto(piece: memoryview) -> int:
            left[0] -= len(piece)
            if left[0] < 0:
                raise ConnectionResetError
            return read(piece)

        return readinto

    monkeypatch.setattr(blob_download, "_reader", breaking)
    assert download(server) == CONTENT
    assert len(server.requests) <= 10


def test_a_part_can_be_asked_for(server: HttpsServer) -> None:
    server.respond = blob(CONTENT, [3])

    assert download(server, begin=1_000, size=10) == CONTENT[1_000:1_010]
    assert [request.headers["Range"] for request in server.requests] == ["bytes=1000-1009", "bytes=1003-1009"]


@pytest.mark.parametrize(("content", "begin"), [(b"", 0), (b"abc", 3)])
def test_where_nothing_lies_there_is_nothing(server: HttpsServer, content: bytes, begin: int) -> None:
    server.respond = blob(content)

    assert download(server, begin=begin) == b""


@pytest.mark.parametrize(
    ("status", "error"), [(412, ResourceModifiedError), (404, ResourceNotFoundError), (403, HttpResponseError)]
)
def test_another_blob_or_none_is_an_error(server: HttpsServer, status: int, error: type[Exception]) -> None:
    server.respond = lambda handler: send(handler, status, b"")

    with pytest.raises(error):
        download(server)


def test_a_blob_that_was_overwritten_meanwhile_is_not_mixed_with_the_new_one(server: HttpsServer) -> None:
    first = blob(CONTENT, [1_000])
    server.respond = lambda handler: first(handler) if len(server.requests) == 1 else send(handler, 412, b"")

    with pytest.raises(ResourceModifiedError):
        download(server)


def test_a_blob_that_is_stored_compressed_comes_as_it_lies_there(server: HttpsServer) -> None:
    server.respond = lambda handler: send(handler, 200, b"\x1f\x8b raw", Content_Encoding="gzip")

    assert download(server) == b"\x1f\x8b raw"
