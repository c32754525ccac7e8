"""The rule of a canary, pure: a deployment that passed its smoke test gets a share of the traffic before all of it.

It goes on to all of the traffic only on evidence: enough requests, over the whole time, few errors, in time. Fewer
errors than allowed are not asked of it where the live deployment has as many: callers fail both alike. What Monitor
does not tell proves nothing either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from shared.idle.series import Unavailable

if TYPE_CHECKING:
    from shared.config import Settings

MAX_PERCENT = 50
"""More would be no canary: the live deployment keeps at least as much."""
_PROVING_ERRORS = 2
"""One error may be a caller's; so many are looked at before enough requests came."""


@dataclass(frozen=True)
class CanaryPolicy:
    """`deadline` counts from the beginning of the state, `span` from when the share was there."""

    percent: int
    span: timedelta
    max_error_rate: float
    max_latency_p95_seconds: float
    min_requests: int
    deadline: timedelta
    promotes_undecided: bool


@dataclass(frozen=True)
class Side:
    """What one deployment was seen to do. The latency is the mean of the minutes' 95th percentiles, by requests."""

    requests: float = 0.0
    errors: float = 0.0
    latency_p95_seconds: float | None = None

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class CanaryFigures:
    """Since the share was there until `until`: Monitor's newest complete minute."""

    until: datetime
    new: Side
    live: Side

    @property
    def summary(self) -> str:
        new, live = self.new, self.live
        return (
            f"{new.errors:g} errors in {new.requests:g} requests (live: {live.errors:g} in {live.requests:g}), "
            f"p95 {_seconds(new.latency_p95_seconds)} (live: {_seconds(live.latency_p95_seconds)})"
        )


@dataclass(frozen=True)
class CanaryVerdict:
    kind: Literal["watch", "promote", "roll_back"]
    why: str
    code: str = ""
    """Of a roll-back: CanaryFailed, or CanaryUndecided."""


@dataclass(frozen=True)
class CanaryView:
    """What is seen of a canary. `verdict` is None until its share of the traffic is there."""

    policy: CanaryPolicy
    verdict: CanaryVerdict | None = None
    figures: CanaryFigures | None = None


def policy_of(settings: Settings, given: Mapping[str, Any]) -> CanaryPolicy:
    """`given` is what tuning.json says, which wins over the settings."""

    def of(name: str, default: float) -> float:
        value = given.get(name)
        return default if value is None else float(value)

    return CanaryPolicy(
        percent=min(MAX_PERCENT, int(of("percent", settings.canary_percent))),
        span=timedelta(minutes=of("minutes", settings.canary_minutes)),
        max_error_rate=of("max_error_rate", settings.canary_max_error_rate),
        max_latency_p95_seconds=of("max_latency_p95_seconds", settings.canary_max_latency_p95_seconds),
        min_requests=int(of("min_requests", settings.canary_min_requests)),
        deadline=timedelta(hours=settings.canary_deadline_hours),
        promotes_undecided=settings.canary_promote_undecided,
    )


def shares(policy: CanaryPolicy, new: str, live: str) -> dict[str, int]:
    return {new: policy.percent, live: 100 - policy.percent}


def assess(
    policy: CanaryPolicy, began: datetime, since: datetime, seen: CanaryFigures | Unavailable, now: datetime
) -> CanaryVerdict:
    """`began` is when the tuning became a canary, `since` when its share of the traffic was there."""
    if isinstance(seen, CanaryFigures):
        problem = _too_bad(policy, seen)
        if problem:
            return CanaryVerdict("roll_back", f"{problem}; {seen.summary}", "CanaryFailed")
        doubt = _doubt(policy, seen, since)
        if not doubt:
            return CanaryVerdict("promote", f"canary passed: {seen.summary}")
    else:
        doubt = f"no metrics: {seen.reason}"
    if now - began < policy.deadline:
        return CanaryVerdict("watch", doubt)
    if policy.promotes_undecided:
        return CanaryVerdict("promote", f"canary undecided, and CANARY_PROMOTE_UNDECIDED is set: {doubt}")
    return CanaryVerdict("roll_back", f"undecided after {policy.deadline}: {doubt}", "CanaryUndecided")


def _too_bad(policy: CanaryPolicy, seen: CanaryFigures) -> str:
    """Worse than allowed, whatever came of the rest of `min_requests`, and worse than the live one."""
    new, live = seen.new, seen.live
    allowed = policy.max_error_rate * max(new.requests, policy.min_requests)
    if new.errors >= _PROVING_ERRORS and new.errors > allowed and new.error_rate > live.error_rate:
        return f"max_error_rate: {new.error_rate:.1%} of at most {policy.max_error_rate:.1%}"
    limit, slow = policy.max_latency_p95_seconds, new.latency_p95_seconds
    if slow is None or new.requests < policy.min_requests or slow <= limit:
        return ""
    if live.latency_p95_seconds is not None and slow <= live.latency_p95_seconds:
        return ""
    return f"max_latency_p95_seconds: {slow:.2f} s of at most {limit:g} s"


def _doubt(policy: CanaryPolicy, seen: CanaryFigures, since: datetime) -> str:
    """Why it can not be said yet that it is good; empty if it can."""
    new, live = seen.new, seen.live
    if new.requests < policy.min_requests:
        return f"{new.requests:g} of at least {policy.min_requests} requests came to it"
    if seen.until - since < policy.span:
        return f"watched until {seen.until:%H:%M} UTC, for {policy.span} at least"
    if new.error_rate > policy.max_error_rate and new.error_rate > live.error_rate:
        return f"{new.errors:g} errors in {new.requests:g} requests: too many to go on, too few to go back"
    return "" if new.latency_p95_seconds is not None else "its latency is not known"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} s"
