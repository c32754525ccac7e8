"""Sees every write request that a process sends, in order, and ends the process where the plan says so.

All of Azure's SDKs for Python, synchronous ones, send through `http.client.HTTPConnection`: requests and urllib3
are subclasses of it or use it. So this one class is where the app, which knows nothing of it, is watched.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.crashes.effects import Effect, WriteRequest
from tests.e2e.crashes.plan import Entry, Journal, Moment, Plan

_SEEN_BYTES = 128 * 1024


@dataclass
class _Exchange:
    """One request of one connection. `effect` and `moment` are known when its first byte is about to be sent."""

    method: str
    target: str
    headers: set[str]
    body: bytes = b""
    has_body: bool = False
    headers_sent: bool = False
    announced: bool = False
    effect: Effect | None = None
    moment: Moment | None = None


class Tap:
    """`effect_of` says what a request is; `die` ends the process and does not return."""

    def __init__(
        self, folder: Path, effect_of: Callable[[WriteRequest], Effect | None], die: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._effect_of = effect_of
        self._die = die
        self._lock = threading.Lock()
        self._journal: Journal | None = None

    def before(self, request: WriteRequest) -> tuple[Effect, Moment] | None:
        """A request is about to be sent."""
        effect = self._effect_of(request)
        if effect is None:
            return None
        with self._lock:
            plan, journal = self._current()
            if plan is None or journal is None:
                return None
            moment = journal.begun(effect.name)
            journal.add(Entry(moment))
            self._perhaps_die(plan, journal, moment)
        return effect, moment

    def after(self, effect: Effect, begun: Moment, status: int) -> None:
        """Its answer has come; the app does not know yet."""
        with self._lock:
            plan, journal = self._current()
            if plan is None or journal is None:
                return
            moment = Moment(begun.state, begun.name, begun.occurrence, "after")
            journal.add(Entry(moment, status), effect.state)
            self._perhaps_die(plan, journal, moment)

    def _perhaps_die(self, plan: Plan, journal: Journal, moment: Moment) -> None:
        if journal.deadly(plan, moment):
            journal.add(Entry(moment, killed=True))
            self._die()  # with the lock held: nothing else is sent from here on

    def _current(self) -> tuple[Plan | None, Journal | None]:
        plan = Plan.load(self._folder)
        if plan is not None and (self._journal is None or self._journal.file.stem != plan.run):
            self._journal = Journal.open(self._folder, plan.run)
        return plan, self._journal


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # the signal may take a moment to arrive


def install(tap: Tap) -> None:
    """For the life of this process."""
    connection: Any = http.client.HTTPConnection
    putrequest, putheader = connection.putrequest, connection.putheader
    endheaders, send, getresponse = connection.endheaders, connection.send, connection.getresponse

    def begin(self: Any, method: str, url: str, *arguments: Any, **options: Any) -> None:
        self.tapped = _Exchange(method, url, set())
        putrequest(self, method, url, *arguments, **options)

    def header(self: Any, name: str | bytes, *values: Any) -> None:
        known = (name.decode() if isinstance(name, bytes) else name).lower()
        exchange: _Exchange = self.tapped
        exchange.headers.add(known)
        if known == "transfer-encoding" or (known == "content-length" and str(values[0]) not in ("0", "b'0'")):
            exchange.has_body = True
        putheader(self, name, *values)

    def end_headers(self: Any, message_body: Any = None, **options: Any) -> None:
        exchange: _Exchange = self.tapped
        if isinstance(message_body, bytes):
            exchange.body = message_body[:_SEEN_BYTES]
        if message_body is not None or not exchange.has_body:
            announce(self, exchange)
        endheaders(self, message_body, **options)
        exchange.headers_sent = True

    def send_data(self: Any, data: Any) -> None:
        exchange: _Exchange | None = getattr(self, "tapped", None)
        if exchange is not None and exchange.headers_sent and not exchange.announced:
            exchange.body = bytes(data[:_SEEN_BYTES]) if isinstance(data, bytes | bytearray) else b""
            announce(self, exchange)
        send(self, data)

    def announce(self: Any, exchange: _Exchange) -> None:
        exchange.announced = True
        request = WriteRequest(exchange.method, self.port, exchange.target, frozenset(exchange.headers), exchange.body)
        found = tap.before(request)
        if found is not None:
            exchange.effect, exchange.moment = found

    def response(self: Any, *arguments: Any, **options: Any) -> Any:
        answer = getresponse(self, *arguments, **options)
        exchange: _Exchange | None = getattr(self, "tapped", None)
        if exchange is not None and exchange.effect is not None and exchange.moment is not None:
            effect, moment = exchange.effect, exchange.moment
            exchange.effect = None
            tap.after(effect, moment, answer.status)
        return answer

    connection.putrequest = begin
    connection.putheader = header
    connection.endheaders = end_headers
    connection.send = send_data
    connection.getresponse = response
