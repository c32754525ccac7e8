"""Calendar months in UTC, as Azure bills them: half-open intervals that leave no moment out and none twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, order=True)
class Month:
    year: int
    number: int

    @staticmethod
    def parse(text: str) -> Month:
        """`2026-11`. Raises ValueError."""
        match = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
        if match is None or not 2000 <= int(match[1]) <= 9998:
            raise ValueError("a month is written like 2026-11")
        return Month(int(match[1]), int(match[2]))

    @staticmethod
    def of(moment: datetime) -> Month:
        utc = moment.astimezone(UTC)
        return Month(utc.year, utc.month)

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment that is not of it."""
        return self.next.start

    @property
    def next(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


def months_between(start: datetime, end: datetime) -> Iterator[Month]:
    """Those that [start, end) touches."""
    month = Month.of(start)
    while month.start < end:
        yield month
        month = month.next
