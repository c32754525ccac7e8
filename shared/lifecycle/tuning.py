"""A tuning: one attempt to turn one exact content of a dataset version into a live model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.lifecycle.canary import CanaryFigures
from shared.lifecycle.own_requests import MinuteOfRequests, moments
from shared.serving.smoke_report import Figures
from shared.telemetry.traces import Trace


class State(StrEnum):
    PREPARING = "preparing"
    """Valid; its splits are being copied to where the job reads them."""
    QUEUED = "queued"
    """Ready for its job; as many jobs as allowed are running, the older tunings' first."""
    TRAINING = "training"
    REGISTERED = "registered"
    WAITING_FOR_BUDGET = "waiting_for_budget"
    """Its deployment would exceed what may be spent this month."""
    DEPLOYING = "deploying"
    TESTING = "testing"
    CANARY = "canary"
    """Passed its smoke test; it has a share of the traffic and is watched."""
    PROMOTING = "promoting"
    """Passed its smoke test; traffic is being moved to it."""
    LIVE = "live"
    CLEANING_UP = "cleaning_up"
    """What it had in the cloud is being removed; `outcome` is where it ends."""
    REJECTED = "rejected"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"
    RETIRED = "retired"


ENDED = frozenset({State.REJECTED, State.FAILED, State.ROLLED_BACK, State.SUPERSEDED, State.RETIRED})
UNFINISHED = frozenset(State) - ENDED - {State.LIVE}
"""On their way: something is to happen to them within a deadline."""
ON_ITS_WAY = UNFINISHED - {State.WAITING_FOR_BUDGET}
"""What waits for money uses no endpoint, and keeps none from being deleted that costs some."""

MARKED = "endpoint.marked"
UNMARKED = "endpoint.unmarked"
DELETING = "endpoint.deleting"
"""Events of history entries that tell of the endpoint, not of another state."""

LATE = timedelta(minutes=5)
"""A look that comes later than this after its time was kept from coming: messages lost, the app or its storage down."""

MAX_NOTICES = 8
"""Entries of that kind that a history keeps, so that a model which is idle every night does not forget its training."""
MAX_HISTORY = 60
MAX_MESSAGE = 300
"""Entries kept in the row, and characters of each: a string property of a table holds 32,768 characters."""


@dataclass(frozen=True)
class Split:
    """One validated split: `etag` is what was validated, and so what is copied and trained on.

    `size` and `content` (its identity, see `datasets.identity`) are those of the JSON Lines in `file`, which may be
    compressed.
    """

    name: str
    etag: str
    size: int
    rows: int
    content: str
    file: str = ""

    @property
    def source(self) -> str:
        """The name of the file that was uploaded."""
        return self.file or f"{self.name}.jsonl"


@dataclass(frozen=True)
class HistoryEntry:
    """Something that happened to a tuning. `seq` counts from 1 and identifies its lifecycle event."""

    seq: int
    at: datetime
    state: State
    message: str
    event: str = ""
    """What it tells of, if not of the state: see MARKED."""
    until: datetime | None = None
    """When the endpoint is to be deleted, of an entry that says so."""


@dataclass(frozen=True)
class Reason:
    """Why a tuning ended as it did: a stable code for programs, a message for people."""

    code: str
    message: str


