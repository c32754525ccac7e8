"""Which headers pass the gateway, and what callers prefer. Pure.

Towards the endpoint only what describes the body, the wish for an answer, and the trace: callers' keys, cookies, and
what Azure's front ends add are none of the endpoint's business, and a pinned deployment would go around the smoke test.
Towards the caller all but what belongs to the connection, to the endpoint's own authentication, or to the inside.
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

_TO_ENDPOINT = frozenset(
    (
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"traceparent",
        b"tracestate",
        b"user-agent",
        b"x-ms-client-request-id",
        b"x-request-id",
    )
)
_NOT_TO_CALLER = frozenset(
    (
        b"connection",
        b"date",
        b"keep-alive",
        b"location",
        b"proxy-authenticate",
        b"proxy-connection",
        b"refresh",
        b"server",
        b"set-cookie",
        b"strict-transport-security",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"www-authenticate",
    )
)
_INSIDE = b"azureml-"
MAX_WAIT = 220
"""Seconds; the platform gives a request 230."""


def to_endpoint(headers: Iterable[tuple[bytes, bytes]], key: str, host: str) -> Headers:
    """Without those of the body's length, which whoever sends it knows."""
    passed = [(name, value) for name, value in headers if name.lower() in _TO_ENDPOINT]
    return [(b"host", host.encode()), (b"authorization", b"Bearer " + key.encode()), *passed]


def to_caller(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Lower-cased. A header that `Connection` names belongs to the connection as well."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = {item.strip().lower() for name, value in lowered if name == b"connection" for item in value.split(b",")}
    return [
        (name, value)
        for name, value in lowered
        if name not in _NOT_TO_CALLER and name not in named and not name.startswith(_INSIDE)
    ]


def preferred_wait(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240), the first one counts; 0 without."""
    for name, value in headers:
        if name.lower() != b"prefer":
            continue
        for preference in value.decode("latin-1").split(","):
            token, _, amount = preference.partition(";")[0].partition("=")
            seconds = amount.strip().strip('"')
            if token.strip().lower() == "wait" and seconds.isascii() and seconds.isdecimal():
                return min(int(seconds[:6]), MAX_WAIT)
    return 0
