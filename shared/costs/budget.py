"""The month's budget: may one more deployment begin? Pure.

It may if what was spent this month, and what runs and it would cost until the month's end at their current rates, are
within the limit. A dataset ends up with one deployment, so those of its own dataset are not counted on: the new one
replaces them. What can not be added up, because a price is unknown, does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.costs.months import Month
from shared.costs.records import CostRecord, Kind, Price
from shared.costs.report import CostReport

_HOUR = timedelta(hours=1)

PriceOf = Callable[[str], Price | None]


@dataclass(frozen=True)
class Commitment:
    """A tuning that has, will have, or wants a deployment. `arrived` orders those that wait."""

    tuning: str
    dataset: str
    instance_type: str
    instance_count: int
    arrived: datetime


@dataclass(frozen=True)
class Forecast:
    """Money; rates by the hour. `unknown` is why some of it can not be told, empty: all of it is known."""

    month: Month
    currency: str
    spent: float
    running: float
    """The rate of what runs or is about to."""
    total: float
    """At the month's end, if nothing changes."""
    unknown: str = ""


def forecast(
    records: Sequence[CostRecord],
    commitments: Iterable[Commitment],
    price_of: PriceOf,
    currency: str,
    now: datetime,
    without: str = "",
) -> Forecast:
    """`commitments` that have a running deployment in the records count once; `without`: a dataset whose rate does not
    count, though what it spent does.
    """
    month = Month.of(now)
    unknown = ""
    spent = 0.0
    for line in CostReport(tuple(records), now, currency).lines(month):
        if line.currency != currency:
            unknown = f"{line.amounts.spent:,.2f} {line.currency} were spent, which is another currency"
        elif line.amounts.unpriced_hours:
            sizes = sorted({item.instance_type for item in records if item.price is None})
            unknown = f"the price of {', '.join(sizes)} is unknown"
        spent += line.amounts.spent
    running = [item for item in records if item.kind is Kind.DEPLOYMENT and item.ended is None]
    rate = sum(item.hourly or 0.0 for item in running if item.dataset != without)
    counted = {item.tuning for item in running}
    for item in commitments:
        if item.tuning in counted or item.dataset == without:
            continue
        price = price_of(item.instance_type)
        if price is None:
            unknown = f"the price of {item.instance_type} is unknown"
        else:
            rate += price.hourly * item.instance_count
    return Forecast(month, currency, spent, rate, spent + rate * _rest(month, now), unknown)


def objection(
    wanted: Commitment,
    records: Sequence[CostRecord],
    commitments: Iterable[Commitment],
    waiting: Iterable[Commitment],
    price_of: PriceOf,
    limit: float,
    currency: str,
    now: datetime,
) -> str:
    """Why its deployment has to wait; empty: it has not to. Those that wait go in order of arrival."""
    before = [item for item in waiting if (item.arrived, item.tuning) < (wanted.arrived, wanted.tuning)]
    if before:
        return f"budget: {min(before, key=lambda item: (item.arrived, item.tuning)).tuning} waits before it"
    others = [item for item in commitments if item.tuning != wanted.tuning]
    seen = forecast(records, others, price_of, currency, now, without=wanted.dataset)
    price = price_of(wanted.instance_type)
    if price is None or seen.unknown:
        return f"budget: {seen.unknown or f'the price of {wanted.instance_type} is unknown'}; set it in PRICES"
    rate = price.hourly * wanted.instance_count
    total = seen.total + rate * _rest(seen.month, now)
    if total <= limit:
        return ""
    return (
        f"budget: {seen.spent:,.2f} {currency} spent in {seen.month}, {seen.running:,.2f} an hour run; with "
        f"{rate:,.2f} an hour more the month would come to {total:,.2f} of {limit:,.2f}"
    )


def _rest(month: Month, now: datetime) -> float:
    """Hours until the month ends."""
    return (month.end - now) / _HOUR
