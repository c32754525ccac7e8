from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import names
from shared.azureml.resources import OnlineDeployment, OnlineEndpoint
from shared.config import Settings
from shared.errors import RaceLostError, TransientError
from shared.idle import memory
from shared.idle.memory import Memory, Remembered
from shared.idle.patience import Patiently
from shared.idle.ports import Calls
from shared.idle.report import EndpointReport, SweepReport
from shared.idle.series import MINUTE, Series, Unavailable, floor_minute
from shared.idle.sweep import Sweep
from shared.lifecycle.actions import CleanUp
from shared.lifecycle.decide import Observed, decide
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import State, Tuning
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

    def list_endpoints(self, patiently: Patiently) -> list[OnlineEndpoint]:
        listed = list(self.endpoints.values())
        self.after_list()
        return listed

    def get_endpoint(self, name: str) -> OnlineEndpoint | None:
        self.before_get()
        return self.endpoints.get(name)

    def set_endpoint_tags(self, name: str, tags: Mapping[str, str]) -> None:
        if name in self.failing:
            raise TransientError("tag endpoint: HTTP 409: busy")
        self.endpoints[name] = replace(self.endpoints[name], tags=dict(tags))

    def delete_endpoint(self, name: str) -> None:
        self.deleted.append(name)
        self.endpoints[name] = replace(self.endpoints[name], provisioning_state="Deleting")

    def list_deployments(self, endpoint: str) -> list[OnlineDeployment]:
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
    asked: list[tuple[dict[str, datetime], datetime]] = field(default_factory=list)

    def since(
        self, starts: Mapping[str, datetime], end: datetime, patiently: Patiently
    ) -> dict[str, Series | Unavailable]:
        self.asked.append((dict(starts), end))
        return {item: self._one(item.rsplit("/", 1)[-1], start, end) for item, start in starts.items()}

    def _one(self, name: str, start: datetime, end: datetime) -> Series | Unavailable:
        if name in self.unavailable or start >= end:
            return Unavailable("no answer")
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
    calls: Calls | None = None
    now: datetime = NOW

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
        settings = Settings(
            azure_subscription_id="s",
            azure_resource_group="g",
            azureml_workspace="w",
            azure_location="eastus",
            storage_blob_uri="",
            storage_queue_uri="",
            storage_table_uri="",
            **values,
        )
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
            calls=self.calls,
        )
        return sweep.run()

    def status(self, dataset: str) -> EndpointStatus:
        return self.ledger.rows[dataset].value.status

    def tags(self, dataset: str) -> Mapping[str, str]:
        return self.arm.endpoints[f"{dataset}-abc"].tags


@pytest.fixture
def world() -> World:
    return World()


def only(report: SweepReport) -> EndpointReport:
    [row] = report.endpoints
    return row


def test_an_endpoint_that_nobody_calls_is_marked_then_deleted_after_the_grace(world: World) -> None:
    world.add("chat", UNMARKED)
    kinds: list[str] = []

    while world.status("chat") is EndpointStatus.ACTIVE and len(kinds) < 10:
        kinds.append(only(world.sweep()).kind)
        world.now += timedelta(minutes=15)

    # The grace of 60 minutes, and what Monitor is late.
    assert kinds == ["mark", "marked", "marked", "marked", "marked", "delete"]
    assert world.wake_ups.woken == ["chat-v1"]
    assert world.tags("chat")[names.TAG_IDLE_SINCE] == NOW.isoformat()


def test_the_lifecycle_carries_the_deletion_out_with_the_reason_of_the_sweep(world: World) -> None:
    world.add("chat", GRACE_OVER)

    verdict = only(world.sweep())

    deleting = world.ledger.rows["chat"].value
    observed = Observed(record=deleting, endpoint=world.arm.endpoints["chat-abc"])
    action = decide(world.ledger.tuning_rows["chat-v1"], observed, NOW, {})
    assert isinstance(action, CleanUp)
    assert (action.outcome, action.reason.code) == (State.RETIRED, "Idle")
    assert action.reason.message == verdict.reason
    assert "no request since" in verdict.reason


