"""The plain world: a clock that is set, no faults, everything succeeds in its usual time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.simulation.twins.world import Event, Fate, Happening, Trouble, lose_answer

T = TypeVar("T")

START = datetime(2026, 11, 22, 12, tzinfo=UTC)

USUAL_SECONDS = {
    Happening.JOB: 3600.0,
    Happening.CANCEL: 60.0,
    Happening.COPY: 0.0,
    Happening.CREATE_ENDPOINT: 90.0,
    Happening.UPDATE_ENDPOINT: 30.0,
    Happening.DELETE_ENDPOINT: 120.0,
    Happening.CREATE_DEPLOYMENT: 900.0,
    Happening.UPDATE_DEPLOYMENT: 900.0,
    Happening.DELETE_DEPLOYMENT: 180.0,
    Happening.FORGET_NAME: 600.0,
    Happening.SCORE: 0.5,
}


@dataclass
class Calm:
    """A World. Set `fates` to have a next thing of a kind go otherwise (the first of a kind is taken first)."""

    time: datetime = START
    monitor: Trouble = field(default_factory=Trouble)
    fates: dict[Happening, list[Fate]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    effects: list[tuple[str, str, bool]] = field(default_factory=list)
    """Operation, object and `writes` of every call so far."""
    loses_answer: bool = False
    """Whether the answer of the next write is lost."""
    _due: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> datetime:
        return self.time

    def effect(self, operation: str, commit: Callable[[], T], *, writes: bool, of: str = "") -> T:
        self.effects.append((operation, of, writes))
        if writes and self.loses_answer:
            self.loses_answer = False
            return lose_answer(operation, commit)
        return commit()

    def draw(self, what: Happening, of: str) -> Fate:
        waiting = self.fates.get(what)
        return waiting.pop(0) if waiting else Fate(seconds=USUAL_SECONDS[what])

    def trouble(self) -> Trouble:
        return self.monitor

    def at(self, when: datetime, what: str, happen: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._numbers), happen))

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def will(self, what: Happening, fate: Fate) -> None:
        self.fates.setdefault(what, []).append(fate)

    def advance(self, seconds: float) -> None:
        """Let time go by, and everything happen that is due, each at its own time."""
        end = self.time + timedelta(seconds=seconds)
        while self._due and self._due[0][0] <= end:
            when, _, happen = heapq.heappop(self._due)
            self.time = max(self.time, when)
            happen()
        self.time = end
