"""The idle rule, pure: what is to be done about an endpoint, and the one reason why.

Its specification is the table of cases in docs/idle-cleanup.md, each row of which is a test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from shared.idle.marks import is_marked, keep_reason, marked_at
from shared.idle.series import Series, Unavailable
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
    from shared.idle.policy import Policy
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning

Kind = Literal["keep", "mark", "marked", "unmark", "delete"]
"""`marked` is idle within its time of grace."""


NOT_ASKED = Unavailable("Monitor was not asked")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of one endpoint."""

    endpoint: OnlineEndpoint
    ours: bool
    """Whether it carries our owner tag."""
    record: EndpointRecord | None
    live: Tuning | None
    orphan: str = ""
    """Why no tuning uses it; empty if one does."""
    ledger_empty: bool = False
    """The ledger has no endpoint at all: more likely it was lost than that all of these are left over."""
    unfinished: tuple[str, ...] = ()
    """Ids of the dataset's tunings that are on their way."""
    deployments: tuple[OnlineDeployment, ...] | Unavailable = ()
    foreign: tuple[str, ...] = ()
    """Names of deployments on it that are not ours."""
    requests: Series | Unavailable = NOT_ASKED
    own_requests: Sequence[datetime] = ()
    """Our own smoke tests: they are not use."""
    last_call: datetime | None = None
    """Through our own gateway, which knows it before Monitor does."""
    changed_at: datetime
    """When it was last changed: created, given to another tuning, or changed by hand."""
    watched_since: datetime | None = None
    """Since when a change by hand would have been noticed; None: it is seen for the first time."""

    @property
    def serving(self) -> bool:
        return any(share > 0 for share in self.endpoint.traffic.values())


@dataclass(frozen=True)
class Verdict:
    """`idle_since` and `deletes_at`, the earliest time of its deletion, are set for what is idle."""

    kind: Kind
    reason: str
    idle_since: datetime | None = None
    deletes_at: datetime | None = None


def assess(facts: Facts, policy: Policy, now: datetime) -> Verdict:
    """The first that holds, in this order:

    1. untouchable: not ours, being deleted, in the middle of an operation, an unfinished tuning, other tenants,
       nothing live, a keep tag, something on it that is not ours. One whose last operation failed serves on, and costs.
    2. changed since it was marked, or too young to be idle; called through the gateway
    3. no complete metrics
    4. used since it was marked; used within the idle time
    5. idle: mark it; or wait while the grace or its keep hours last; or delete it
    """
    return assess_without_metrics(facts, policy, now) or _assess_use(facts, policy, now)


def assess_without_metrics(facts: Facts, policy: Policy, now: datetime) -> Verdict | None:
    """The verdict of the first two steps; None if it hangs on the requests."""
    if not facts.ours:
        return None
    untouchable = _untouchable(facts) or keep_reason(facts.endpoint.tags, now) or _hand_made(facts)
    if untouchable:
        return Verdict("keep", untouchable)
    if facts.orphan and _closed(facts):
        return Verdict("delete", f"its deletion was decided: {facts.orphan}", deletes_at=now)
    if now - facts.changed_at < policy.idle_after:
        reason = f"changed, or given to its tuning, at {_at(facts.changed_at)}"
    elif facts.last_call is not None and now - facts.last_call < policy.idle_after:
        reason = f"last called through the gateway at {_at(facts.last_call)}"
    else:
        return None
    reason += f"; that is less than {_span(policy.idle_after)} ago"
    return Verdict("unmark" if is_marked(facts.endpoint.tags) else "keep", reason)


def _untouchable(facts: Facts) -> str:
    endpoint, record, live = facts.endpoint, facts.record, facts.live
    closed = _closed(facts)
    if closed and not facts.orphan:
        assert record is not None, "only records are closed"
        return f"is being deleted: {record.retire_reason or 'its last tuning ended'}"
    if endpoint.busy:
        return f"is {endpoint.provisioning_state}"
    if facts.unfinished:
        return f"tuning {facts.unfinished[0]} is unfinished"
    if facts.orphan:
        empty = "but the ledger is empty: it may have been lost, so nothing is deleted"
        return f"{facts.orphan}, {empty}" if facts.ledger_empty else ""
    if record is None or record.name != endpoint.name:
        return "the ledger does not know it"
    if live is None or live.id != record.live or live.state is not State.LIVE:
        return "no live tuning: the lifecycle cleans up by itself"
    if set(record.tenants) != {live.id} or record.promoting not in ("", live.id):
        return "other tunings use it too"
    return ""


