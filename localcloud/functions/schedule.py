"""NCRONTAB: the schedule expressions of timer triggers.

Six fields {second} {minute} {hour} {day} {month} {day-of-week}, or five without seconds. A day must match
both day fields (cron's own rule is either). Days of the week are 0–6 from Sunday; names may be abbreviated
to three letters; a reversed range is read the other way round.
Reference: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from croniter import CroniterBadDateError, croniter

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_TIME_SPAN = re.compile(r"(\d+\.)?\d{1,2}:\d{1,2}(:\d{1,2})?")
_MONITOR_LIMIT = timedelta(minutes=1)


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True)
class Schedule:
    """`expression` is normalised: six fields of numbers."""

    expression: str

    @staticmethod
    def parse(expression: str) -> Schedule:
        """Raises ValueError."""
        if _TIME_SPAN.fullmatch(expression.strip()):
            raise ValueError(f"the time span '{expression}' works on a dedicated plan only; use NCRONTAB")
        parts = expression.split()
        if len(parts) not in (5, 6):
            raise ValueError(f"the schedule expression '{expression}' was not recognised: 5 or 6 fields")
        if len(parts) == 5:
            parts = ["0", *parts]
        try:
            return Schedule(" ".join(_normalise(field, part) for field, part in zip(_FIELDS, parts, strict=True)))
        except ValueError as error:
            raise ValueError(f"the schedule expression '{expression}' was not recognised: {error}") from error

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence after `moment`. Raises ValueError when there is none (30 February)."""
        following = croniter(self.expression, moment, second_at_beginning=True, day_or=False, ret_type=datetime)
        try:
            occurrence: datetime = following.get_next()
        except CroniterBadDateError as error:
            raise ValueError(f"the schedule '{self.expression}' never occurs") from error
        return occurrence

    def is_monitored(self, now: datetime) -> bool:
        """The host keeps no status of schedules that fire more than once a minute."""
        first = self.next_after(now)
        return self.next_after(first) - first >= _MONITOR_LIMIT


def _normalise(field: _Field, text: str) -> str:
    return ",".join(_normalise_item(field, item) for item in text.split(","))


def _normalise_item(field: _Field, item: str) -> str:
    base, slash, step = item.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        raise ValueError(f"'{item}' in the field {field.name}")
    suffix = slash + step
    if base == "*":
        return base + suffix
    low, dash, high = base.partition("-")
    first = _number(field, low)
    if not dash:
        return f"{first}-{field.high}{suffix}" if slash else str(first)
    last = _number(field, high)
    return f"{min(first, last)}-{max(first, last)}{suffix}"


def _number(field: _Field, word: str) -> int:
    if word.isascii() and word.isdigit():
        number = int(word)
        if field.low <= number <= field.high:
            return number
    elif len(word) >= 3:
        for index, name in enumerate(field.words):
            if name.startswith(word.lower()):
                return index + field.low
    raise ValueError(f"'{word}' in the field {field.name}")
