"""Hours of the week in a time zone, such as `Mon-Fri 08:00-18:00 Europe/Berlin`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MAX_CHARACTERS = 200
FORM = "hours of the week like Mon-Fri 08:00-18:00 Europe/Berlin"
_DAY = timedelta(days=1)
_TIMES = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


@dataclass(frozen=True, order=True)
class Range:
    """Minutes of the local clock on one weekday (0 is Monday); an `end` beyond 24 × 60 lies on the next day."""

    day: int
    start: int
    end: int


@dataclass(frozen=True)
class WeeklyHours:
    """Time ranges by the clock on the wall of a zone. `text` is what they were written as.

    What the clock skips or shows twice, when summer time begins or ends, counts so that the range is longer.
    """

    text: str
    ranges: tuple[Range, ...]
    zone: ZoneInfo

    @staticmethod
    def parse(text: str) -> WeeklyHours:
        """Days, times, more of both, and an IANA zone: `Mon-Fri 08:00-12:00, 13:00-18:00; Sat 09:00-12:00 UTC`.

        Hyphens and dashes are the same, commas and semicolons too. Times that end before they begin end on the next
        day; 24:00 is midnight. Raises ValueError, which says what can not be read.
        """
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"hours of the week have at most {MAX_CHARACTERS} characters")
        plain = re.sub(r"[\u2010-\u2015\u2212]", "-", text)
        *words, zone = re.split(r"[\s,;]+", re.sub(r"\s*-\s*", "-", plain).strip(" \t,;")) or [""]
        found = _zone(zone)
        ranges = tuple(sorted(set(_ranges(words))))
        if not ranges:
            raise ValueError(f"no days and times before the time zone: {FORM}")
        return WeeklyHours(text.strip(), ranges, found)

    def contains(self, moment: datetime) -> bool:
        """`moment` is timezone-aware; a range ends just before its end."""
        today = moment.astimezone(self.zone).date()
        since = datetime.combine(today - 2 * _DAY, time())
        return any(start <= moment < end for start, end in self._between(since, days=4))

    def next_start(self, moment: datetime) -> datetime | None:
        """The first moment after `moment`, in UTC, at which the hours begin; None for hours that never end."""
        since = datetime.combine(moment.astimezone(self.zone).date() - _DAY, time())
        starts = sorted(start for start, _ in self._between(since, days=10) if start > moment)
        return next((start for start in starts if not self.contains(start - timedelta.resolution)), None)

    def end(self, moment: datetime) -> datetime | None:
        """When the hours that `moment` is in are over, in UTC: `moment` itself outside of them, None if never."""
        if not self.contains(moment):
            return moment
        since = datetime.combine(moment.astimezone(self.zone).date() - 2 * _DAY, time())
        ends = sorted(end for _, end in self._between(since, days=11) if end > moment)
        return next((end for end in ends if not self.contains(end)), None)

    def _between(self, since: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
        """Start and end, in UTC, of the ranges that begin on so many local days from `since` (midnight, naive)."""
        for number in range(days):
            midnight = since + number * _DAY
            for item in self.ranges:
                if item.day == midnight.weekday():
                    start, end = (midnight + timedelta(minutes=minutes) for minutes in (item.start, item.end))
                    yield min(self._readings(start)), max(self._readings(end))

    def _readings(self, wall: datetime) -> tuple[datetime, datetime]:
        """The moments that a naive local time may mean: two, when the clock changes just then."""
        first, second = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return first, second


def _ranges(words: list[str]) -> Iterator[Range]:
    """Days that follow times begin anew; all times count for all days right before them."""
    days: list[int] = []
    timed = True
    for word in words:
        if match := _TIMES.fullmatch(word):
            start, end = _minutes(match[1], match[2], word), _minutes(match[3], match[4], word)
            if not days:
                raise ValueError(f"{word!r} has no days before it: {FORM}")
            if start == end or start == 24 * 60:
                raise ValueError(f"{word!r} is no span of time; all day is 00:00-24:00")
            yield from (Range(day, start, end if end > start else end + 24 * 60) for day in days)
            timed = True
        else:
            days = [*([] if timed else days), *_days(word)]
            timed = False
    if not timed:
        raise ValueError(f"days without times: {FORM}")


def _days(word: str) -> Iterator[int]:
    first, _, last = word.partition("-")
    begin, end = _day(first), _day(last or first)
    yield from ((begin + number) % 7 for number in range((end - begin) % 7 + 1))


def _day(word: str) -> int:
    lowered = word.lower()
    for number, name in enumerate(_FULL_DAYS):
        if len(lowered) >= 3 and name.startswith(lowered):
            return number
    raise ValueError(f"{word[:40]!r} is neither a day (Mon … Sun) nor a time range (08:00-18:00)")


def _minutes(hour: str, minute: str, word: str) -> int:
    found = int(hour) * 60 + int(minute)
    if int(minute) > 59 or found > 24 * 60:
        raise ValueError(f"{word!r} is beyond 24:00")
    return found


def _zone(name: str) -> ZoneInfo:
    if _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):  # KeyError: ZoneInfoNotFoundError; OSError: the name of a folder
            pass
    raise ValueError(f"{name[:40]!r} is no IANA time zone like Europe/Berlin or UTC; it comes last")
