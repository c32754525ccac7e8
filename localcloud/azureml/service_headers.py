"""The headers that the front doors of Azure Machine Learning put on every answer.

Names from recordings of the real service (azure-sdk-assets, azure-ai-ml). Clients log the correlation ids, and a few
tell a refusal of Resource Manager ("gateway") from one of the service behind it.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from localcloud.config import LOCATION

if TYPE_CHECKING:
    from starlette.responses import Response

_MANAGED = re.compile(r"^/subscriptions/[^/]+/.*providers/microsoft\.machinelearningservices/", re.IGNORECASE)
_DIRECT = re.compile(r"^/(mferp|registrymanagement|history|mlflow|discovery)\b", re.IGNORECASE)
_TRACED = re.compile(r"^/(subscriptions|mferp|discovery)\b", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/onlineendpoints/[^/]+/deployments/[^/]+$", re.IGNORECASE)

_ERROR_CODE = b"x-ms-error-code"
"""Only refusals of Resource Manager come with it; it goes no further."""
_JSON = (b"content-type", b"application/json")
_JSON_OF_AZURE = (b"content-type", b"application/json; charset=utf-8")
_EMPTY = (b"content-length", b"0")
_APPLICATION = "cid-v1:2b5e8b34-7f5c-4c3b-9a5e-0f5a3c1d7e11"

_OF_RESOURCE_MANAGER = (
    (b"cache-control", b"no-cache"),
    (b"expires", b"-1"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
)
_OF_THE_SERVICE = (
    (b"strict-transport-security", b"max-age=15724800; includeSubDomains; preload"),
    (b"x-content-type-options", b"nosniff"),
)
_OF_BOTH = (
    (b"request-context", f"appId={_APPLICATION}".encode()),
    (b"x-aml-cluster", f"localcloud-{LOCATION}-01".encode()),
)
_REMAINING = b"x-ms-ratelimit-remaining-subscription-"
_RESOURCE_REQUESTS = (_REMAINING + b"resource-requests", b"24")
"""Deployments have an allowance of their own."""
_READS = (_REMAINING + b"reads", b"11999")
_ALLOWANCES = {"DELETE": (_REMAINING + b"deletes", b"14999"), "GET": _READS, "HEAD": _READS}
_WRITES = (_REMAINING + b"writes", b"1199")
_ERROR = 400
_random = random.Random().getrandbits  # noqa: S311 - no secrets
"""Nothing depends on nobody guessing these ids; the system's randomness takes longer than the rest of the headers."""


@dataclass(frozen=True)
class Door:
    """What a path leads to. `is_managed`: Resource Manager, else the service itself."""

    is_managed: bool
    is_traced: bool
    """Answers success with the trace that it belongs to."""
    is_deployment: bool

    def put_headers(self, response: Response, method: str, seconds: float) -> None:
        """`seconds`: how long the answer took."""
        raw = response.raw_headers
        by_gateway = False
        for at in range(len(raw) - 1, -1, -1):
            if raw[at][0] == _ERROR_CODE:
                by_gateway = True
                del raw[at]
            elif raw[at] == _JSON:
                raw[at] = _JSON_OF_AZURE
        if self.is_managed:
            raw += _of_resource_manager()
            if by_gateway:
                raw.append((b"x-ms-failure-cause", b"gateway"))
                return
            raw.append(self._allowance(method))
        else:
            raw += _OF_THE_SERVICE
        is_error = response.status_code >= _ERROR and _EMPTY not in raw
        raw += _OF_BOTH
        raw.append((b"x-ms-response-type", b"error" if is_error else b"standard"))
        raw.append((b"x-request-time", b"%.3f" % seconds))
        if self.is_traced and response.status_code in (200, 201):
            raw.append((b"server-timing", b'traceparent;desc="00-%032x-%016x-01"' % (_random(128), _random(64))))

    def _allowance(self, method: str) -> tuple[bytes, bytes]:
        if method == "PUT" and self.is_deployment:
            return _RESOURCE_REQUESTS
        return _ALLOWANCES.get(method, _WRITES)


@lru_cache(maxsize=1024)
def door_of(path: str) -> Door | None:
    """By the path of a request or of its route; None for what is not Azure Machine Learning's."""
    is_managed = _MANAGED.match(path) is not None
    if not is_managed and _DIRECT.match(path) is None:
        return None
    return Door(is_managed, _TRACED.match(path) is not None, _DEPLOYMENT.search(path) is not None)


@lru_cache(maxsize=1)
def _moment(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


def _of_resource_manager() -> tuple[tuple[bytes, bytes], ...]:
    digits, moment = f"{_random(128):032x}", _moment(int(time.time()))
    correlation = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    return (
        *_OF_RESOURCE_MANAGER,
        (b"x-ms-correlation-request-id", correlation.encode()),
        (b"x-ms-routing-request-id", f"{LOCATION.upper()}:{moment}:{correlation}".encode()),
    )
