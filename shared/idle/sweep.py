"""The sweep: look at every endpoint once, judge each, act on what is certain."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import names
from shared.errors import DroptuneError, RaceLostError
from shared.idle import memory as memories
from shared.idle.acting import Actor
from shared.idle.gather import Seen, gather, homeless, is_ours
from shared.idle.left_over import left_over
from shared.idle.patience import Patience
from shared.idle.policy import Policy, default_policy, orphan_policy, overridden
from shared.idle.report import DRY_RUN, DeploymentReport, EndpointReport, SweepReport, to_json
from shared.idle.rule import Facts, Verdict, assess, assess_without_metrics
from shared.idle.series import Unavailable, ceil_minute, floor_minute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
    from shared.clock import Clock
    from shared.config import Settings
    from shared.idle.left_over import LeftOver
    from shared.idle.memory import Memory
    from shared.idle.patience import Pause
    from shared.idle.ports import (
        Calls,
        Endpoints,
        Events,
        Gauges,
        HourlyPrice,
        LedgerRows,
        Reports,
        Requests,
        TuningWakeUps,
    )
    from shared.idle.series import Series
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Marks and unmarks endpoints itself, and deletes what no tuning uses; an endpoint with a live tuning it only
    closes, the lifecycle carries the deletion out.

    `owner` is names.owner() of the workspace. The minutes of `metrics_delay` are not asked for, because
    Monitor may still report them as missing or as 0: verdicts are true of the time up to which it was asked.
    """

    settings: Settings
    ledger: LedgerRows
    wake_ups: TuningWakeUps
    arm: Endpoints
    metrics: Requests
    reports: Reports
    events: Events
    clock: Clock
    pause: Pause
    owner: str
    metrics_delay: timedelta
    price: HourlyPrice
    telemetry: Gauges
    calls: Calls | None = None

    def run(self) -> SweepReport:
        """Raises DroptuneError if endpoints or ledger can not be listed; what happens to one stays in its report.

        Nothing is kept of a sweep but its memory, its report, and the tags: one that died in the middle is gone on
        with by the next, which finds done what was done.
        """
        now, patiently = self.clock().replace(microsecond=0), Patience(self.pause)
        dry_run = self.settings.idle_dry_run
        if dry_run:
            log.warning("idle sweep: %s", DRY_RUN)
        work = _Work(self, now, patiently)
        work.look()
        reports: list[EndpointReport] = []
        may_delete = self.settings.max_deletions_per_sweep
        for facts in work.facts:
            report = work.treat(facts, may_delete)
            may_delete -= report.deletions
            _log(report, dry_run=dry_run)
            reports.append(report)
            if report.ours:
                idle = (now - report.idle_since).total_seconds() if report.idle_since else None
                self.telemetry.endpoint(report.name, report.dataset, idle_seconds=idle, hourly_cost=report.hourly_cost)
        sweep = SweepReport(now, dry_run, tuple(reports), self.settings.price_currency, patiently.waited)
        self._keep(sweep)
        log.info(
            "idle sweep: %d endpoints %s, %d acted on, %d errors%s",
            len(reports),
            sweep.counts,
            sweep.acted,
            sweep.errors,
            ", dry run" if dry_run else "",
        )
        return sweep

    def _keep(self, report: SweepReport) -> None:
        """For people. What was done is done, whether it can be read there or not."""
        try:
            self.reports.write_report(names.IDLE_REPORT, to_json(report))
        except DroptuneError as error:
            log.warning("idle sweep: its report can not be written: %s", error)