def test_an_endpoint_that_is_used_again_loses_its_mark_and_keeps_its_other_tags(world: World) -> None:
    world.add("chat", {**GRACE_OVER, "team": "research"})
    world.metrics.used["chat-abc"] = {floor_minute(ago(minutes=20))}

    row = only(world.sweep())

    assert (row.kind, row.acted) == ("unmark", True)
    assert world.tags("chat") == {**UNMARKED, "team": "research", names.TAG_IDLE_SINCE: ""}
    assert world.status("chat") is EndpointStatus.ACTIVE


def test_a_dry_run_reports_the_same_and_touches_nothing(world: World) -> None:
    world.add("new", UNMARKED)
    world.add("due", GRACE_OVER)
    world.add("lost", GRACE_OVER, status=EndpointStatus.DELETING)

    report = world.sweep(idle_dry_run=True)

    assert report.dry_run
    assert report.counts == {"delete": 1, "keep": 1, "mark": 1}
    assert report.acted == 0
    assert world.status("due") is EndpointStatus.ACTIVE
    assert world.tags("new") == UNMARKED
    assert world.wake_ups.woken == []


@pytest.mark.parametrize(
    ("protect", "reason"),
    [
        (lambda world: world.metrics.unavailable.add("chat-abc"), "no metrics: no answer"),
        (
            lambda world: world.put(endpoint(tags={**GRACE_OVER, names.TAG_KEEP: "true"})),
            "tag droptune-keep",
        ),
        (
            lambda world: world.ledger.tuning_rows.update({"chat-v2": tuning("chat-v2", State.TRAINING)}),
            "tuning chat-v2 is unfinished",
        ),
        (
            lambda world: world.put(endpoint(tags={**GRACE_OVER, names.TAG_OWNER: "somebody"})),
            "not ours",
        ),
    ],
    ids=["missing metrics", "keep tag", "unfinished tuning", "not ours"],
)
def test_what_is_protected_stays_untouched_and_the_report_says_why(
    world: World, protect: Callable[[World], object], reason: str
) -> None:
    world.add("chat", GRACE_OVER)
    protect(world)
    tags = world.tags("chat")

    row = only(world.sweep())

    assert (row.kind, row.acted, row.error) == ("keep", False, "")
    assert reason in row.reason
    assert world.tags("chat") == tags
    assert world.status("chat") is EndpointStatus.ACTIVE


def test_our_own_smoke_test_does_not_keep_an_endpoint(world: World) -> None:
    world.add("chat", GRACE_OVER)
    world.ledger.tuning_rows["chat-v0"] = tuning(
        "chat-v0", State.ROLLED_BACK, endpoint="chat-abc", smoke_requests=(ago(minutes=19.5),)
    )
    world.metrics.used["chat-abc"] = {floor_minute(ago(minutes=19.5))}

    assert only(world.sweep()).kind == "delete"


def test_one_sweep_deletes_at_most_as_many_as_allowed(world: World) -> None:
    for number in range(4):
        world.add(f"chat{number}", GRACE_OVER)

    first = world.sweep(max_deletions_per_sweep=3)
    second = world.sweep(max_deletions_per_sweep=3)

    assert first.counts == {"delete": 4}
    assert [row.acted for row in first.endpoints] == [True, True, True, False]
    assert "limit of 3 deletions" in first.endpoints[3].reason
    assert second.counts == {"keep": 3, "delete": 1}
    assert {world.status(f"chat{number}") for number in range(4)} == {EndpointStatus.DELETING}


def test_an_error_on_one_endpoint_does_not_stop_the_others(world: World) -> None:
    world.add("a", UNMARKED)
    world.add("b", UNMARKED)
    world.arm.failing = frozenset({"a-abc"})

    report = world.sweep()

    assert [(row.kind, row.acted) for row in report.endpoints] == [("mark", False), ("mark", True)]
    assert report.endpoints[0].error == "TransientError: tag endpoint: HTTP 409: busy"
    assert report.errors == 1


