"""Waiting as long as a service that was asked too often says: it makes a sweep slower, and never fails it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from shared.errors import ThrottledError

log = logging.getLogger(__name__)

T = TypeVar("T")

Pause = Callable[[float], None]
"""Waits for so many seconds."""

LONGEST = 600.0
"""Seconds that one sweep waits in all; its function may run for 30 minutes (functionTimeout in host.json)."""


class Patiently(Protocol):
    """Asks, and asks again."""

    def __call__(self, ask: Callable[[], T], /) -> T: ...


def at_once(ask: Callable[[], T], /) -> T:
    """For whoever must not wait."""
    return ask()


class Patience:
    """Of one sweep: raises ThrottledError only when its time is used up, so that nothing else is thrown away."""

    def __init__(self, pause: Pause, seconds: float = LONGEST) -> None:
        self._pause = pause
        self._left = seconds
        self.waited = 0.0

    def __call__(self, ask: Callable[[], T], /) -> T:
        while True:
            try:
                return ask()
            except ThrottledError as error:
                if error.retry_after > self._left:
                    raise
                log.info("idle sweep: waiting %.0f s: %s", error.retry_after, error)
                self._left -= error.retry_after
                self.waited += error.retry_after
                self._pause(error.retry_after)
