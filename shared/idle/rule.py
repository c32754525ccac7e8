"""The idle rule, pure: what is to be done about an endpoint, and the one reason why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.idle.marks import is_marked, keep_reason, marked_at
from shared.idle.series import Series, Unavailable
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.azureml.resources import OnlineEndpoint
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning

Kind = Literal["keep", "mark", "marked", "unmark", "delete"]
"""`marked` is idle within its time of grace."""


NOT_ASKED = Unavailable("Monitor was not asked")


@dataclass(frozen=True)
class Policy:
    idle_after: timedelta
    grace: timedelta

    @property
    def window(self) -> timedelta:
        """How far back requests count: long enough to see all since a mark that is about to expire."""
        return self.idle_after + self.grace


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of one endpoint."""

    endpoint: OnlineEndpoint
    ours: bool
    """Whether it carries our owner tag."""
    record: EndpointRecord | None
    live: Tuning | None
    unfinished: tuple[str, ...] = ()
    """Ids of the dataset's tunings that are on their way."""
    requests: Series | Unavailable = NOT_ASKED
    own_requests: Sequence[datetime] = ()
    """Our own smoke tests: they are not use."""
    changed_at: datetime
    """When we last changed what it serves: its creation, or the promotion of the live tuning."""


@dataclass(frozen=True)
class Verdict:
    """`idle_since` and `deletes_at`, the earliest time of its deletion, are set for what is idle."""

    kind: Kind
    reason: str
    idle_since: datetime | None = None
    deletes_at: datetime | None = None


def assess(facts: Facts, policy: Policy, now: datetime) -> Verdict:
    """The first that holds, in this order:

    1. untouchable: not ours, unknown to the ledger, being deleted, in the middle of an operation, an unfinished
       tuning, other tenants, nothing live, a keep tag. One whose last operation failed serves on, and costs.
    2. changed since it was marked, or too young to be idle
    3. no complete metrics
    4. used since it was marked; used within the idle time
    5. idle: mark it; or wait while the grace lasts; or delete it
    """
    return assess_without_metrics(facts, policy, now) or _assess_use(facts, policy, now)


def assess_without_metrics(facts: Facts, policy: Policy, now: datetime) -> Verdict | None:
    """The verdict of the first two steps; None if it hangs on the requests."""
    untouchable = _untouchable(facts) or keep_reason(facts.endpoint.tags, now)
    if untouchable:
        return Verdict("keep", untouchable)
    if now - facts.changed_at >= policy.idle_after:
        return None
    reason = f"serves its tuning only since {_at(facts.changed_at)}"
    return Verdict("unmark" if is_marked(facts.endpoint.tags) else "keep", reason)


def _untouchable(facts: Facts) -> str:
    endpoint, record, live = facts.endpoint, facts.record, facts.live
    if not facts.ours:
        return "not ours"
    if record is None or record.name != endpoint.name:
        return "the ledger does not know it"
    if record.status is EndpointStatus.DELETING:
        return f"is being deleted: {record.retire_reason or 'its last tuning ended'}"
    if endpoint.busy:
        return f"is {endpoint.provisioning_state}"
    if facts.unfinished:
        return f"tuning {facts.unfinished[0]} is unfinished"
    if live is None or live.id != record.live or live.state is not State.LIVE:
        return "no live tuning: the lifecycle cleans up by itself"
    if set(record.tenants) != {live.id} or record.promoting not in ("", live.id):
        return "other tunings use it too"
    return ""


def _assess_use(facts: Facts, policy: Policy, now: datetime) -> Verdict:
    series, tags = facts.requests, facts.endpoint.tags
    if isinstance(series, Unavailable):
        return Verdict("keep", f"no metrics: {series.reason}")
    if not series.minutes:
        return Verdict("keep", "no metrics: empty series")

    used_until = series.last_use(facts.own_requests)
    active_until = max(facts.changed_at, used_until or facts.changed_at)
    marked = marked_at(tags, now)
    if marked is not None and active_until > marked:
        return Verdict("unmark", f"used or changed at {_at(active_until)}, after it was marked")

    # Nothing is known of the time before the series: idle since its start at the earliest.
    idle_since = max(active_until, series.start)
    if series.end - idle_since < policy.idle_after:
        kind: Kind = "unmark" if is_marked(tags) else "keep"
        return Verdict(kind, f"{_activity(used_until)}; that is less than {_span(policy.idle_after)}")

    reason = f"no request since {_at(idle_since)}, which is more than {_span(policy.idle_after)}"
    if marked is None:
        return Verdict("mark", reason, idle_since, now + policy.grace)
    deletes_at = marked + policy.grace
    if now < deletes_at or series.end < deletes_at:
        return Verdict("marked", reason, idle_since, deletes_at)
    if series.start > marked and series.end - series.start < policy.window:
        return Verdict("marked", f"{reason}; the requests since its mark are not all known", idle_since, deletes_at)
    return Verdict("delete", f"{reason}; marked at {_at(marked)}", idle_since, deletes_at)


def _activity(used_until: datetime | None) -> str:
    return "no request is known of" if used_until is None else f"last request before {_at(used_until)}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _span(span: timedelta) -> str:
    minutes = span / timedelta(minutes=1)
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:g} h"
