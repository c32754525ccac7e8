"""What Monitor knows of an endpoint's requests, minute by minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Series:
    """Requests in every minute of [start, end), without a gap; keys are the minutes' starts in UTC."""

    minutes: Mapping[datetime, float]

    @property
    def start(self) -> datetime:
        """Raises ValueError for an empty series."""
        return min(self.minutes)

    @property
    def end(self) -> datetime:
        """Raises ValueError for an empty series."""
        return max(self.minutes) + MINUTE

    def last_use(self, own_requests: Iterable[datetime]) -> datetime | None:
        """End of the last minute with a request that is not one of `own_requests`; None without any.

        An own request is taken off its own minute only. Where Monitor counts it in the next one, it passes
        for use: that keeps an endpoint a little longer, the opposite would hide somebody's request.
        """
        own = Counter(floor_minute(moment) for moment in own_requests)
        used = [minute for minute, value in self.minutes.items() if value > own[minute]]
        return max(used) + MINUTE if used else None


@dataclass(frozen=True)
class Unavailable:
    """Why there is no complete series."""

    reason: str


def floor_minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def ceil_minute(moment: datetime) -> datetime:
    floor = floor_minute(moment)
    return floor if floor == moment else floor + MINUTE
