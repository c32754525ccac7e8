"""Traffic of the real service, as azure-ai-ml's own tests recorded it (azure-sdk-assets)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.contract.openapi.exchanges import Exchange

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def load(folder: Path, name: str) -> list[Exchange]:
    """In order; polls that were answered alike are one."""
    entries = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["Entries"]
    exchanges: list[Exchange] = []
    for entry in entries:
        exchange = _exchange(entry)
        if not exchanges or not _is_poll_again(exchanges[-1], exchange):
            exchanges.append(exchange)
    return exchanges


def _exchange(entry: Mapping[str, Any]) -> Exchange:
    return Exchange(
        method=entry["RequestMethod"],
        url=entry["RequestUri"],
        request_headers=_headers(entry["RequestHeaders"]),
        request_body=entry["RequestBody"],
        status=entry["StatusCode"],
        response_headers=_headers(entry["ResponseHeaders"]),
        response_body=_body(entry["ResponseBody"]),
    )


def _body(recorded: Any) -> Any:
    """The recorder wrote a body that is the JSON value null as that text, and no body as null."""
    return NULL if recorded == "null" else recorded


NULL = "null"
"""The four characters, with which the service answers 202."""


def _headers(recorded: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): value if isinstance(value, str) else ", ".join(value) for name, value in recorded.items()}


def _is_poll_again(previous: Exchange, exchange: Exchange) -> bool:
    """The same request, with the same state in the answer."""
    return (
        exchange.method == "GET"
        and (previous.method, previous.url, previous.status) == (exchange.method, exchange.url, exchange.status)
        and previous.response_body == exchange.response_body
    )
