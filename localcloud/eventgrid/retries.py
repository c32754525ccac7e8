"""What follows a failed delivery: another try, or the end.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

ACKNOWLEDGE_WITHIN = 30.0
MAX_ATTEMPTS = 30
TIME_TO_LIVE = 24 * 3600.0

_DELIVERED = frozenset({200, 201, 202, 203, 204})
_NEVER_RETRIED = frozenset({400, 401, 403, 413})
_DELAYS = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 12 * 3600.0)
_AT_LEAST = {408: 120.0, 503: 30.0}


@dataclass(frozen=True)
class Outcome:
    """`status` is None when no HTTP answer came; `name` is Event Grid's word for it."""

    status: int | None
    name: str

    @property
    def delivered(self) -> bool:
        return self.status in _DELIVERED


TIMED_OUT = Outcome(None, "TimedOut")
SOCKET_ERROR = Outcome(None, "SocketError")


@dataclass(frozen=True)
class Retry:
    delay: float


@dataclass(frozen=True)
class GiveUp:
    """`reason` is the deadLetterReason."""

    reason: str


def outcome_of(status: int) -> Outcome:
    try:
        return Outcome(status, HTTPStatus(status).phrase.replace(" ", "").replace("-", ""))
    except ValueError:
        return Outcome(status, "GenericError")


def after_failure(outcome: Outcome, attempts: int, age: float, scale: float) -> Retry | GiveUp:
    """`attempts` counts the failed one; `age` is seconds since the event was accepted.

    `scale` is a factor on the schedule and on the time to live. An event whose next try would come after its
    time to live ends at once.
    """
    if outcome.status in _NEVER_RETRIED:
        return GiveUp(f"UndeliverableDueToHttp{outcome.name}")
    if attempts >= MAX_ATTEMPTS:
        return GiveUp("MaxDeliveryAttemptsExceeded")
    delay = _DELAYS[min(attempts, len(_DELAYS)) - 1]
    if outcome.status is not None:
        delay = max(delay, _AT_LEAST.get(outcome.status, 0.0))
    if age + delay * scale > TIME_TO_LIVE * scale:
        return GiveUp("TimeToLiveExceeded")
    return Retry(delay * scale)