@dataclass(frozen=True)
class SmokeResult:
    """The figures of a smoke test. Questions and answers are in the tuning's folder, not in the ledger.

    `latency_seconds` is the 95th percentile, `status` that of the first answer that fell short, else 200.
    """

    passed: bool
    latency_seconds: float
    status: int
    detail: str
    at: datetime
    figures: Figures | None = None
    live: Figures | None = None
    """Of the deployment that was live then, on the same questions."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """One row of the ledger. Times in UTC."""

    id: str
    dataset: str
    version: str
    fingerprint: str
    state: State
    created_at: datetime
    state_since: datetime
    wake_at: datetime
    """When it is looked at next if no event comes earlier."""

    splits: tuple[Split, ...] = ()
    base_model: str = ""
    base_model_id: str = ""
    component_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    dropped_parameters: Mapping[str, str] = field(default_factory=dict)
    """Model-specific defaults that the component does not take, with the reason."""
    display_name: str = ""
    finetune_instance_type: str = ""
    inference_instance_type: str = ""
    instance_count: int = 1
    smoke_expectations: Mapping[str, Any] = field(default_factory=dict)
    canary_settings: Mapping[str, Any] = field(default_factory=dict)
    idle: Mapping[str, Any] = field(default_factory=dict)
    """Its own idle settings. They change without training anew: see datasets.tuning_file.IdleSettings."""

    arrived_at: datetime | None = None
    """When an operator wished to return to it; None: when it was created."""
    attempt: int = 1
    """Counts replays of the training; part of the job's and the model version's name."""
    budget_exempt: bool = False
    """An operator allowed its deployment beyond the month's budget."""
    deploy_attempt: int = 1
    """Counts replays of the deployment; part of the deployment's name."""
    job: str = ""
    model_id: str = ""
    endpoint: str = ""
    deployment: str = ""
    smoke_attempts: int = 0
    smoke_answered: int = 0
    """Questions of this try that were answered and are kept in the tuning's folder."""
    own_requests: tuple[MinuteOfRequests, ...] = ()
    """What we asked the endpoint ourselves: it is not use."""
    smoke: SmokeResult | None = None

    canary_since: datetime | None = None
    """When its share of the traffic was there first."""
    canary: CanaryFigures | None = None

    outcome: State | None = None
    reason: Reason | None = None
    failed_stage: State | None = None
    errors: int = 0
    """Unexpected errors in a row."""
    last_error: str = ""
    waiting_for: str = ""
    """What the last look found that it has to wait for."""
    looks: int = 0
    """Looks at the running operation of this state, for the growing delay."""
    unseen_seconds: float = 0.0
    """Of the time in this state, what its deadline does not count: see `looked_at` and `counted_from`."""
    trace: Trace | None = None
    history: tuple[HistoryEntry, ...] = ()
    published: int = 0
    """`seq` up to which history was published as lifecycle events."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def arrived(self) -> datetime:
        return self.arrived_at or self.created_at

    @property
    def smoke_requests(self) -> tuple[datetime, ...]:
        """One moment, to the minute, for each request of our own."""
        return moments(self.own_requests)

    @property
    def due(self) -> str:
        """Identifies the planned next look."""
        return self.wake_at.isoformat()

    @property
    def watched_since(self) -> datetime:
        """Where the deadline of its state begins: time in which nobody could do anything about it is left out."""
        return self.state_since + timedelta(seconds=self.unseen_seconds)

    def looked_at(self, now: datetime) -> Tuning:
        """At the beginning of a look, which is to end in another `wake_at` or another state."""
        late = now - self.wake_at
        if late <= LATE or self.state not in UNFINISHED:
            return self
        return replace(self, unseen_seconds=self.unseen_seconds + late.total_seconds())

    def counted_from(self, moment: datetime) -> Tuning:
        """With a deadline that begins at this moment, if it began earlier: until then it waited for others."""
        before = (moment - self.state_since).total_seconds()
        return replace(self, unseen_seconds=max(self.unseen_seconds, before))

    @property
    def last_seq(self) -> int:
        return self.history[-1].seq if self.history else 0

    def noted(self, now: datetime, message: str, event: str = "", until: datetime | None = None) -> Tuning:
        """With one more history entry."""
        entry = HistoryEntry(self.last_seq + 1, now, self.state, message[:MAX_MESSAGE], event, until)
        history = self.history
        if event:
            notices = [item.seq for item in history if item.event and item.seq <= self.published]
            history = tuple(item for item in history if item.seq not in notices[: 1 - MAX_NOTICES])
        return replace(self, history=(*history, entry)[-MAX_HISTORY:])

    def moved(self, state: State, now: datetime, message: str, **changes: Any) -> Tuning:
        """In another state, to be looked at once more at once; the error and look counters start anew."""
        fresh: dict[str, Any] = {"errors": 0, "last_error": "", "looks": 0, "waiting_for": "", "wake_at": now}
        fresh |= {"unseen_seconds": 0.0, **changes}
        return replace(self, state=state, state_since=now, **fresh).noted(now, message)

    def waiting(self, now: datetime, seconds: float, why: str = "") -> Tuning:
        """Unchanged but for the next look, `seconds` from now."""
        wake_at = now + timedelta(seconds=seconds)
        looks = self.looks + 1
        return replace(self, wake_at=wake_at, waiting_for=why, looks=looks, errors=0, last_error="")

    def is_newer_than(self, other: Tuning) -> bool:
        """Order of arrival decides which of two tunings of a dataset may be live."""
        return (self.arrived, self.id) > (other.arrived, other.id)
