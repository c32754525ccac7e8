"""The newest requests that the cloud was asked, for whoever wonders what a client did."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

LENGTH = 10_000

_SECRET = re.compile(r"(?i)((?:^|&)(?:sig|code|key|token)=)[^&]*")


class Requested(NamedTuple):
    """One line: never bodies, never headers. `status` 0: the connection was dropped. `fault`: number of the
    rule that hit it. `time` is in seconds since the epoch, when the answer was given; `ms` how long that took.
    """

    number: int
    time: float
    operation: str
    method: str
    path: str
    query: str
    status: int
    ms: float
    fault: int | None


class RequestLog:
    def __init__(self) -> None:
        self._lines: deque[Requested] = deque(maxlen=LENGTH)
        self._number = 0

    def add(
        self,
        *,
        time: float,
        operation: str,
        method: str,
        path: str,
        query: str,
        status: int,
        ms: float,
        fault: int | None,
    ) -> None:
        """Signatures and keys in the query are not kept."""
        self._number += 1
        query = _SECRET.sub(r"\1...", query) if "&" in query or not query.startswith("api-version=") else query
        self._lines.append(Requested(self._number, time, operation, method, path, query, status, ms, fault))

    def since(self, number: int) -> list[Requested]:
        """Those with a greater number, oldest first."""
        return [line for line in self._lines if line.number > number]
