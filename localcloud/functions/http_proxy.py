"""Passing calls of HTTP functions through to the worker's own HTTP server, both ways as they come.

The real host does it with YARP, and names the invocation in a header. Until the worker's server listens, connecting is
tried again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

log = logging.getLogger(__name__)

INVOCATION_HEADER = "x-ms-invocation-id"
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_CONNECTION_TRIES = 10
_FIRST_PAUSE = 0.05
_CLIENT_CLOSED_REQUEST = 499
"""Nobody sees it: who called has gone."""


class HttpProxy:
    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self._host, self._port = str(parts.hostname), parts.port
        self._pool = httpcore.AsyncConnectionPool(max_connections=None, keepalive_expiry=60)

    async def forward(self, request: Request, invocation_id: str) -> Response:
        """The worker's answer, whose body is still to come; 502 if its server can not be reached or breaks off."""
        body = _Body(request)
        sending = asyncio.create_task(self._send(request, invocation_id, body))
        leaving = asyncio.create_task(body.left())
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                return Response(status_code=_CLIENT_CLOSED_REQUEST)
            answer = sending.result()
        except ClientDisconnect:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            log.error("The worker's HTTP server: %s: %s", type(error).__name__, error)
            return Response(status_code=502)
        finally:
            for task in (leaving, sending):
                task.cancel()
            await asyncio.gather(leaving, sending, return_exceptions=True)
        response = StreamingResponse(_chunks(answer), answer.status)
        response.raw_headers = [(name.lower(), value) for name, value in answer.headers if _passes(name)]
        return response

    async def _send(self, request: Request, invocation_id: str, body: _Body) -> httpcore.Response:
        headers = [(name, value) for name, value in request.headers.raw if _passes(name)]
        headers.append((INVOCATION_HEADER.encode(), invocation_id.encode()))
        if b"transfer-encoding" in dict(request.headers.raw):
            headers.append((b"transfer-encoding", b"chunked"))
        target = bytes(request.scope["raw_path"]) + (b"?" if request.url.query else b"") + request.scope["query_string"]
        outgoing = httpcore.Request(
            request.method,
            httpcore.URL(scheme=b"http", host=self._host.encode(), port=self._port, target=target),
            headers=headers,
            content=body,
        )
        for attempt in range(_CONNECTION_TRIES):
            try:
                return await self._pool.handle_async_request(outgoing)
            except httpcore.ConnectError:
                if attempt == _CONNECTION_TRIES - 1:
                    raise
                await asyncio.sleep(_FIRST_PAUSE * 2**attempt)
        raise AssertionError("unreachable")


class _Body:
    """The caller's body, and then whether the caller is still there."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._sent = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.stream():
            if chunk:
                yield chunk
        self._sent.set()

    async def left(self) -> None:
        await self._sent.wait()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


async def _chunks(answer: httpcore.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_stream():
            yield chunk
    finally:
        await answer.aclose()


def _passes(name: bytes) -> bool:
    return name.lower() not in _HOP_BY_HOP


def unused_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
