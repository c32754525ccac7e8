"""The ledger's rows about money: what was held, from when to when, and what it costs by the hour."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_HOUR = timedelta(hours=1)


class Kind(StrEnum):
    DEPLOYMENT = "deployment"
    JOB = "job"


@dataclass(frozen=True)
class Price:
    """Of one instance for one hour."""

    hourly: float
    currency: str


@dataclass(frozen=True, kw_only=True)
class CostRecord:
    """Something of ours that is paid for by the hour, from its creation to the end of its deletion. Times in UTC.

    `began` and `ended` are Azure's own where it tells them; of what vanished unseen, `ended` is when that was
    noticed, and the true end lies between `seen` and it.
    """

    kind: Kind
    dataset: str
    tuning: str
    name: str
    """Of a deployment: `endpoint/deployment`."""
    instance_type: str
    instance_count: int
    began: datetime
    seen: datetime
    """It is known to have existed until then."""
    ended: datetime | None = None
    exact: bool = True
    """Whether `ended` is Azure's own time."""
    operation: str = ""
    """URL of its last operation while nobody deleted it."""
    deletions: tuple[str, ...] = ()
    """URLs of the operations that delete it: they tell when that was over."""
    retired: bool = False
    """It was deleted because nobody used it."""
    price: Price | None = None
    """As it was then; None: unknown."""

    @property
    def key(self) -> str:
        """A second deployment of the same name begins at another time; the name of a job is never used again."""
        if self.kind is Kind.JOB:
            return f"{self.kind}.{self.name}"
        return f"{self.kind}.{self.name.replace('/', '.')}.{self.began.astimezone(UTC):%Y%m%dT%H%M%S%f}"

    @property
    def state(self) -> str:
        if self.ended is None:
            return "running"
        return "ended" if self.price else "unpriced"

    @property
    def endpoint(self) -> str:
        return self.name.partition("/")[0] if self.kind is Kind.DEPLOYMENT else ""

    @property
    def hourly(self) -> float | None:
        """Of all its instances; None: unknown."""
        return None if self.price is None else self.price.hourly * self.instance_count

    def hours(self, start: datetime, end: datetime) -> float:
        """Of all its instances, within [start, end); one that goes on counts until `end`."""
        return overlap(self.began, self.ended or end, start, end) / _HOUR * self.instance_count

    def seen_at(self, moment: datetime) -> CostRecord:
        return replace(self, seen=max(self.seen, moment))

    def closed(self, ended: datetime, *, exact: bool, retired: bool) -> CostRecord:
        return replace(self, ended=max(ended, self.began), exact=exact, retired=retired)


def overlap(began: datetime, ended: datetime, start: datetime, end: datetime) -> timedelta:
    """How much of [began, ended) lies within [start, end)."""
    return max(min(ended, end) - max(began, start), timedelta(0))


@dataclass(frozen=True, kw_only=True)
class PriceRecord:
    """What the price list said of one VM size. `read_at` None: somebody asked for it, the list was not read yet."""

    instance_type: str
    region: str
    currency: str
    hourly: float | None = None
    since: datetime | None = None
    """When this price came into effect."""
    read_at: datetime | None = None
    problem: str = ""
    """Why it is unknown."""

    @property
    def key(self) -> str:
        return price_key(self.instance_type, self.region, self.currency)

    @property
    def state(self) -> str:
        return "wanted" if self.read_at is None else "unknown" if self.hourly is None else "known"


def price_key(instance_type: str, region: str, currency: str) -> str:
    """Sizes are compared without case."""
    return f"{currency}.{region}.{instance_type}".lower()


def is_instance_type(text: str) -> bool:
    """Whether it can be a VM size: it becomes part of a row's key and of a query."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text, re.ASCII) is not None
