"""The web server under the emulated cloud: uvicorn, told to leave signals alone and to end quickly."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

_GRACE = 0.3


class Listener(uvicorn.Server):
    """One of the servers of this process: it leaves the signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Requests under way have a moment. Over TLS, an idle client would hold its connection for long."""
        asyncio.get_running_loop().call_later(_GRACE, self._abort_connections)
        await super().shutdown(sockets)

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def listener(app: ASGIApp, port: int, certificate: Path | None = None, key: Path | None = None) -> Listener:
    """On this machine only; with a certificate it speaks HTTPS."""
    return Listener(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            http=_Protocol,
            ws="none",
            access_log=False,
            lifespan="off",
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            timeout_keep_alive=300,
            timeout_graceful_shutdown=5,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
    )


class _OneWrite:
    """A transport that sends what is written in one step of the event loop together.

    uvicorn writes head and body of an answer apart; over TLS, a record and a system call each.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._waiting.clear()
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._transport.write(data)


class _Protocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(_OneWrite(transport))  # type: ignore[arg-type] # a transport in all but its class
