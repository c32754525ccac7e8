"""What all HTTP functions share: the types of requests and answers, JSON, pages, and errors as JSON.

A request has `path_params`, `query_params` and `headers`; its body can be read by async functions only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request as Request
from starlette.responses import Response as Response
from starlette.responses import StreamingResponse as StreamingResponse

import handlers.web  # noqa: F401 - registers these types with the worker
from shared.errors import TransientError

log = logging.getLogger(__name__)

_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""A page is self-contained; the address that it was called with may hold the function key."""


class BadRequestError(Exception):
    """The message says what the caller is to change."""


def answered(call: Callable[[], Response]) -> Response:
    """When the cloud says "later", so do we: HTTP 503 instead of the host's bare 500. BadRequestError is a 400."""
    try:
        return call()
    except BadRequestError as error:
        return error_answer(400, "BadRequest", str(error))
    except TransientError as error:
        log.warning("HTTP function: %s", error)
        return error_answer(503, "TryLater", "the ledger or Azure Machine Learning can not be reached at the moment")


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, "application/json")


def error_answer(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Response:
    error = {"code": code, "message": message} | ({"details": details} if details else {})
    return json_answer({"error": error}, status, headers)


def page(content: bytes | str) -> Response:
    """A self-contained page of HTML in UTF-8, without scripts."""
    return Response(content, headers=_PAGE_HEADERS, media_type="text/html; charset=utf-8")


def flag(req: Request, name: str) -> bool:
    """A query parameter that is true or false, false by default. Raises BadRequestError."""
    wish = req.query_params.get(name, "false").lower()
    if wish not in ("true", "false"):
        raise BadRequestError(f"{name} must be true or false")
    return wish == "true"


class TooLargeError(Exception):
    """A body has more bytes than allowed."""


async def body(req: Request, limit: int) -> bytes:
    """Raises TooLargeError as soon as that is known."""
    if (announced_length(req) or 0) > limit:
        raise TooLargeError
    chunks: list[bytes] = []
    size = 0
    async for chunk in req.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError
        chunks.append(chunk)
    return b"".join(chunks)


def announced_length(req: Request) -> int | None:
    """Bytes of the body; None if its length is not known before its end."""
    length = req.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() else None
