"""The sweep: look at every endpoint once, judge each, act on what is certain."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from shared.errors import RaceLostError
from shared.idle.gather import gather, homeless, is_ours
from shared.idle.marks import with_mark, without_mark
from shared.idle.report import EndpointReport, SweepReport
from shared.idle.rule import Facts, Policy, Verdict, assess, assess_without_metrics
from shared.idle.series import ceil_minute, floor_minute
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from shared.azureml.resources import OnlineEndpoint
    from shared.clock import Clock
    from shared.config import Settings
    from shared.idle.series import Series, Unavailable
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)


class LedgerRows(Protocol):
    def tunings(self) -> Iterable[Versioned[Tuning]]: ...
    def endpoints(self) -> Iterable[Versioned[EndpointRecord]]: ...
    def endpoint(self, dataset: str) -> Versioned[EndpointRecord]: ...
    def put(self, row: Versioned[EndpointRecord], /) -> Versioned[EndpointRecord]: ...


class TuningWakeUps(Protocol):
    def tuning(self, tuning_id: str, /) -> None: ...


class Endpoints(Protocol):
    def list_endpoints(self) -> Sequence[OnlineEndpoint]: ...
    def get_endpoint(self, name: str, /) -> OnlineEndpoint | None: ...
    def set_endpoint_tags(self, name: str, tags: Mapping[str, str], /) -> None: ...


class Requests(Protocol):
    def requests_per_minute(
        self, endpoint_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, Series | Unavailable]: ...


@dataclass(frozen=True)
class Sweep:
    """Marks and unmarks endpoints itself; a deletion it only decides, the lifecycle carries it out.

    `owner` is names.owner() of the workspace. The minutes of `metrics_delay` are not asked for, because
    Monitor may still report them as missing or as 0: verdicts are true of the time up to which it was asked.
    """

    settings: Settings
    ledger: LedgerRows
    wake_ups: TuningWakeUps
    arm: Endpoints
    metrics: Requests
    clock: Clock
    owner: str
    metrics_delay: timedelta

    def run(self) -> SweepReport:
        """Raises DroptuneError if endpoints or ledger can not be listed; what happens to one stays in its report."""
        now = self.clock()
        policy = Policy(
            idle_after=timedelta(minutes=self.settings.idle_after_minutes),
            grace=timedelta(minutes=self.settings.idle_grace_minutes),
        )
        reports: list[EndpointReport] = []
        deletions = 0
        for facts in self._look(policy, now):
            may_delete = deletions < self.settings.max_deletions_per_sweep
            report = self._treat(facts, policy, now, may_delete=may_delete)
            deletions += report.kind == "delete" and report.acted
            _log(report, dry_run=self.settings.idle_dry_run)
            reports.append(report)
        sweep = SweepReport(now, self.settings.idle_dry_run, tuple(reports))
        log.info(
            "idle sweep: %d endpoints %s, %d acted on, %d errors%s",
            len(reports),
            sweep.counts,
            sweep.acted,
            sweep.errors,
            ", dry run" if sweep.dry_run else "",
        )
        return sweep

    def _look(self, policy: Policy, now: datetime) -> list[Facts]:
        endpoints = self.arm.list_endpoints()
        records = [row.value for row in self.ledger.endpoints()]
        tunings = [row.value for row in self.ledger.tunings()]
        for tuning_id in homeless(endpoints, tunings, owner=self.owner):
            log.info("idle sweep: the endpoint of live tuning %s is not in the list; having it looked at", tuning_id)
            self.wake_ups.tuning(tuning_id)
        found = gather(endpoints, records, tunings, owner=self.owner, now=now)
        requests = self._requests(found, policy, now)
        return [
            replace(facts, requests=requests.get(facts.endpoint.id, facts.requests))
            for facts in sorted(found, key=lambda facts: facts.endpoint.name)
        ]

    def _requests(self, found: Iterable[Facts], policy: Policy, now: datetime) -> dict[str, Series | Unavailable]:
        """Of the endpoints whose verdict hangs on them. Those younger than the window have no earlier minutes."""
        end = floor_minute(now - self.metrics_delay)
        window_start = floor_minute(end - policy.window)
        ids_by_start: defaultdict[datetime, list[str]] = defaultdict(list)
        for facts in found:
            if assess_without_metrics(facts, policy, now) is None:
                start = max(window_start, ceil_minute(facts.changed_at))
                ids_by_start[start].append(facts.endpoint.id)
        requests: dict[str, Series | Unavailable] = {}
        for start, ids in ids_by_start.items():
            requests.update(self.metrics.requests_per_minute(ids, start, end))
        return requests

    def _treat(self, facts: Facts, policy: Policy, now: datetime, *, may_delete: bool) -> EndpointReport:
        verdict = assess(facts, policy, now)
        if self.settings.idle_dry_run:
            return _report(facts, verdict)
        try:
            if verdict.kind in ("keep", "marked"):
                return _report(facts, verdict, acted=self._remind(facts))
            if verdict.kind == "delete" and not may_delete:
                limit = self.settings.max_deletions_per_sweep
                return _report(facts, verdict, note=f"the limit of {limit} deletions per sweep is reached")
            return self._act(facts, verdict, policy, now)
        except RaceLostError as error:
            return _report(facts, Verdict("keep", f"changed meanwhile: {error}"))
        except Exception as error:
            log.exception("idle sweep: endpoint %s: %s failed", facts.endpoint.name, verdict.kind)
            return replace(_report(facts, verdict), error=f"{type(error).__name__}: {error}"[:500])

    def _act(self, facts: Facts, verdict: Verdict, policy: Policy, now: datetime) -> EndpointReport:
        """On the endpoint as it is now: somebody may have tagged it since it was listed."""
        name = facts.endpoint.name
        endpoint = self.arm.get_endpoint(name)
        if endpoint is None:
            return _report(facts, Verdict("keep", "is gone"))
        facts = replace(facts, endpoint=endpoint, ours=is_ours(endpoint, self.owner))
        again = assess(facts, policy, now)
        if again.kind != verdict.kind:
            return _report(facts, again, note="changed meanwhile, so left to the next sweep")
        if again.kind == "mark":
            self.arm.set_endpoint_tags(name, with_mark(endpoint.tags, now))
        elif again.kind == "unmark":
            self.arm.set_endpoint_tags(name, without_mark(endpoint.tags))
        else:
            self._retire(facts, again)
        return _report(facts, again, acted=True)

    def _retire(self, facts: Facts, verdict: Verdict) -> None:
        """Close the endpoint to new tunings and have the lifecycle delete it. Raises RaceLostError."""
        assert facts.record is not None, "only endpoints in the ledger are deleted"
        row = self.ledger.endpoint(facts.record.dataset)
        # Equal, not just similar: who joined, was promoted or left since it was listed changed the record.
        if row.value != facts.record:
            raise RaceLostError("its record in the ledger was written")
        deleting = replace(row.value, status=EndpointStatus.DELETING, retire_reason=verdict.reason)
        self.ledger.put(Versioned(deleting, row.etag))
        self.wake_ups.tuning(row.value.live)

    def _remind(self, facts: Facts) -> bool:
        """A sweep that died, or lost its message, between the record and the wake-up left this undone."""
        record, live = facts.record, facts.live
        if not facts.ours or record is None or record.status is not EndpointStatus.DELETING:
            return False
        if live is None or live.state is not State.LIVE:
            return False
        self.wake_ups.tuning(live.id)
        return True


def _report(facts: Facts, verdict: Verdict, *, acted: bool = False, note: str = "") -> EndpointReport:
    return EndpointReport(
        name=facts.endpoint.name,
        dataset=facts.record.dataset if facts.record else "",
        kind=verdict.kind,
        reason=f"{verdict.reason}; {note}" if note else verdict.reason,
        idle_since=verdict.idle_since,
        deletes_at=verdict.deletes_at,
        acted=acted,
    )


def _log(report: EndpointReport, *, dry_run: bool) -> None:
    done = "dry run" if dry_run else "done" if report.acted else "nothing done"
    log.info("idle sweep: endpoint %s: %s (%s): %s", report.name, report.kind, done, report.reason)
