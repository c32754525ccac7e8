"""A ledger, a workspace and a Monitor in memory, for sweeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared import names
from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
from shared.config import Settings
from shared.costs.records import Price
from shared.errors import RaceLostError, ThrottledError, TransientError
from shared.idle import memory
from shared.idle.memory import Memory, Remembered
from shared.idle.patience import Patiently
from shared.idle.ports import Calls
from shared.idle.report import SweepReport
from shared.idle.series import MINUTE, Series, Unavailable
from shared.idle.sweep import Sweep
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import Tuning
from tests.unit.idle_cases import LONG_AGO, NOW, OWNER, UNMARKED, ago, deployment, endpoint, record, tuning

METRICS_DELAY = timedelta(minutes=5)
OURS = {names.TAG_OWNER: OWNER}

GRACE_OVER = {**UNMARKED, names.TAG_IDLE_SINCE: ago(hours=3).isoformat()}


@dataclass
class Ledger:
    """Compares ETags as the table does. `after_read` is somebody else who writes in between."""

    rows: dict[str, Versioned[EndpointRecord]] = field(default_factory=dict)
    tuning_rows: dict[str, Tuning] = field(default_factory=dict)
    tuning_etags: Counter[str] = field(default_factory=Counter)
    after_read: Callable[[], None] = lambda: None

    def add(self, row: EndpointRecord, *tunings: Tuning) -> None:
        self.rows[row.dataset] = Versioned(row, "1")
        self.tuning_rows.update({tuning.id: tuning for tuning in tunings})

    def tunings(self) -> list[Versioned[Tuning]]:
        return [self._tuning_row(row) for row in self.tuning_rows.values()]

    def tuning(self, tuning_id: str) -> Versioned[Tuning] | None:
        row = self.tuning_rows.get(tuning_id)
        return None if row is None else self._tuning_row(row)

    def endpoints(self) -> list[Versioned[EndpointRecord]]:
        return list(self.rows.values())

    def endpoint(self, dataset: str) -> Versioned[EndpointRecord]:
        row = self.rows.get(dataset) or Versioned(EndpointRecord(dataset=dataset), "")
        self.after_read()
        return row

    def put(self, row: Versioned[Any]) -> Versioned[Any]:
        if isinstance(row.value, Tuning):
            return self._put_tuning(row)
        found = self.rows.get(row.value.dataset)
        if (found.etag if found else "") != row.etag:
            raise RaceLostError("written by somebody else")
        self.rows[row.value.dataset] = Versioned(row.value, str(int(row.etag or "0") + 1))
        return self.rows[row.value.dataset]

    def _tuning_row(self, row: Tuning) -> Versioned[Tuning]:
        return Versioned(row, str(self.tuning_etags[row.id]))

    def _put_tuning(self, row: Versioned[Tuning]) -> Versioned[Tuning]:
        if str(self.tuning_etags[row.value.id]) != row.etag:
            raise RaceLostError("written by somebody else")
        self.tuning_etags[row.value.id] += 1
        self.tuning_rows[row.value.id] = row.value
        return self._tuning_row(row.value)


@dataclass
class Arm:
    endpoints: dict[str, OnlineEndpoint] = field(default_factory=dict)
    after_list: Callable[[], None] = lambda: None
    before_get: Callable[[], None] = lambda: None
    failing: frozenset[str] = frozenset()
    deployments: dict[str, dict[str, OnlineDeployment]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    throttled: Iterator[float] = field(default_factory=lambda: iter(()))
    """Seconds for which the next calls are refused; 0: that one is not."""
    dies_after: tuple[int, BaseException] | None = None
    """So many calls are carried out; the last of them kills its caller."""
    calls: int = 0

    def _called(self) -> None:
        if seconds := next(self.throttled, 0.0):
            raise ThrottledError("HTTP 429", seconds)

    def _done(self) -> None:
        self.calls += 1
        if self.dies_after and self.calls == self.dies_after[0]:
            raise self.dies_after[1]

    def list_endpoints(self, patiently: Patiently) -> list[OnlineEndpoint]:
        patiently(self._called)
        listed = list(self.endpoints.values())
        self.after_list()
        self._done()
        return listed

    def get_endpoint(self, name: str) -> OnlineEndpoint | None:
        self._called()
        self.before_get()
        self._done()
        return self.endpoints.get(name)

    def set_endpoint_tags(self, name: str, tags: Mapping[str, str]) -> None:
        if name in self.failing:
            raise TransientError("tag endpoint: HTTP 409: busy")
        self._called()
        self.endpoints[name] = replace(self.endpoints[name], tags=dict(tags))
        self._done()

    def delete_endpoint(self, name: str) -> None:
        self.deleted.append(name)
        self.endpoints[name] = replace(self.endpoints[name], provisioning_state="Deleting")

    def list_deployments(self, endpoint: str) -> list[OnlineDeployment]:
        self._called()
        self._done()
        return list(self.deployments.get(endpoint, {}).values())

    def get_deployment(self, endpoint: str, name: str) -> OnlineDeployment | None:
        return self.deployments.get(endpoint, {}).get(name)

    def delete_deployment(self, endpoint: str, name: str) -> None:
        self.deleted.append(f"{endpoint}/{name}")
        del self.deployments[endpoint][name]


@dataclass
class Metrics:
    """Quiet but for the minutes in `used`; `asked` keeps every question."""

    used: dict[str, set[datetime]] = field(default_factory=dict)
    unavailable: set[str] = field(default_factory=set)
    known_until: datetime | None = None
    asked: list[tuple[dict[str, datetime], datetime]] = field(default_factory=list)

    def since(
        self, starts: Mapping[str, datetime], end: datetime, patiently: Patiently
    ) -> dict[str, Series | Unavailable]:
        self.asked.append((dict(starts), end))
        return {item: self._one(item.rsplit("/", 1)[-1], start, end) for item, start in starts.items()}

    def _one(self, name: str, start: datetime, end: datetime) -> Series | Unavailable:
        if name in self.unavailable or start >= end:
            return Unavailable("no answer")
        if self.known_until is not None and end > self.known_until:
            return Unavailable("minutes are missing")
        minutes = [start + number * MINUTE for number in range((end - start) // MINUTE)]
        used = self.used.get(name, set())
        return Series.of({minute: float(minute in used) for minute in minutes})


@dataclass
class WakeUps:
    woken: list[str] = field(default_factory=list)
    broken: bool = False

    def tuning(self, tuning_id: str) -> None:
        if self.broken:
            raise TransientError("send to queue: HTTP 503")
        self.woken.append(tuning_id)


@dataclass
class Reports:
    blobs: dict[str, bytes] = field(default_factory=dict)

    def write_report(self, tuning_id: str, content: bytes) -> None:
        self.blobs[tuning_id] = content

    def read_report(self, tuning_id: str) -> bytes | None:
        return self.blobs.get(tuning_id)


@dataclass
class Events:
    """What would be published, by type and time of the deletion."""

    published: list[tuple[str, datetime | None]] = field(default_factory=list)

    def publish_new(self, row: Versioned[Tuning]) -> None:
        self.published += [(entry.event, entry.until) for entry in row.value.history if entry.seq > row.value.published]


@dataclass
class World:
    ledger: Ledger = field(default_factory=Ledger)
    arm: Arm = field(default_factory=Arm)
    metrics: Metrics = field(default_factory=Metrics)
    wake_ups: WakeUps = field(default_factory=WakeUps)
    reports: Reports = field(default_factory=Reports)
    events: Events = field(default_factory=Events)
    pauses: list[float] = field(default_factory=list)
    prices: dict[str, Price] = field(default_factory=dict)
    gauges: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    calls: Calls | None = None
    now: datetime = NOW

    def endpoint(self, name: str, dataset: str, *, idle_seconds: float | None, hourly_cost: float | None) -> None:
        """In the role of the telemetry."""
        self.gauges[name] = idle_seconds, hourly_cost

    def add(self, dataset: str, tags: Mapping[str, str], **changes: Any) -> None:
        """An endpoint with a live tuning, known to earlier sweeps."""
        name = f"{dataset}-abc"
        live = tuning(f"{dataset}-v1", dataset=dataset, endpoint=name)
        self.ledger.add(record(dataset, **changes), live)
        self.put(endpoint(name, dict(tags)), deployment(tags={**OURS, names.TAG_TUNING: live.id}))

    def put(self, found: OnlineEndpoint, *deployments: OnlineDeployment) -> None:
        self.arm.endpoints[found.name] = found
        self.arm.deployments[found.name] = {item.name: item for item in deployments}
        known = memory.from_json(self.reports.read_report(names.IDLE_MEMORY)).endpoints
        seen = Remembered(memory.looks_of(found, deployments), first_seen=LONG_AGO)
        self.reports.write_report(names.IDLE_MEMORY, memory.to_json(Memory({**known, found.name: seen})))

    def sweep(self, **changes: Any) -> SweepReport:
        values: dict[str, Any] = {
            "idle_dry_run": False,
            "idle_after_minutes": 240,
            "idle_grace_minutes": 60,
            **changes,
        }
        settings = settings_of(**values)
        sweep = Sweep(
            settings=settings,
            ledger=self.ledger,
            wake_ups=self.wake_ups,
            arm=self.arm,
            metrics=self.metrics,
            reports=self.reports,
            events=self.events,
            clock=lambda: self.now,
            pause=self.pauses.append,
            owner=OWNER,
            metrics_delay=METRICS_DELAY,
            price=self.prices.get,
            telemetry=self,
            calls=self.calls,
        )
        return sweep.run()

    @property
    def workspace_id(self) -> str:
        return settings_of().workspace_id

    def status(self, dataset: str) -> EndpointStatus:
        return self.ledger.rows[dataset].value.status

    def tags(self, dataset: str) -> Mapping[str, str]:
        return self.arm.endpoints[f"{dataset}-abc"].tags


def settings_of(**changes: Any) -> Settings:
    return Settings(
        azure_subscription_id="s",
        azure_resource_group="g",
        azureml_workspace="w",
        azure_location="eastus",
        storage_blob_uri="",
        storage_queue_uri="",
        storage_table_uri="",
        **changes,
    )
