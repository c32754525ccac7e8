"""The ledger's other rows: versions that are being collected, and the endpoint of each dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.lifecycle.tuning import LATE
from shared.telemetry.traces import Trace


class VersionState(StrEnum):
    COLLECTING = "collecting"
    """Files arrive; taken once the version was quiet for a while and complete."""
    TAKEN = "taken"
    """`tuning_id` is what became of it, until its files change."""


@dataclass(frozen=True, kw_only=True)
class DatasetVersion:
    """A version of a dataset as it lies in blob storage. `files` maps file names to ETags."""

    dataset: str
    version: str
    state: VersionState
    files: dict[str, str]
    first_seen: datetime
    changed_at: datetime
    wake_at: datetime
    revision: int = 1
    """Counts changes of `files`; a wake-up message of an older revision is out of date."""
    tuning_id: str = ""
    errors: int = 0
    last_error: str = ""
    failing_since: datetime | None = None
    """When the first failed of the tries to take this revision."""
    trace: Trace | None = None
    """Of what is being collected; the tuning goes on with it."""

    def looked_at(self, now: datetime) -> DatasetVersion:
        """At the beginning of a try: if it comes late, the time in which nobody could try is not held against it."""
        late = now - self.wake_at
        if self.failing_since is None or late <= LATE:
            return self
        return replace(self, failing_since=self.failing_since + late)


class EndpointStatus(StrEnum):
    NONE = "none"
    ACTIVE = "active"
    DELETING = "deleting"


@dataclass(frozen=True, kw_only=True)
class EndpointRecord:
    """Who uses the endpoint of a dataset. Changed by compare-and-swap only: it is the lock between tunings.

    `tenants` are the tunings that have or may make a deployment on it; the endpoint is deleted only when
    nobody but the deleter is left, and who comes while it is being deleted takes the next generation.
    """

    dataset: str
    generation: int = 1
    name: str = ""
    status: EndpointStatus = EndpointStatus.NONE
    tenants: tuple[str, ...] = ()
    live: str = ""
    live_since: datetime | None = None
    promoting: str = ""
    retire_reason: str = ""
    """Why the idle sweep deletes it, while it does."""
    last_live: str = ""
    """Who was live last, also when nobody is any more: who is woken when somebody calls."""

    @property
    def given_up(self) -> bool:
        """Whether its deletion was decided by the idle sweep or an operator, not because its last tuning goes."""
        return self.status is EndpointStatus.DELETING and bool(self.retire_reason)

    def joined(self, tuning_id: str, name: str) -> EndpointRecord:
        tenants = tuple(sorted({*self.tenants, tuning_id}))
        return replace(self, tenants=tenants, name=name, status=EndpointStatus.ACTIVE)

    def left(self, tuning_id: str) -> EndpointRecord:
        return replace(
            self,
            tenants=tuple(tenant for tenant in self.tenants if tenant != tuning_id),
            live="" if self.live == tuning_id else self.live,
            live_since=None if self.live == tuning_id else self.live_since,
            promoting="" if self.promoting == tuning_id else self.promoting,
        )

    def gone(self) -> EndpointRecord:
        """After the endpoint was deleted: the next one is a new generation."""
        return EndpointRecord(dataset=self.dataset, generation=self.generation + 1, last_live=self.last_live)


@dataclass(frozen=True, kw_only=True)
class LastCall:
    """When a call of a dataset was last passed on, to a minute. Never moves backwards."""

    dataset: str
    at: datetime
