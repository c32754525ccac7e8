"""Virtual time, and invocations that hand over to each other at every side effect.

An invocation is a greenlet: the real code runs on it until it calls a twin, which pauses it; what is due next goes on.
Everything is on one thread, so a schedule depends on nothing but its seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from greenlet import getcurrent, greenlet


class Died(BaseException):
    """The process is gone, in the middle of whatever it did: nothing of ours may catch it."""


class Task:
    """Code that can be paused. `ended` is called in the world, with the error that the code raised, or None."""

    __slots__ = ("_greenlet", "dead")

    def __init__(self, code: Callable[[], None], ended: Callable[[BaseException | None], None]) -> None:
        def run() -> None:
            error: BaseException | None = None
            try:
                code()
            except Died:
                return
            except Exception as raised:  # noqa: BLE001 - whatever a function raises is the host's to judge
                error = raised
            if not self.dead:
                ended(error)

        self.dead = False
        self._greenlet = greenlet(run)

    def go_on(self) -> None:
        if not self.dead:
            self._greenlet.switch()

    def pause(self) -> None:
        """Called by the code itself: the world goes on until somebody calls `go_on`."""
        parent = self._greenlet.parent
        assert parent is not None, "the world is every task's parent"
        parent.switch()

    def die(self) -> None:
        """Like SIGKILL: no `except` and no `finally` of the code gets anything done any more."""
        if self.dead:
            return
        self.dead = True
        if self._greenlet is getcurrent():
            raise Died
        if self._greenlet:
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(Died)


class Scheduler:
    def __init__(self, start: datetime) -> None:
        self.start = start
        self.time = start
        self._seconds = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._end = 0.0

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        self._push(self._seconds + max(0.0, seconds), happen)

    def at(self, when: datetime, happen: Callable[[], None]) -> None:
        self._push(max((when - self.start).total_seconds(), self._seconds), happen)

    def pass_by(self, seconds: float) -> bool:
        """Whether so much time could pass at once, because nothing is due before: whoever asked need not pause."""
        then = self._seconds + seconds
        if then > self._end or (self._due and self._due[0][0] <= then):
            return False
        self._go_to(then)
        return True

    def run(self, until: datetime, enough: Callable[[], bool]) -> None:
        """Let time go by; `enough` is asked after everything that happened."""
        end = self._end = (until - self.start).total_seconds()
        due = self._due
        while due and due[0][0] <= end:
            seconds, _, happen = heapq.heappop(due)
            self._go_to(seconds)
            happen()
            if enough():
                return
        self._go_to(end)

    def _go_to(self, seconds: float) -> None:
        if seconds > self._seconds:
            self._seconds = seconds
            self.time = self.start + timedelta(seconds=seconds)

    def _push(self, seconds: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (seconds, self._count, happen))
