"""How many requests a principal may send in a while."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.azureml import errors

if TYPE_CHECKING:
    from localcloud.azureml.clock import Clock
    from localcloud.config import Limits


@dataclass
class _Window:
    allowed: int
    ends: float
    left: int


class Throttle:
    """Fixed windows on the emulator's clock, one per principal; none when nothing limits the requests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def count(self, principal: str, method: str, limits: Limits) -> None:
        """Raises CloudError 429 for a request too many."""
        if limits.requests is None:
            self._windows.clear()
            return
        now = self._clock.now()
        window = self._windows.get(principal)
        if window is None or window.allowed != limits.requests or now >= window.ends:
            window = _Window(limits.requests, now + limits.request_seconds, limits.requests)
            self._windows[principal] = window
        if window.left <= 0:
            seconds = math.ceil(window.ends - now)
            if limits.retry_after:
                raise errors.throttled_by_resource_manager(principal, method, seconds)
            raise errors.throttled(seconds)
        window.left -= 1
