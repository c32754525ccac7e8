"""The headers that the front doors of Azure Machine Learning put on every answer.

Names from recordings of the real service (azure-sdk-assets, azure-ai-ml). Clients log the correlation ids, and a few
tell a refusal of Resource Manager ("gateway") from one of the service behind it.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

from localcloud.config import LOCATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MANAGED = re.compile(r"^/subscriptions/[^/]+/.*providers/microsoft\.machinelearningservices/", re.IGNORECASE)
_DIRECT = re.compile(r"^/(mferp|registrymanagement|history|discovery)\b", re.IGNORECASE)
_TRACED = re.compile(r"^/(subscriptions|mferp|discovery)\b", re.IGNORECASE)
"""Those that answer success with the trace that it belongs to."""

_ERROR_CODE = "x-ms-error-code"
_FRONT_END_CODE = "UserError"
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
                code = headers.get(_ERROR_CODE)
                del headers[_ERROR_CODE]
                if headers.get("content-type") == "application/json":
                    headers["content-type"] = "application/json; charset=utf-8"
                for name, value in _added(scope, message["status"], code, time.perf_counter() - begun):
                    headers.append(name, value)
            await send(message)

        await app(scope, receive, sending)

    return answering


def _added(scope: Scope, status: int, code: str | None, seconds: float) -> Iterator[tuple[str, str]]:
    """`code`: of a refusal. All but the front end's own are Resource Manager's."""
    path: str = scope["path"]
    is_managed = not _DIRECT.match(path)
    yield "x-content-type-options", "nosniff"
    if is_managed:
        yield from _of_resource_manager()
        if code not in (None, _FRONT_END_CODE):
            yield "x-ms-failure-cause", "gateway"
            return
        kind, left = _allowance(scope["method"], path)
        yield f"x-ms-ratelimit-remaining-subscription-{kind}", str(left)
    else:
        yield "strict-transport-security", "max-age=15724800; includeSubDomains; preload"
    yield "request-context", f"appId={_APPLICATION}"
    yield "x-aml-cluster", f"localcloud-{LOCATION}-01"
    yield "x-ms-response-type", "standard" if code is None else "error"
    yield "x-request-time", f"{seconds:.3f}"
    if status in (200, 201) and _TRACED.match(path):
        yield "server-timing", f'traceparent;desc="00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"'


def _allowance(method: str, path: str) -> tuple[str, int]:
    """Deployments have an allowance of their own."""
    if method == "PUT" and _DEPLOYMENT.search(path):
        return "resource-requests", 24
    return _ALLOWANCES.get(method, _WRITES)


def _of_resource_manager() -> Iterator[tuple[str, str]]:
    correlation = str(uuid.uuid4())
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    yield "cache-control", "no-cache"
    yield "expires", "-1"
    yield "pragma", "no-cache"
    yield "strict-transport-security", "max-age=31536000; includeSubDomains"
    yield "x-ms-correlation-request-id", correlation
    yield "x-ms-routing-request-id", f"{LOCATION.upper()}:{moment}:{correlation}"
