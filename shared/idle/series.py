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
    """Requests in every minute of [start, end), none of which is missing.

    `used` has the minutes with requests only, by their start in UTC: of a thousand endpoints most minutes are quiet.
    """

    start: datetime
    end: datetime
    used: Mapping[datetime, float]

    @staticmethod
    def of(minutes: Mapping[datetime, float]) -> Series:
        """Of all minutes, without a gap and at least one."""
        used = {minute: value for minute, value in minutes.items() if value}
        return Series(min(minutes), max(minutes) + MINUTE, used)

    @property
    def minutes(self) -> dict[datetime, float]:
        """All of them, quiet ones too."""
        every = (self.start + number * MINUTE for number in range((self.end - self.start) // MINUTE))
        return {minute: self.used.get(minute, 0.0) for minute in every}

    def last_use(self, own_requests: Iterable[datetime]) -> datetime | None:
        """End of the last minute with a request that is not one of `own_requests`; None without any.

        An own request is taken off its own minute only. Where Monitor counts it in the next one, it passes
        for use: that keeps an endpoint a little longer, the opposite would hide somebody's request.
        """
        own = Counter(floor_minute(moment) for moment in own_requests)
        used = [minute for minute, value in self.used.items() if value > own[minute]]
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
