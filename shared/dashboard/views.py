"""What the pages show, as it was looked up; frozen, so that the pages are pure functions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from shared.azureml.resources import MetricPoint
from shared.costs.records import CostRecord
from shared.idle.series import Series
from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.records import DatasetVersion
from shared.lifecycle.tuning import State, Tuning

Curves: TypeAlias = Mapping[str, tuple[MetricPoint, ...]]
"""How metrics of a job developed, by name."""


@dataclass(frozen=True)
class Collecting:
    """A version whose files arrive. `missing` are the files without which it is not taken."""

    version: DatasetVersion
    missing: tuple[str, ...]
    due: datetime


@dataclass(frozen=True, kw_only=True)
class Board:
    """`under_way` and `live` are empty where a filter is set: then `listed` has all that it takes."""

    dataset: str = ""
    state: State | None = None
    counts: Mapping[State, int]
    collecting: tuple[Collecting, ...] = ()
    collecting_in_all: int = 0
    slots: JobSlots = field(default_factory=JobSlots)
    max_active_jobs: int = 0
    under_way: tuple[Tuning, ...] = ()
    live: tuple[Tuning, ...] = ()
    listed: tuple[Tuning, ...] = ()
    next: str = ""
    """The continuation of the page after this one."""
    later: bool = False
    """Whether this is not the first page."""
    deadlines: Mapping[State, timedelta] = field(default_factory=dict)

    @property
    def filtered(self) -> bool:
        return bool(self.dataset or self.state)


@dataclass(frozen=True)
class SplitFigures:
    """Of the validation report."""

    name: str
    rows: int
    tokens: int
    median: int
    p95: int
    longest: int
    errors: int
    warnings: int


@dataclass(frozen=True)
class Validation:
    valid: bool
    problems: tuple[str, ...]
    splits: tuple[SplitFigures, ...]


@dataclass(frozen=True)
class SmokeSample:
    """`question` is what was asked last, after what was said before."""

    before: tuple[tuple[str, str], ...]
    question: str
    answer: str
    truth: str
    live: str = ""
    """What the live deployment answered."""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class SmokeTest:
    passed: bool
    detail: str
    at: datetime
    samples: tuple[SmokeSample, ...]


@dataclass(frozen=True, kw_only=True)
class TuningView:
    tuning: Tuning
    waiting_for: str = ""
    """As it is now, not as it was at the last look."""
    deadline: datetime | None = None
    validation: Validation | None = None
    smoke: SmokeTest | None = None
    curves: Curves = field(default_factory=dict)
    costs: tuple[CostRecord, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EndpointView:
    name: str
    dataset: str
    state: str = ""
    live: str = ""
    keep: str = ""
    reason: str = ""
    """The idle sweep's, in its words."""
    idle_since: datetime | None = None
    deletes_at: datetime | None = None
    hourly: float | None = None
    since_last_request: float | None = None
    currency: str = ""
    requests: Series | None = None
    no_requests: str = ""
    """Why there are none to show."""


@dataclass(frozen=True)
class Asleep:
    """A dataset whose endpoint was deleted; `last_live` can be deployed again."""

    dataset: str
    last_live: str


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    endpoints: tuple[EndpointView, ...]
    in_all: int
    asleep: tuple[Asleep, ...] = ()
    asleep_in_all: int = 0
    page: int = 1
    pages: int = 1
    swept_at: datetime | None = None
    warning: str = ""
