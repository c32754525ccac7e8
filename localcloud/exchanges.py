"""Writes down every exchange that the emulated cloud answers, so that tests can hold it against a specification.

On only where the environment variable LOCALCLOUD_EXCHANGES names a folder: each process appends to its own
`{pid}.jsonl` there, one exchange a line. Neither tokens nor keys nor what was said to a model is written.
"""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.routing import CONTROL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

VARIABLE = "LOCALCLOUD_EXCHANGES"
MAX_BODY = 256 * 1024
"""Bytes. A longer body is left out."""
MASK = "***"

_REQUEST_HEADERS = frozenset({"accept", "content-length", "content-type", "if-match", "user-agent"})
_HIDDEN_HEADERS = frozenset({"set-cookie", "www-authenticate"})
_SECRET_FIELDS = frozenset({"primaryKey", "secondaryKey", "accessToken", "access_token", "content"})
"""Keys and tokens, and the text of a container's log."""
_SIGNATURE = re.compile(r"(sig=)[^&\s\"']+", re.IGNORECASE)
_UNWRITTEN = re.compile(r"^/(inference|eventgrid)/")
"""Of scoring calls and of events neither bodies nor queries: other people's data, and validation codes."""


def recorded(app: ASGIApp) -> ASGIApp:
    """`app`, or `app` under a recorder where the environment asks for one."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return app
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Recorder(app, Path(folder))


class Recorder:
    """ASGI middleware. Goes inside of injected faults: what they answer is not the cloud's own word."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
            await self._app(scope, receive, send)
            return
        request, response = _Body(), _Body()
        start: Message = {}

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                request.take(message)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                response.take(message)
            await send(message)

        await self._app(scope, receiving, sending)
        if start and response.complete:
            self._write(_exchange(scope, request, start, response))

    def _write(self, exchange: dict[str, Any]) -> None:
        """One write of one whole line to a file opened for appending: threads do not mix theirs."""
        line = (json.dumps(exchange, separators=(",", ":")) + "\n").encode()
        file = os.open(self._folder / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)


class _Body:
    def __init__(self) -> None:
        self._content = bytearray()
        self.complete = False
        self.size = 0

    def take(self, message: Message) -> None:
        chunk = message.get("body", b"")
        self.size += len(chunk)
        if self.size <= MAX_BODY:
            self._content += chunk
        self.complete = not message.get("more_body", False)

    def shown(self) -> str | None:
        """None: it was not read to its end, or is too long."""
        if not self.complete or self.size > MAX_BODY:
            return None
        text = _SIGNATURE.sub(rf"\1{MASK}", self._content.decode(errors="replace"))
        return _masked(text) if any(field in text for field in _SECRET_FIELDS) else text


def _exchange(scope: Scope, request: _Body, start: Message, response: _Body) -> dict[str, Any]:
    """A body is its text, or null where it is left out: see `request_read` and the sizes for the reason."""
    headers = _headers(scope["headers"])
    unwritten = _UNWRITTEN.match(scope["path"]) is not None
    path = scope.get("raw_path", b"").decode() or scope["path"]
    query = "" if unwritten else _SIGNATURE.sub(rf"\1{MASK}", scope["query_string"].decode())
    return {
        "method": scope["method"],
        "url": f"{scope['scheme']}://{headers.get('host', '')}{path}{'?' if query else ''}{query}",
        "request_headers": {name: value for name, value in headers.items() if name in _REQUEST_HEADERS},
        "request_read": request.complete,
        "request_size": request.size,
        "request_body": None if unwritten else request.shown(),
        "status": start["status"],
        "response_headers": {
            name: MASK if name in _HIDDEN_HEADERS else _SIGNATURE.sub(rf"\1{MASK}", value)
            for name, value in _headers(start.get("headers", ())).items()
        },
        "response_size": response.size,
        "response_body": None if unwritten else response.shown(),
    }


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}


def _masked(text: str) -> str:
    """The same JSON with a mask for every secret."""
    try:
        return json.dumps(_without_secrets(json.loads(text)))
    except ValueError:
        return MASK


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: MASK if name in _SECRET_FIELDS and isinstance(item, str) else _without_secrets(item)
        for name, item in value.items()
    }
