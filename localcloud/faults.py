"""Faults that tests inject between client and cloud, and the log of what was requested."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

CONTROL_PREFIX = "/_localcloud"
LOG_LENGTH = 10_000


@dataclass
class Fault:
    """Happens to the next `times` requests whose method and path (a regular expression, searched) match.

    First `delay` seconds pass. Then `drop` closes the connection without an answer, or `status` is answered,
    or (neither given) the request goes on as usual. `after_commit` does the work first: only the answer is lost.
    """

    path: str
    method: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    times: int = 1
    delay: float = 0.0
    drop: bool = False
    after_commit: bool = False

    def __post_init__(self) -> None:
        self._path = re.compile(self.path)

    def takes(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in (None, method) and self._path.search(path) is not None

    def answer(self) -> bytes:
        if isinstance(self.body, str):
            return self.body.encode()
        content = self.body
        if content is None:
            content = {"error": {"code": "InjectedFault", "message": f"Injected fault {self.status}."}}
        return json.dumps(content).encode()


@dataclass(frozen=True)
class Requested:
    """One line of the request log: never bodies, never headers. `status` 0: the connection was dropped."""

    number: int
    time: float
    method: str
    path: str
    query: str
    status: int
    ms: float


class Faults:
    """ASGI middleware around the whole cloud; the control API itself is left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._faults: list[Fault] = []
        self._log: deque[Requested] = deque(maxlen=LOG_LENGTH)
        self._number = 0

    def add(self, faults: list[dict[str, Any]]) -> None:
        """Raises TypeError or re.error for what is no fault."""
        self._faults += [Fault(**fault) for fault in faults]

    def clear(self) -> None:
        self._faults.clear()

    def pending(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults if fault.times > 0]

    def requests(self, since: int) -> list[Requested]:
        """Those with a number greater than `since`."""
        return [requested for requested in self._log if requested.number > since]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def recording(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, recording, send)
        finally:
            self._number += 1
            self._log.append(
                Requested(
                    number=self._number,
                    time=time.time(),
                    method=scope["method"],
                    path=scope["path"],
                    query=scope["query_string"].decode(),
                    status=status,
                    ms=round((time.perf_counter() - begun) * 1000, 2),
                )
            )

    async def _answer(self, scope: Scope, receive: Receive, recording: Send, send: Send) -> None:
        fault = next((f for f in self._faults if f.takes(scope["method"], scope["path"])), None)
        if fault is None:
            await self._app(scope, receive, recording)
            return
        fault.times -= 1
        log.info("fault: %s %s", scope["method"], scope["path"])
        await asyncio.sleep(fault.delay)
        if not fault.drop and fault.status is None:
            await self._app(scope, receive, recording)
            return
        if fault.after_commit:
            await self._app(scope, receive, _nowhere)
        if fault.drop:
            await _drop(receive, send)
            return
        body = fault.answer()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **fault.headers}
        await recording(
            {
                "type": "http.response.start",
                "status": fault.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            }
        )
        await recording({"type": "http.response.body", "body": body})


async def _nowhere(_: Message) -> None:
    """An answer that is lost."""


async def _drop(receive: Receive, send: Send) -> None:
    """Cut the connection. ASGI has no word for it, but `send` is a method of uvicorn's cycle, which can."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("connections can only be dropped under uvicorn")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
