"""The headers that the front doors of Azure Machine Learning put on every answer.

Names from recordings of the real service (azure-sdk-assets, azure-ai-ml). Clients log the correlation ids, and a few
tell a refusal of Resource Manager ("gateway") from one of the service behind it.
"""

from __future__ import annotations

import re
import time
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from localcloud.config import LOCATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MANAGED = re.compile(r"^/subscriptions/[^/]+/.*providers/microsoft\.machinelearningservices/", re.IGNORECASE)
_DIRECT = re.compile(r"^/(mferp|registrymanagement|history|mlflow|discovery)\b", re.IGNORECASE)
_TRACED = re.compile(r"^/(subscriptions|mferp|discovery)\b", re.IGNORECASE)
"""Those that answer success with the trace that it belongs to."""

_ERROR_CODE = "x-ms-error-code"
"""Only refusals of Resource Manager come with it; it goes no further."""
_APPLICATION = "cid-v1:2b5e8b34-7f5c-4c3b-9a5e-0f5a3c1d7e11"
_ALLOWANCES = {"DELETE": ("deletes", 14999), "GET": ("reads", 11999), "HEAD": ("reads", 11999)}
_DEPLOYMENT = re.compile(r"/onlineendpoints/[^/]+/deployments/[^/]+$", re.IGNORECASE)
_WRITES = ("writes", 1199)


def with_service_headers(app: ASGIApp) -> ASGIApp:
    """`app`, whose answers for Azure Machine Learning get the headers; all others pass as they are."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (_MANAGED.match(scope["path"]) or _DIRECT.match(scope["path"])):
            await app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                by_gateway = _ERROR_CODE in headers
                del headers[_ERROR_CODE]
                if headers.get("content-type") == "application/json":
                    headers["content-type"] = "application/json; charset=utf-8"
                if by_gateway and _MANAGED.match(scope["path"]):
                    added = [*_of_resource_manager(), ("x-ms-failure-cause", "gateway")]
                else:
                    is_error = message["status"] >= 400 and headers.get("content-length") != "0"
                    added = [*_added(scope, message["status"], time.perf_counter() - begun, is_error=is_error)]
                message["headers"] += [(name.encode(), value.encode("latin-1")) for name, value in added]
            await send(message)

        await app(scope, receive, sending)

    return answering


def _added(scope: Scope, status: int, seconds: float, *, is_error: bool) -> Iterator[tuple[str, str]]:
    """Of an answer of the service itself."""
    path: str = scope["path"]
    if _MANAGED.match(path):
        yield from _of_resource_manager()
        kind, left = _allowance(scope["method"], path)
        yield f"x-ms-ratelimit-remaining-subscription-{kind}", str(left)
    else:
        yield "strict-transport-security", "max-age=15724800; includeSubDomains; preload"
        yield "x-content-type-options", "nosniff"
    yield "request-context", f"appId={_APPLICATION}"
    yield "x-aml-cluster", f"localcloud-{LOCATION}-01"
    yield "x-ms-response-type", "error" if is_error else "standard"
    yield "x-request-time", f"{seconds:.3f}"
    if status in (200, 201) and _TRACED.match(path):
        yield "server-timing", f'traceparent;desc="00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"'


@lru_cache(maxsize=1)
def _moment(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


def _allowance(method: str, path: str) -> tuple[str, int]:
    """Deployments have an allowance of their own."""
    if method == "PUT" and _DEPLOYMENT.search(path):
        return "resource-requests", 24
    return _ALLOWANCES.get(method, _WRITES)


def _of_resource_manager() -> Iterator[tuple[str, str]]:
    correlation, moment = str(uuid.uuid4()), _moment(int(time.time()))
    yield "cache-control", "no-cache"
    yield "expires", "-1"
    yield "pragma", "no-cache"
    yield "x-content-type-options", "nosniff"
    yield "strict-transport-security", "max-age=31536000; includeSubDomains"
    yield "x-ms-correlation-request-id", correlation
    yield "x-ms-routing-request-id", f"{LOCATION.upper()}:{moment}:{correlation}"