@pytest.mark.parametrize(
    "changes",
    [{"tenants": ("chat-v1", "chat-v2")}, {"promoting": "chat-v2"}, {"live": "chat-v2"}, {"generation": 2}],
)
@pytest.mark.parametrize("moment", ["after the list", "before the write"])
def test_whoever_joins_meanwhile_wins_against_the_deletion(world: World, changes: dict[str, Any], moment: str) -> None:
    world.add("chat", GRACE_OVER)

    def join() -> None:
        world.ledger.rows["chat"] = Versioned(record(**changes), "9")

    if moment == "after the list":
        world.arm.before_get = join
    else:
        world.ledger.after_read = join

    row = only(world.sweep())

    assert (row.kind, row.acted) == ("keep", False)
    assert "changed meanwhile" in row.reason
    assert world.ledger.rows["chat"].value == record(**changes)
    assert world.wake_ups.woken == []


@pytest.mark.parametrize("tags", [UNMARKED, GRACE_OVER], ids=["to be marked", "to be deleted"])
def test_a_keep_tag_that_is_set_while_the_sweep_runs_is_respected_and_not_lost(
    world: World, tags: dict[str, str]
) -> None:
    world.add("chat", tags)
    kept = {**tags, names.TAG_KEEP: "true"}
    world.arm.after_list = lambda: world.arm.set_endpoint_tags("chat-abc", kept)

    row = only(world.sweep())

    assert (row.kind, row.acted) == ("keep", False)
    assert world.tags("chat") == kept
    assert world.status("chat") is EndpointStatus.ACTIVE


def test_an_endpoint_that_is_gone_meanwhile_is_left_alone(world: World) -> None:
    world.add("chat", GRACE_OVER)
    world.arm.after_list = world.arm.endpoints.clear

    assert only(world.sweep()).reason == "is gone"


def test_a_deletion_whose_wake_up_was_lost_is_woken_by_the_next_sweep(world: World) -> None:
    world.add("chat", GRACE_OVER)
    world.wake_ups.broken = True
    failed = only(world.sweep())
    world.wake_ups.broken = False

    row = only(world.sweep())

    assert failed.error
    assert (row.kind, row.acted) == ("keep", True)
    assert "is being deleted: no request since" in row.reason
    assert world.wake_ups.woken == ["chat-v1"]


@pytest.mark.parametrize("somebody_elses", [False, True])
def test_a_live_tuning_whose_endpoint_is_no_more_is_woken(world: World, somebody_elses: bool) -> None:
    world.add("chat", {})
    world.add("faq", UNMARKED)
    if not somebody_elses:
        del world.arm.endpoints["chat-abc"]

    report = world.sweep()

    assert world.wake_ups.woken == ["chat-v1"]
    assert "faq-abc" in [row.name for row in report.endpoints]


def test_a_deletion_that_is_under_way_is_not_woken_again(world: World) -> None:
    world.add("chat", GRACE_OVER, status=EndpointStatus.DELETING)
    world.ledger.tuning_rows["chat-v1"] = tuning("chat-v1", State.CLEANING_UP)

    assert not only(world.sweep()).acted
    assert world.wake_ups.woken == []


def test_metrics_are_asked_for_once_up_to_what_monitor_can_know(world: World) -> None:
    world.now = NOW + timedelta(seconds=42)
    for number in range(3):
        world.add(f"chat{number}", UNMARKED)
    world.add("young", UNMARKED, live_since=ago(hours=4, minutes=20, seconds=30))
    world.add("newborn", UNMARKED, live_since=ago(hours=1))
    world.arm.endpoints["foreign"] = endpoint("foreign", {})

    world.sweep()

    end = NOW - METRICS_DELAY
    [(starts, until)] = world.metrics.asked
    assert until == end
    assert {item.rsplit("/")[-1]: start for item, start in starts.items()} == {
        **{f"chat{number}-abc": end - timedelta(hours=5) for number in range(3)},
        "young-abc": ago(hours=4, minutes=20),
        "foreign": end - timedelta(hours=5),
    }


def test_every_decision_is_one_line_of_the_log_and_the_sweep_another(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.add("chat", UNMARKED)
    world.arm.endpoints["foreign"] = endpoint("foreign", {})

    with caplog.at_level(logging.INFO):
        world.sweep()

    assert [re.split("[:;] no request", line)[0] for line in caplog.messages] == [
        "idle sweep: endpoint chat-abc: mark (done)",
        "idle sweep: endpoint foreign: keep (nothing done): not ours",
        "idle sweep: 2 endpoints {'mark': 1, 'keep': 1}, 1 acted on, 0 errors",
    ]
