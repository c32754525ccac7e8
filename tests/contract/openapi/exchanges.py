"""One request with its answer, as the local cloud wrote it down or as a recording of the real service has it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

UNKNOWN = object()
"""A body that was left out, or that nobody read."""

_NAMED_VALUE = re.compile(r"^[A-Za-z]{1,32}$")
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_BY_HAND = "python-httpx"
"""The client with which tests send requests of their own making. All other clients are SDKs, or the app."""


@dataclass(frozen=True)
class Exchange:
    """Header names are in lower case. A body is parsed JSON, text that is none, None when empty, or UNKNOWN."""

    method: str
    url: str
    request_headers: Mapping[str, str]
    request_body: Any
    status: int
    response_headers: Mapping[str, str]
    response_body: Any

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url).query, keep_blank_values=True)

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", [""])[0]

    @property
    def is_wrong_on_purpose(self) -> bool:
        """A test wrote it by hand, to see it refused."""
        return self.status >= 400 and self.request_headers.get("user-agent", "").startswith(_BY_HAND)

    def fingerprint(self) -> str:
        """Equal for exchanges between which a specification can not tell."""
        shape = (
            self.method,
            re.sub(r"[^/]+", lambda segment: _kind(segment.group()), self.path),
            sorted((name, [_kind(value) for value in values]) for name, values in self.query.items()),
            self.is_wrong_on_purpose,
            _shape(self.request_body),
            self.status,
            sorted((name, _kind(value)) for name, value in self.response_headers.items()),
            _shape(self.response_body),
        )
        return hashlib.sha256(repr(shape).encode()).hexdigest()


def recorded_exchanges(folder: Path) -> Iterator[Exchange]:
    """Of all processes that wrote into `folder`. A line that a killed process did not finish is left out."""
    for file in sorted(folder.glob("*.jsonl")):
        with file.open("rb") as lines:
            for line in lines:
                if line.endswith(b"}\n"):
                    yield _from_line(json.loads(line))


def _from_line(line: Mapping[str, Any]) -> Exchange:
    headers: dict[str, str] = line["request_headers"]
    unread = not line["request_read"] and headers.get("content-length", "0") != "0"
    return Exchange(
        method=line["method"],
        url=line["url"],
        request_headers=headers,
        request_body=UNKNOWN if unread else _parsed(line["request_body"], line["request_size"]),
        status=line["status"],
        response_headers=line["response_headers"],
        response_body=_parsed(line["response_body"], line["response_size"]),
    )


def _parsed(text: str | None, size: int) -> Any:
    if size == 0:
        return None
    if text is None:
        return UNKNOWN
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shape(value: Any) -> Any:
    """Keys and kinds of values. Words are kept: they may be of an enumeration."""
    if isinstance(value, dict):
        return sorted((name, _shape(item)) for name, item in value.items())
    if isinstance(value, list):
        return [_shape(item) for item in value]
    if isinstance(value, str):
        return _kind(value)
    return "unknown" if value is UNKNOWN else type(value).__name__


def _kind(text: str) -> str:
    """A word itself; else its characters with runs of letters and of digits collapsed."""
    if _NAMED_VALUE.match(text):
        return text
    anonymous = _UUID.sub("uuid", text)
    return re.sub(r"\w+", lambda run: "0" if any(map(str.isdigit, run.group())) else "x", anonymous)[:200]
