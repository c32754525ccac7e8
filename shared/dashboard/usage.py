"""Requests of the last hour, for a page of endpoints: one batch call a minute, however many look at the page."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.idle.series import floor_minute

if TYPE_CHECKING:
    from shared.azureml.resources import OnlineEndpoint
    from shared.clock import Clock
    from shared.idle.metrics import RequestMetrics
    from shared.idle.series import Series, Unavailable

SHOWN = timedelta(hours=1)
_REMEMBERED = 64
"""Answers, each of one page of endpoints."""


class Usage:
    """`delay`: Monitor's last minutes are not asked for, since it may still report them as missing or as 0."""

    def __init__(self, metrics: RequestMetrics, clock: Clock, delay: timedelta) -> None:
        self._metrics = metrics
        self._clock = clock
        self._delay = delay
        self._lock = threading.Lock()
        self._answers: dict[tuple[datetime, frozenset[str]], Mapping[str, Series | Unavailable]] = {}

    def of(self, endpoints: Iterable[OnlineEndpoint]) -> Mapping[str, Series | Unavailable]:
        """By resource id. Of one that is younger, since it was made: Monitor has nothing of the time before."""
        end = floor_minute(self._clock() - self._delay)
        starts = {item.id: max(end - SHOWN, item.created_at or end - SHOWN) for item in endpoints}
        key = (end, frozenset(starts))
        with self._lock:
            if key not in self._answers:
                answer = self._metrics.since(starts, end)
                if len(self._answers) >= _REMEMBERED:
                    self._answers.clear()
                self._answers[key] = answer
            return self._answers[key]
