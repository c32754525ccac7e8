"""How a dataset's endpoint is, for whoever wants to call it: live, asleep, on its way, or why not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from shared.datasets.paths import MAX_NAME_LENGTH
from shared.lifecycle.listing import Listing
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import ENDED, UNFINISHED, State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.lifecycle.ledger import Ledger, Versioned
    from shared.lifecycle.tuning import HistoryEntry, Tuning

_DATASET = re.compile(rf"[a-z0-9-]{{1,{MAX_NAME_LENGTH}}}", re.ASCII)


class Situation(StrEnum):
    LIVE = "live"
    COMING = "coming"
    """A model of it is being deployed, or tested."""
    GOING = "going"
    """It is being deleted; when that is over it can be woken."""
    ASLEEP = "asleep"
    """It was deleted; its last live model can be deployed again."""
    BROKEN = "broken"
    """The last try to bring it back failed: a person has to look."""
    NEVER_LIVE = "never_live"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Standing:
    """`row` is the tuning that is meant: who is live, comes, goes, or was live last; None: there is none."""

    situation: Situation
    record: EndpointRecord
    row: Versioned[Tuning] | None = None

    @property
    def tuning(self) -> Tuning | None:
        return None if self.row is None else self.row.value


def look(ledger: Ledger, dataset: str) -> Standing:
    """Reads two or three rows; of a dataset that was never live also the list of its tunings."""
    record = ledger.endpoint(dataset).value if _DATASET.fullmatch(dataset) else None
    if record is None:
        return Standing(Situation.UNKNOWN, EndpointRecord(dataset=""))
    if record.live and record.status is EndpointStatus.ACTIVE:
        return Standing(Situation.LIVE, record, ledger.tuning(record.live))
    last = _last_live(ledger, record)
    rival = _rival(ledger, record, last)
    if rival is not None:
        return Standing(Situation.COMING, record, rival)
    if last is None:
        return _without_past(ledger, record)
    return Standing(_situation_of(last.value), record, last)


def _situation_of(last: Tuning) -> Situation:
    if last.state in (State.LIVE, State.CLEANING_UP):
        return Situation.GOING
    if last.state in UNFINISHED:
        return Situation.COMING
    # One that was superseded by a tuning which then did not become live is still what was live last.
    return Situation.ASLEEP if last.state in (State.RETIRED, State.SUPERSEDED) else Situation.BROKEN


def _rival(ledger: Ledger, record: EndpointRecord, last: Versioned[Tuning] | None) -> Versioned[Tuning] | None:
    """Another tuning that is on its way to this endpoint: it will be live before a wake would."""
    for tenant in record.tenants:
        if last is None or tenant != last.value.id:
            row = ledger.tuning(tenant)
            if row is not None and row.value.state in UNFINISHED - {State.CLEANING_UP}:
                return row
    return None


def _last_live(ledger: Ledger, record: EndpointRecord) -> Versioned[Tuning] | None:
    if record.last_live:
        return ledger.tuning(record.last_live)
    if not record.name and record.generation == 1:
        return None
    # Of a record that an older release wrote, which did not know who was live last.
    retired = ledger.page(Listing(limit=1, states=frozenset({State.RETIRED}), collecting=False, dataset=record.dataset))
    return ledger.tuning(retired[0].id) if retired else None


def _without_past(ledger: Ledger, record: EndpointRecord) -> Standing:
    newest = ledger.page(Listing(limit=1, collecting=False, dataset=record.dataset))
    if newest:
        return Standing(Situation.NEVER_LIVE, record, ledger.tuning(newest[0].id))
    collecting = next(iter(ledger.collecting(record.dataset)), None)
    return Standing(Situation.NEVER_LIVE if collecting else Situation.UNKNOWN, record)


def seconds_to_live(tuning: Tuning, usual: float, now: datetime) -> float:
    """How much longer its deployment will take, by how long its earlier ones took; by `usual` for the first one."""
    durations, began = _deployments(tuning.history)
    expected = median(durations) if durations else usual
    return expected - (now - began).total_seconds() if began is not None else expected


def _deployments(history: Iterable[HistoryEntry]) -> tuple[list[float], datetime | None]:
    """Seconds from registered to live, of each time; and since when it is on its way now."""
    durations: list[float] = []
    began: datetime | None = None
    for entry in history:
        if entry.state is State.REGISTERED:
            began = began or entry.at
        elif entry.state is State.LIVE and began is not None:
            durations.append((entry.at - began).total_seconds())
            began = None
        elif entry.state in ENDED:
            began = None
    return durations, began
