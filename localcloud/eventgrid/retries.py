"""What follows a failed delivery: another try, or the end; and when an endpoint is left alone for a while.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

_DELIVERED = frozenset({200, 201, 202, 203, 204})
_NEVER_RETRIED = frozenset({400, 401, 403, 413})
_DELAYS = (10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 12 * 3600.0)
_AT_LEAST = {408: 120.0, 503: 30.0}
_RANDOMIZATION = 0.1
"""Azure adds "a small randomization" without saying how much: here up to a tenth."""

# The documentation's words for what went wrong, where it has one.
_NAMES = {404: "NotFound", 408: "TimedOut", 413: "PayloadTooLarge", 429: "Busy", 503: "Busy"}

_PROBATION_AFTER = 10
_PROBATION = {
    "Busy": 10.0,
    "NotFound": 300.0,
    "SocketError": 30.0,
    "ResolutionError": 300.0,
    "TimedOut": 10.0,
    "Unauthorized": 300.0,
    "Forbidden": 300.0,
}
_PROBATION_OF_OTHERS = 10.0


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
RESOLUTION_ERROR = Outcome(None, "ResolutionError")


@dataclass(frozen=True)
class Retry:
    delay: float


@dataclass(frozen=True)
class GiveUp:
    """`reason` is the deadLetterReason."""

    reason: str


EXPIRED = GiveUp("TimeToLiveExceeded")
"""Found out only when the next try would be due, as Event Grid does."""


def outcome_of(status: int) -> Outcome:
    if status in _DELIVERED:
        return Outcome(status, "Delivered")
    if status in _NAMES:
        return Outcome(status, _NAMES[status])
    try:
        return Outcome(status, HTTPStatus(status).phrase.replace(" ", "").replace("-", ""))
    except ValueError:
        return Outcome(status, "GenericError")


def after_failure(outcome: Outcome, attempts: int, max_attempts: int, randomness: float) -> Retry | GiveUp:
    """`attempts` counts the failed one; `randomness` is in [0, 1); the delay is in unscaled seconds."""
    if outcome.status in _NEVER_RETRIED:
        return GiveUp(f"UndeliverableDueToHttp{outcome.name}")
    if attempts >= max_attempts:
        return GiveUp("MaxDeliveryAttemptsExceeded")
    delay = _DELAYS[min(attempts, len(_DELAYS)) - 1]
    if outcome.status is not None:
        delay = max(delay, _AT_LEAST.get(outcome.status, 0.0))
    return Retry(delay * (1 + _RANDOMIZATION * randomness))


class Probation:
    """Delays all deliveries, the new ones too, to an endpoint to which ten in a row failed.

    Azure says "for example, if the first 10 events fail", and how long it lasts for each error.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._failures = 0
        self.until = 0.0

    def note(self, outcome: Outcome, now: float) -> bool:
        """Whether a probation begins with this outcome of an attempt."""
        if outcome.delivered:
            self._failures = 0
            self.until = 0.0
            return False
        self._failures += 1
        if self._failures < _PROBATION_AFTER or now < self.until:
            return False
        self.until = now + _PROBATION.get(outcome.name, _PROBATION_OF_OTHERS) * self._scale
        return True
