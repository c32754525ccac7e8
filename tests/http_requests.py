"""Requests as HTTP functions get them, without a host."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.types import Message

from handlers.http import Request


def http_request(
    method: str, path: str, path_params: Mapping[str, str], query: Mapping[str, str], body: bytes = b""
) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": urlencode(query).encode(),
        "headers": [(b"content-length", str(len(body)).encode())] if body else [],
        "path_params": dict(path_params),
    }
    return Request(scope, receive)
