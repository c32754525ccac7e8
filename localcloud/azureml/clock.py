"""The emulator's clock, and how operations progress: by time, at once, or when a test says so."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.store import Store

log = logging.getLogger(__name__)

_POLL = 0.05


class Mode(StrEnum):
    SCALED = "scaled"
    """Operations take the configured durations of wall time."""
    IMMEDIATE = "immediate"
    """Operations are done at the first look."""
    MANUAL = "manual"
    """The clock stands still until it is advanced."""


class Clock:
    """Seconds since the epoch. Never goes backwards; its mode and offset survive a restart."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._wall = wall
        saved = store.get("clock", "clock") or {}
        self._mode = Mode(saved.get("mode", Mode.SCALED))
        self._offset: float = saved.get("offset", 0.0)
        self._frozen: float = saved.get("frozen", 0.0)

    @property
    def mode(self) -> Mode:
        return self._mode

    def now(self) -> float:
        return self._frozen if self._mode is Mode.MANUAL else self._wall() + self._offset

    def scaled(self, seconds: float) -> float:
        """How long something that is configured to take `seconds` takes in this mode."""
        return 0.0 if self._mode is Mode.IMMEDIATE else seconds

    def set_mode(self, mode: Mode) -> None:
        now = self.now()
        self._offset = max(self._offset, now - self._wall())
        self._frozen = now
        self._mode = mode
        self._save()
        log.info("progress is %s", mode)

    def advance(self, seconds: float) -> None:
        """Raises ValueError unless the mode is manual and `seconds` is not negative."""
        if self._mode is not Mode.MANUAL:
            raise ValueError(f"The clock can only be advanced in manual mode, not in {self._mode}.")
        if seconds < 0:
            raise ValueError("The clock does not go backwards.")
        self._frozen += seconds
        self._save()

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock; ends early when the mode becomes immediate."""
        until = self.now() + seconds
        while self._mode is not Mode.IMMEDIATE and (left := until - self.now()) > 0:
            await asyncio.sleep(min(left, _POLL))

    def _save(self) -> None:
        self._store.put("clock", "clock", {"mode": self._mode, "offset": self._offset, "frozen": self._frozen})


@lru_cache(maxsize=8192)
def iso(seconds: float | None) -> str | None:
    """Seconds since the epoch as the service writes them. The same ones are told with every look."""
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
