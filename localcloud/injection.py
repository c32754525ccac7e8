"""Performs the faults of calls, as ASGI middleware around the whole cloud, and writes the request log."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.routing import CONTROL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from localcloud.faults import CallRule, Faults
    from localcloud.request_log import RequestLog
    from localcloud.routing import Operation

log = logging.getLogger(__name__)

_PIECES = 20


@dataclass(frozen=True)
class Injection:
    """The control API itself is left alone. `crash` ends the process at once."""

    app: ASGIApp
    find: Callable[[Scope], Operation | None]
    faults: Faults
    requests: RequestLog
    crash: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL_PREFIX):
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 0

        async def recording(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method, path = scope["method"], scope["path"]
        found = self.find(scope)
        operation = "" if found is None else found.name
        hit = self.faults.of_call(operation, method, path)
        try:
            if hit is None:
                await self.app(scope, receive, recording)
            else:
                log.info("fault %d: %s %s", hit[0], method, path)
                await self._perform(hit[1], scope, receive, recording, send)
        finally:
            self.requests.add(
                time=time.time(),
                operation=operation,
                method=method,
                path=path,
                query=scope["query_string"].decode("latin-1"),
                status=status,
                ms=round((time.perf_counter() - begun) * 1000, 2),
                fault=None if hit is None else hit[0],
            )

    async def _perform(self, rule: CallRule, scope: Scope, receive: Receive, recording: Send, send: Send) -> None:
        """`send` is the server's own, `recording` the one that writes the log."""
        answer: list[Message] = []
        if rule.after_commit:
            await self.app(scope, receive, _into(answer))
        await asyncio.sleep(rule.delay)
        if rule.crash:
            self.crash()
        if rule.status is not None:
            await _answer(rule, recording)
        elif rule.drop and not rule.trickle:
            await _drop(receive, send)
        elif rule.trickle:
            if not rule.after_commit:
                await self.app(scope, receive, _into(answer))
            await _trickle(rule, answer, receive, recording, send)
        elif rule.after_commit:
            for message in answer:
                await recording(message)
        else:
            await self.app(scope, receive, recording)


def _into(messages: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        messages.append(message)

    return keep


async def _answer(rule: CallRule, send: Send) -> None:
    body = rule.answer()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **rule.headers}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": rule.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _trickle(rule: CallRule, answer: list[Message], receive: Receive, recording: Send, send: Send) -> None:
    body = b"".join(message.get("body", b"") for message in answer)
    size = max(1, -(-len(body) // _PIECES))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    sent = pieces[: len(pieces) // 2] if rule.drop else pieces
    await recording(answer[0])
    for piece in sent:
        await recording({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(rule.trickle / len(pieces))
    if rule.drop:
        await _drop(receive, send)
    else:
        await recording({"type": "http.response.body", "body": b""})


async def _drop(receive: Receive, send: Send) -> None:
    """Cut the connection. ASGI has no word for it, but `send` is a method of uvicorn's cycle, which can."""
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("connections can only be dropped under uvicorn")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