class _Work:
    """One run of a sweep: what it has seen, and what it does about it."""

    def __init__(self, sweep: Sweep, now: datetime, patiently: Patience) -> None:
        self._sweep = sweep
        self._now = now
        self._patiently = patiently
        self._tunings: dict[str, Tuning] = {}
        self._memory = memories.Memory()
        self._actor = Actor(sweep.settings, sweep.ledger, sweep.wake_ups, sweep.arm, sweep.events, sweep.owner)
        self.facts: list[Facts] = []

    def look(self) -> None:
        """Deployments are left unseen where nothing can be done anyway."""
        sweep = self._sweep
        before = memories.from_json(sweep.reports.read_report(names.IDLE_MEMORY))
        endpoints = sweep.arm.list_endpoints(self._patiently)
        records = [row.value for row in sweep.ledger.endpoints()]
        self._tunings = {row.value.id: row.value for row in sweep.ledger.tunings()}
        for tuning_id in homeless(endpoints, self._tunings.values(), owner=sweep.owner):
            log.info("idle sweep: the endpoint of live tuning %s is not in the list; having it looked at", tuning_id)
            sweep.wake_ups.tuning(tuning_id)
        deployments = {
            item.name: self._deployments(item) for item in endpoints if item.provisioning_state != "Deleting"
        }
        self._memory = self._remembering(before, endpoints, deployments)
        seen = Seen(
            endpoints=endpoints,
            deployments=deployments,
            records=records,
            tunings=list(self._tunings.values()),
            calls=sweep.calls.last_calls() if sweep.calls else {},
            memory=self._memory,
            owner=sweep.owner,
            now=self._now,
        )
        found = gather(seen)
        self._remember(found)
        requests = self._requests(found)
        self.facts = [
            replace(facts, requests=requests.get(facts.endpoint.id, facts.requests))
            for facts in sorted(found, key=lambda facts: facts.endpoint.name)
        ]

    def treat(self, facts: Facts, may_delete: int) -> EndpointReport:
        policy = self._policy(facts)
        if isinstance(policy, str):
            return _report(facts, Verdict("keep", policy), self._deployment_reports(facts, ()))
        report = self._treat_endpoint(facts, policy, may_delete > 0)
        left = self._left_over(facts, policy) if facts.ours and report.kind != "delete" else []
        may_delete -= report.deletions
        done: list[DeploymentReport] = []
        for item in left:
            done.append(self._treat_deployment(facts, item, may_delete > 0))
            may_delete -= done[-1].kind == "delete" and done[-1].acted
        return replace(report, deployments=self._deployment_reports(facts, done))

    def _deployments(self, endpoint: OnlineEndpoint) -> tuple[OnlineDeployment, ...] | Unavailable:
        try:
            return tuple(self._patiently(lambda: self._sweep.arm.list_deployments(endpoint.name)))
        except DroptuneError as error:
            return Unavailable(str(error))

    def _remembering(
        self,
        before: Memory,
        endpoints: Sequence[OnlineEndpoint],
        deployments: Mapping[str, tuple[OnlineDeployment, ...] | Unavailable],
    ) -> Memory:
        """What can not be seen today is remembered as it was."""
        found: list[tuple[OnlineEndpoint, tuple[OnlineDeployment, ...]]] = []
        unseen: dict[str, memories.Remembered] = {}
        for endpoint in endpoints:
            if not is_ours(endpoint.tags, self._sweep.owner):
                continue
            listed = deployments.get(endpoint.name, Unavailable("it is being deleted"))
            if not isinstance(listed, Unavailable):
                found.append((endpoint, listed))
            elif endpoint.name in before.endpoints:
                unseen[endpoint.name] = before.endpoints[endpoint.name]
        return memories.Memory(unseen | before.seeing(found, self._now).endpoints)

    def _remember(self, found: Iterable[Facts]) -> None:
        """Before anything is done: what was noticed must not be noticed anew by the next sweep if this one dies."""
        for facts in found:
            policy = self._policy(facts)
            if isinstance(policy, Policy) and facts.endpoint.name in self._memory.endpoints:
                since = {item.deployment.name: item.since for item in self._left_over(facts, policy)}
                self._memory = self._memory.with_left_over(facts.endpoint.name, since)
        self._sweep.reports.write_report(names.IDLE_MEMORY, memories.to_json(self._memory))

    def _policy(self, facts: Facts) -> Policy | str:
        """Its own, or why it can not be told."""
        settings = self._sweep.settings
        if facts.orphan:
            return orphan_policy(settings, serving=facts.serving)
        policy = default_policy(settings)
        if not facts.ours or facts.live is None:
            return policy
        try:
            return overridden(policy, facts.live.idle)
        except ValueError as error:
            return f"the idle settings of {facts.live.id} can not be read: {error}"

    def _requests(self, found: Iterable[Facts]) -> Mapping[str, Series | Unavailable]:
        """Of the endpoints whose verdict hangs on them. Those younger than the window have no earlier minutes."""
        end = floor_minute(self._now - self._sweep.metrics_delay)
        starts: dict[str, datetime] = {}
        for facts in found:
            policy = self._policy(facts)
            if isinstance(policy, Policy) and assess_without_metrics(facts, policy, self._now) is None:
                window_start = floor_minute(end - policy.window)
                starts[facts.endpoint.id] = max(window_start, ceil_minute(facts.changed_at))
        return self._sweep.metrics.since(starts, end, self._patiently) if starts else {}

    def _treat_endpoint(self, facts: Facts, policy: Policy, may_delete: bool) -> EndpointReport:
        verdict = assess(facts, policy, self._now)
        if self._sweep.settings.idle_dry_run:
            return _report(facts, verdict)
        try:
            if verdict.kind == "delete" and not may_delete:
                return _report(facts, verdict, note=self._limit)
            return self._act(facts, policy, verdict)
        except RaceLostError as error:
            return _report(facts, Verdict("keep", f"changed meanwhile: {error}"))
        except Exception as error:
            log.exception("idle sweep: endpoint %s: %s failed", facts.endpoint.name, verdict.kind)
            return replace(_report(facts, verdict), error=_text(error))

    def _act(self, facts: Facts, policy: Policy, verdict: Verdict) -> EndpointReport:
        """On the endpoint as it is now, a throttled sweep later: somebody may have tagged or called it since."""
        name, actor = facts.endpoint.name, self._actor
        if verdict.kind in ("keep", "marked"):
            actor.tell(facts, verdict, self._now)
            return _report(facts, verdict, acted=actor.remind(facts))
        endpoint = self._patiently(lambda: self._sweep.arm.get_endpoint(name))
        if endpoint is None:
            return _report(facts, Verdict("keep", "is gone"))
        last_call = facts.last_call
        if self._sweep.calls and facts.record:
            last_call = self._sweep.calls.last_call(facts.record.dataset)
        facts = replace(facts, endpoint=endpoint, ours=is_ours(endpoint.tags, self._sweep.owner), last_call=last_call)
        now = self._sweep.clock().replace(microsecond=0)
        again = assess(facts, policy, now)
        if again.kind != verdict.kind:
            return _report(facts, again, note="changed meanwhile, so left to the next sweep")
        if again.kind == "delete":
            self._patiently(lambda: actor.delete(facts, again, now))
        else:
            marked = self._patiently(lambda: actor.mark(facts, again, now))
            actor.tell(marked, again, now)
        return _report(facts, again, acted=True)

    def _left_over(self, facts: Facts, policy: Policy) -> list[LeftOver]:
        remembered = self._memory.endpoints.get(facts.endpoint.name)
        known_since = remembered.left_over if remembered else {}
        grace = timedelta(minutes=self._sweep.settings.orphan_grace_minutes)
        return left_over(facts, self._tunings, known_since, policy, grace, self._now)

    def _treat_deployment(self, facts: Facts, item: LeftOver, may_delete: bool) -> DeploymentReport:
        report = replace(self._priced(item.deployment), kind=item.kind, reason=item.reason, deletes_at=item.deletes_at)
        if item.kind != "delete" or self._sweep.settings.idle_dry_run:
            return report
        if not may_delete:
            return replace(report, reason=f"{item.reason}; {self._limit}")
        try:
            done = self._patiently(
                lambda: self._actor.delete_deployment(facts.endpoint.name, item.deployment, self._now)
            )
            return replace(report, acted=done) if done else replace(report, kind="keep", reason="changed meanwhile")
        except Exception as error:
            log.exception("idle sweep: deployment %s of %s", item.deployment.name, facts.endpoint.name)
            return replace(report, error=_text(error))

    def _deployment_reports(
        self, facts: Facts, left: Iterable[DeploymentReport]
    ) -> tuple[DeploymentReport, ...] | None:
        if isinstance(facts.deployments, Unavailable):
            return None
        judged = {item.name: item for item in left}
        return tuple(judged.get(item.name) or self._priced(item) for item in facts.deployments)

    def _priced(self, deployment: OnlineDeployment) -> DeploymentReport:
        price = self._sweep.price(deployment.instance_type)
        cost = price.hourly * deployment.instance_count if price else None
        return DeploymentReport(deployment.name, deployment.instance_type, deployment.instance_count, cost)

    @property
    def _limit(self) -> str:
        return f"the limit of {self._sweep.settings.max_deletions_per_sweep} deletions per sweep is reached"


def _report(
    facts: Facts,
    verdict: Verdict,
    deployments: tuple[DeploymentReport, ...] | None = None,
    *,
    acted: bool = False,
    note: str = "",
) -> EndpointReport:
    return EndpointReport(
        name=facts.endpoint.name,
        dataset=facts.record.dataset if facts.record else facts.endpoint.tags.get(names.TAG_DATASET, ""),
        kind=verdict.kind,
        reason=f"{verdict.reason}; {note}" if note else verdict.reason,
        ours=facts.ours,
        idle_since=verdict.idle_since,
        deletes_at=verdict.deletes_at,
        acted=acted,
        deployments=deployments,
    )


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _log(report: EndpointReport, *, dry_run: bool) -> None:
    done = "dry run" if dry_run else "done" if report.acted else "nothing done"
    log.info("idle sweep: endpoint %s: %s (%s): %s", report.name, report.kind, done, report.reason)
    for item in report.deployments or ():
        if item.kind:
            done = "dry run" if dry_run else "done" if item.acted else "nothing done"
            log.info(
                "idle sweep: deployment %s of %s: %s (%s): %s", item.name, report.name, item.kind, done, item.reason
            )
