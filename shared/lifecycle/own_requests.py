"""Requests that we sent to an endpoint ourselves: they are not use. Counted by minute, as Monitor counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT_MINUTES = 120
"""What is forgotten passes for use, which keeps an endpoint longer: never shorter."""


@dataclass(frozen=True)
class MinuteOfRequests:
    """A minute is given by its start, in UTC."""

    minute: datetime
    count: int


def with_requests(
    known: Iterable[MinuteOfRequests], moments: Iterable[datetime], keep: int = KEPT_MINUTES
) -> tuple[MinuteOfRequests, ...]:
    """With those at `moments` added; the newest minutes only."""
    counts = Counter({item.minute: item.count for item in known})
    counts.update(moment.astimezone(UTC).replace(second=0, microsecond=0) for moment in moments)
    return tuple(MinuteOfRequests(minute, counts[minute]) for minute in sorted(counts)[-keep:])


def moments(known: Iterable[MinuteOfRequests]) -> tuple[datetime, ...]:
    """One for each request."""
    return tuple(item.minute for item in known for _ in range(item.count))