def _closed(facts: Facts) -> bool:
    record = facts.record
    return record is not None and record.name == facts.endpoint.name and record.status is EndpointStatus.DELETING


def _hand_made(facts: Facts) -> str:
    """What somebody put there is somebody's: neither judged nor deleted together with what is ours."""
    if isinstance(facts.deployments, Unavailable):
        return f"its deployments can not be seen: {facts.deployments.reason}"
    if facts.foreign:
        return f"deployment {facts.foreign[0]} on it is not ours"
    if facts.orphan or facts.live is None:
        return ""
    shares = {name: share for name, share in facts.endpoint.traffic.items() if share > 0}
    if set(shares) <= {facts.live.deployment}:
        return ""
    return "its traffic was given by hand: " + ", ".join(f"{name} {share} %" for name, share in sorted(shares.items()))


def _assess_use(facts: Facts, policy: Policy, now: datetime) -> Verdict:
    series, tags = facts.requests, facts.endpoint.tags
    if facts.orphan and facts.deployments == ():
        series = Series(now - policy.window, now, {})  # there is nothing on it that could be called
    if not facts.ours:
        return _foreign(facts)
    if isinstance(series, Unavailable):
        return Verdict("keep", f"no metrics: {series.reason}")
    if series.start >= series.end:
        return Verdict("keep", "no metrics: empty series")

    used_until = series.last_use(facts.own_requests)
    active_until = max(filter(None, (facts.changed_at, used_until, facts.last_call)))
    marked = marked_at(tags, now)
    if marked is not None and active_until > marked:
        return Verdict("unmark", f"used or changed at {_at(active_until)}, after it was marked")

    # Nothing is known of the time before the series: idle since its start at the earliest.
    idle_since = max(active_until, series.start)
    if series.end - idle_since < policy.idle_after:
        kind: Kind = "unmark" if is_marked(tags) else "keep"
        return Verdict(kind, f"{_activity(used_until)}; that is less than {_span(policy.idle_after)}")

    reason = f"no request since {_at(idle_since)}, which is more than {_span(policy.idle_after)}"
    if facts.orphan:
        reason = f"{facts.orphan}; {reason}"
    return _idle(facts, policy, now, Verdict("mark", reason, idle_since, policy.outside(now + policy.grace)), series)


def _idle(facts: Facts, policy: Policy, now: datetime, idle: Verdict, series: Series) -> Verdict:
    """From the mark to the deletion; a mark counts from when it was set, and changes by hand would be noticed."""
    hours = policy.kept_by(now)
    if hours:
        idle = replace(idle, reason=f"{idle.reason}; these are its keep hours ({hours.text})")
    marked = marked_at(facts.endpoint.tags, now)
    if marked is None:
        return replace(idle, kind="keep", deletes_at=None) if hours else idle
    counted = max(marked, facts.watched_since or now)
    deletes_at = policy.outside(max(counted + policy.grace, now) if hours else counted + policy.grace)
    waiting = replace(idle, kind="marked", deletes_at=deletes_at)
    if hours or deletes_at is None or now < deletes_at or series.end < deletes_at:
        return waiting
    if series.start > counted and series.end - series.start < policy.window:
        return replace(waiting, reason=f"{idle.reason}; the requests since its mark are not all known")
    return replace(waiting, kind="delete", reason=f"{idle.reason}; marked at {_at(marked)}")


def _foreign(facts: Facts) -> Verdict:
    """Never touched; how long it was unused is for people to see."""
    series = facts.requests
    if isinstance(series, Unavailable) or series.start >= series.end:
        return Verdict("keep", "not ours")
    used = series.last_use(())
    if used is not None:
        return Verdict("keep", f"not ours; last request before {_at(used)}", used)
    return Verdict("keep", f"not ours; no request since {_at(series.start)} at least", series.start)


def _activity(used_until: datetime | None) -> str:
    return "no request is known of" if used_until is None else f"last request before {_at(used_until)}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _span(span: timedelta) -> str:
    minutes = span / timedelta(minutes=1)
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:g} h"
