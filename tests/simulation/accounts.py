"""I7: what the books say existed, held against what did, to the second; and the report against the sum of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from datetime import UTC, datetime, timedelta

from shared import names
from shared.costs.months import Month
from shared.costs.records import CostRecord, Kind
from shared.costs.report import CostReport
from shared.lifecycle.tuning import Tuning
from tests.simulation.faults import Kind as Fault
from tests.simulation.truth import Truth
from tests.simulation.twins.endpoints import Lifetime
from tests.simulation.world import MAX_CLOCK_ERROR

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
_SLACK = 50.0
_UNSEEN = frozenset(
    {
        Fault.EVENT_OF_CHILD_RUN,
        Fault.EVENT_OF_STRANGER,
        Fault.EVENT_DELAYED,
        Fault.EVENT_DOUBLED,
        Fault.EVENT_LOST,
        Fault.EVENT_REORDERED,
        Fault.VERSIONS_RACE,
        Fault.OVER_BUDGET,
        Fault.ALLOWED,
        Fault.KEPT,
        Fault.JOB_FAILS,
        Fault.JOB_HANGS,
        Fault.SCORE_GARBAGE,
        Fault.SCORE_SLOW,
        Fault.METRICS_LATE,
        Fault.METRICS_MISSING,
        Fault.METRICS_PARTIAL,
    }
)
"""Faults that keep no look from seeing how a deployment is deleted: with these alone every end is known."""


def lifetimes(truth: Truth) -> list[Lifetime]:
    owner = names.owner(truth.settings.workspace_id)
    return [
        life
        for life in truth.cloud.endpoints.lifetimes
        if life.kind == "deployment" and life.tags.get(names.TAG_OWNER) == owner
    ]


def deployments_in_the_books(truth: Truth, struck: Set[Fault], unseen: Set[str]) -> Iterator[str]:
    """`unseen`: endpoints, and deployments as `endpoint/deployment`, that people deleted behind the app's back."""
    records = {(item.name, item.began): item for item in truth.costs() if item.kind is Kind.DEPLOYMENT}
    for life in lifetimes(truth):
        name = f"{life.endpoint}/{life.name}"
        record = records.pop((name, life.begun), None)
        if record is None:
            if life.ended is None or not {name, life.endpoint} & unseen:
                yield f"deployment {name} of {life.begun} is not in the books"
            continue
        if (record.instance_type, record.instance_count) != (life.instance_type, life.instance_count):
            yield f"deployment {name} has other instances in the books"
        if problem := _wrong_end(record, life.ended, struck):
            yield f"deployment {name} {problem}"
    for name, began in records:
        yield f"the books have a deployment {name} of {began}, which there never was"


def jobs_in_the_books(truth: Truth) -> Iterator[str]:
    records = {item.name: item for item in truth.costs() if item.kind is Kind.JOB}
    for name, job in truth.cloud.jobs.all.items():
        record = records.pop(name, None)
        if record is None:
            yield f"job {name} is not in the books"
        elif record.ended != job.ended_at or (job.ended_at and record.began != (job.started_at or job.ended_at)):
            yield f"job {name} ran from {job.started_at} to {job.ended_at}, in the books to {record.ended}"
    if records:
        yield f"the books have jobs that there never were: {', '.join(records)}"


def report_adds_up(truth: Truth, now: datetime) -> Iterator[str]:
    """The months of the report, summed, are the lifetimes in the cloud; as far as all ends are Azure's own."""
    records = tuple(truth.costs())
    known = {(item.name, item.began) for item in records if item.kind is Kind.DEPLOYMENT and item.exact}
    lives = lifetimes(truth)
    if not all((f"{life.endpoint}/{life.name}", life.begun) in known for life in lives):
        return
    existed = sum((((life.ended or now) - life.begun) * life.instance_count for life in lives), timedelta(0))
    lines = CostReport(records, now, truth.settings.price_currency).lines()
    reported = sum(line.amounts.deployment_hours for line in lines) * HOUR
    if abs(reported - existed) > SECOND:
        yield f"deployments existed for {existed}, the report says {reported}"


def unsettled(truth: Truth, records: Iterable[CostRecord]) -> bool:
    """Whether something in the books goes on that is over."""
    deployments = {f"{endpoint.name}/{item.name}" for endpoint, item in truth.our_deployments()}
    jobs = {name for name, job in truth.cloud.jobs.all.items() if not job.ended}
    return any(record.ended is None and record.name not in deployments | jobs for record in records)


def _wrong_end(record: CostRecord, ended: datetime | None, struck: Set[Fault]) -> str:
    if record.ended is None or ended is None:
        return "" if record.ended == ended else f"ended at {ended}, in the books at {record.ended}"
    if record.exact:
        return "" if abs(record.ended - ended) < SECOND else f"ended at {ended}, in the books at {record.ended}"
    if struck <= _UNSEEN:
        return f"ended at {ended}, of which the books do not know exactly when"
    clock = MAX_CLOCK_ERROR if Fault.CLOCK_JUMP in struck else timedelta(0)
    if not record.seen - clock <= ended <= record.ended + clock:
        return f"ended at {ended}, in the books between {record.seen} and {record.ended}"
    return ""


def beyond_the_budget(truth: Truth, tuning: Tuning, now: datetime) -> Iterator[str]:
    """When a tuning's deployment began: what deployments cost this month, and will if nothing changes.

    Left out is what an operator has allowed beyond the budget since the tuning took its part of it. Each dataset ends
    up with one; jobs cost as well, but do not run on. The rest is what the clocks may be wrong by, and what the old
    deployment of a dataset costs while the new one comes up.
    """
    settings, price = truth.settings, truth.cloud.prices.hourly[truth.settings.inference_instance_type]
    rest = (Month.of(now).end - now) / HOUR
    running: dict[str, int] = {}
    spent = 0.0
    allowed_since = {other.id for other in truth.tunings() if _allowed(other) >= tuning.state_since}
    for life in lifetimes(truth):
        if life.tags[names.TAG_TUNING] in allowed_since:
            continue
        spent += ((life.ended or now) - life.begun) / HOUR * life.instance_count * price
        if life.ended is None:
            dataset = life.tags[names.TAG_DATASET]
            running[dataset] = max(running.get(dataset, 0), life.instance_count)
    total = spent + sum(running.values()) * price * rest
    if total > settings.monthly_budget + _SLACK:
        yield f"with the deployment of {tuning.id} the month comes to {total:.0f} of {settings.monthly_budget:.0f}"


def _allowed(tuning: Tuning) -> datetime:
    """When an operator allowed its deployment; long ago if nobody did, or longer ago than its history tells."""
    told = [entry.at for entry in tuning.history if "beyond the month's budget" in entry.message]
    return max(told) if tuning.budget_exempt and told else datetime.min.replace(tzinfo=UTC)
