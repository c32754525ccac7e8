"""What was spent and avoided, by dataset and month: pure arithmetic over the books.

Spent is what existed, at the price that was recorded with it; hours without a price are counted beside it, not
guessed. Avoided are the hours from the end of a deployment that was deleted because nobody used it until the dataset's
next deployment began, or until now, at the price that it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from shared.costs.months import Month, months_between
from shared.costs.records import CostRecord, Kind, overlap

_HOUR = timedelta(hours=1)


@dataclass(kw_only=True)
class Amounts:
    """Hours are those of instances. `unpriced_hours` are in the hours, but not in what was spent or avoided.

    `uncertain_hours` is how much too high the hours can be: of what vanished unseen, the end is when it was noticed.
    """

    deployment_hours: float = 0.0
    deployment_cost: float = 0.0
    job_hours: float = 0.0
    job_cost: float = 0.0
    unpriced_hours: float = 0.0
    uncertain_hours: float = 0.0
    avoided_hours: float = 0.0
    avoided: float = 0.0

    @property
    def spent(self) -> float:
        return self.deployment_cost + self.job_cost

    def add(self, other: Amounts) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Line:
    month: Month
    dataset: str
    currency: str
    amounts: Amounts


@dataclass(frozen=True)
class EndpointCost:
    """What is running. None: unknown. `since_last_request` is the cost since `last_request`."""

    endpoint: str
    dataset: str
    hourly: float | None
    currency: str
    last_request: datetime | None
    since_last_request: float | None


@dataclass(frozen=True)
class CostReport:
    """At the moment `now`; what runs counts until then. `currency` is that of what has no price."""

    records: tuple[CostRecord, ...]
    now: datetime
    currency: str

    def lines(self, month: Month | None = None, dataset: str = "") -> list[Line]:
        """By month, the newest first, then by dataset; those without an hour are left out."""
        found = (
            Line(of, name, currency, amounts)
            for (of, name, currency), amounts in self._amounts.items()
            if (month is None or of == month) and dataset in ("", name)
        )
        return sorted(found, key=lambda line: (-line.month.year, -line.month.number, line.dataset, line.currency))

    def totals(self, lines: Iterable[Line]) -> dict[str, Amounts]:
        """By currency."""
        totals: defaultdict[str, Amounts] = defaultdict(Amounts)
        for line in lines:
            totals[line.currency].add(line.amounts)
        return dict(totals)

    def endpoints(self, last_requests: Mapping[str, datetime]) -> list[EndpointCost]:
        """Those with a deployment that runs, by name. `last_requests` by endpoint, where it is known."""
        running: defaultdict[str, list[CostRecord]] = defaultdict(list)
        for record in self.records:
            if record.kind is Kind.DEPLOYMENT and record.ended is None:
                running[record.endpoint].append(record)
        return [self._endpoint(name, of, last_requests.get(name)) for name, of in sorted(running.items())]

    def _endpoint(self, name: str, records: list[CostRecord], last: datetime | None) -> EndpointCost:
        rates = [record.hourly for record in records]
        prices = [record.price for record in records if record.price]
        one_currency = len({price.currency for price in prices}) == 1
        hourly = sum(rate for rate in rates if rate is not None) if None not in rates and one_currency else None
        since = None
        if last is not None and hourly is not None:
            since = sum(record.hours(last, self.now) * record.price.hourly for record in records if record.price)
        currency = prices[0].currency if prices else self.currency
        return EndpointCost(name, records[0].dataset, hourly, currency, last, since)

    @cached_property
    def _amounts(self) -> dict[tuple[Month, str, str], Amounts]:
        found: defaultdict[tuple[Month, str, str], Amounts] = defaultdict(Amounts)
        for record in self.records:
            currency = record.price.currency if record.price else self.currency
            for month in months_between(record.began, record.ended or self.now):
                found[month, record.dataset, currency].add(self._spent(record, month))
        for record, until in self._unused():
            assert record.ended is not None, "only what ended is not used"
            currency = record.price.currency if record.price else self.currency
            for month in months_between(record.ended, until):
                found[month, record.dataset, currency].add(_avoided(record, until, month))
        return dict(found)

    def _spent(self, record: CostRecord, month: Month) -> Amounts:
        hours = record.hours(month.start, min(month.end, max(self.now, month.start)))
        cost = hours * record.price.hourly if record.price else 0.0
        unknown = timedelta(0)
        if record.ended is not None and not record.exact:
            unknown = overlap(max(record.began, record.seen), record.ended, month.start, month.end)
        amounts = Amounts(
            unpriced_hours=0.0 if record.price else hours,
            uncertain_hours=unknown / _HOUR * record.instance_count,
        )
        if record.kind is Kind.JOB:
            amounts.job_hours, amounts.job_cost = hours, cost
        else:
            amounts.deployment_hours, amounts.deployment_cost = hours, cost
        return amounts

    def _unused(self) -> Iterable[tuple[CostRecord, datetime]]:
        """What was retired, and until when the dataset had no deployment after it."""
        held: defaultdict[str, list[CostRecord]] = defaultdict(list)
        for record in self.records:
            if record.kind is Kind.DEPLOYMENT:
                held[record.dataset].append(record)
        for record in self.records:
            if record.retired and record.ended is not None:
                yield record, self._next_use(held[record.dataset], record, record.ended)

    def _next_use(self, held: Iterable[CostRecord], retired: CostRecord, since: datetime) -> datetime:
        """One that began while the retired one was being deleted leaves nothing to avoid."""
        others = (item for item in held if item is not retired and (item.ended is None or item.ended > since))
        return min((max(item.began, since) for item in others), default=self.now)


def _avoided(record: CostRecord, until: datetime, month: Month) -> Amounts:
    assert record.ended is not None, "only what ended is not used"
    hours = overlap(record.ended, until, month.start, month.end) / _HOUR * record.instance_count
    if record.price is None:
        return Amounts(avoided_hours=hours)
    return Amounts(avoided_hours=hours, avoided=hours * record.price.hourly)
