"""What the sweep does not delete, and what it does with what no tuning uses any more."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared import names
from shared.costs.records import Price
from shared.errors import ThrottledError, TransientError
from shared.idle.report import DRY_RUN, EndpointReport, SweepReport
from shared.idle.series import floor_minute
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import MARKED, UNMARKED, State
from tests.unit.idle_cases import LONG_AGO, ago, deployment, endpoint, record, tuning
from tests.unit.idle_cases import UNMARKED as OURS_UNMARKED
from tests.unit.sweep_world import GRACE_OVER, OURS, World


@pytest.fixture
def world() -> World:
    return World()


def only(report: SweepReport) -> EndpointReport:
    [row] = report.endpoints
    return row


def sweeps(world: World, hours: float, every: int = 15) -> list[str]:
    """The verdicts of so many hours of sweeps, without repetitions."""
    kinds: list[str] = []
    for _ in range(int(hours * 60 / every)):
        kind = only(world.sweep()).kind
        if kinds[-1:] != [kind]:
            kinds.append(kind)
        world.now += timedelta(minutes=every)
    return kinds


HAND_MADE: dict[str, Callable[[World], None]] = {
    "a tag": lambda world: world.arm.set_endpoint_tags("chat-abc", {**world.tags("chat"), "team": "research"}),
    "the description": lambda world: world.arm.endpoints.update(
        {"chat-abc": replace(world.arm.endpoints["chat-abc"], description="ours now")}
    ),
    "the size of its deployment": lambda world: world.arm.deployments["chat-abc"].update(
        {"t-1": replace(world.arm.deployments["chat-abc"]["t-1"], instance_count=2)}
    ),
    "a keep tag that is taken away again": lambda world: world.arm.set_endpoint_tags(
        "chat-abc", {**world.tags("chat"), names.TAG_KEEP: "false"}
    ),
}


@pytest.mark.parametrize("change", HAND_MADE.values(), ids=HAND_MADE)
def test_what_is_changed_by_hand_is_not_deleted_before_a_whole_idle_time_is_over(
    world: World, change: Callable[[World], None]
) -> None:
    world.add("chat", GRACE_OVER)
    change(world)
    changed_at = world.now

    assert only(world.sweep()).kind == "unmark"

    world.now += timedelta(minutes=15)
    while (row := only(world.sweep())).kind == "keep":
        world.now += timedelta(minutes=15)
    assert row.kind == "mark"
    assert world.now - changed_at >= timedelta(hours=4)


def test_our_own_mark_is_no_change_by_hand(world: World) -> None:
    world.add("chat", OURS_UNMARKED)

    assert sweeps(world, 2) == ["mark", "marked", "delete", "keep"]


def test_a_change_that_the_sweep_noticed_and_died_on_is_noticed_again(world: World) -> None:
    world.add("chat", GRACE_OVER)
    HAND_MADE["a tag"](world)
    remembered = dict(world.reports.blobs)
    world.sweep()
    world.reports.blobs.clear()
    world.reports.blobs.update(remembered)

    assert only(world.sweep()).kind == "keep"
    assert world.status("chat") is EndpointStatus.ACTIVE


@pytest.mark.parametrize("memory", [None, b"", b"{}", b'{"endpoints": 7}', b"\xff"])
def test_without_its_memory_the_sweep_gives_a_whole_grace_anew(world: World, memory: bytes | None) -> None:
    world.add("chat", GRACE_OVER)
    del world.reports.blobs[names.IDLE_MEMORY]
    if memory is not None:
        world.reports.blobs[names.IDLE_MEMORY] = memory
    started = world.now

    while only(world.sweep()).kind == "marked":
        world.now += timedelta(minutes=15)

    assert world.status("chat") is EndpointStatus.DELETING
    assert world.now - started >= timedelta(hours=1)


def test_a_memory_that_can_not_be_read_just_now_ends_the_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add("chat", GRACE_OVER)

    def fail(_: str) -> bytes:
        raise TransientError("HTTP 503")

    monkeypatch.setattr(world.reports, "read_report", fail)

    with pytest.raises(TransientError):
        world.sweep()
    assert world.status("chat") is EndpointStatus.ACTIVE


@pytest.mark.parametrize("wrong_by", [timedelta(hours=3), timedelta(minutes=-50), timedelta(hours=-30)])
def test_a_clock_that_is_wrong_deletes_nothing_early(world: World, wrong_by: timedelta) -> None:
    """Monitor answers up to its own time; the endpoint was marked half an hour ago, by a clock that is right."""
    truth = world.now
    world.metrics.known_until = truth
    world.add("chat", {**OURS_UNMARKED, names.TAG_IDLE_SINCE: ago(minutes=30).isoformat()})
    world.now = truth + wrong_by

    report = only(world.sweep())

    assert report.kind != "delete"
    assert world.status("chat") is EndpointStatus.ACTIVE


@pytest.mark.parametrize("late", [5, 20, 60])
def test_a_monitor_that_lacks_the_newest_minutes_deletes_nothing(world: World, late: int) -> None:
    world.add("chat", GRACE_OVER)
    world.metrics.known_until = world.now - timedelta(minutes=late + 1)

    assert only(world.sweep()).kind == "keep"


def test_a_call_through_the_gateway_counts_at_once_and_to_the_last_moment(world: World) -> None:
    world.add("chat", GRACE_OVER)
    calls = {"chat": ago(hours=9)}

    class Gateway:
        def last_calls(self) -> dict[str, datetime]:
            return dict(calls)

        def last_call(self, dataset: str) -> datetime | None:
            calls["chat"] = ago(seconds=2)
            return calls[dataset]

    world.calls = Gateway()

    row = only(world.sweep())

    assert (row.kind, row.acted) == ("unmark", False)
    assert world.status("chat") is EndpointStatus.ACTIVE


def test_a_version_s_own_settings_count_while_it_is_live(world: World) -> None:
    world.add("chat", GRACE_OVER)
    world.ledger.tuning_rows["chat-v1"] = replace(world.ledger.tuning_rows["chat-v1"], idle={"after_minutes": 6000})
    world.metrics.used["chat-abc"] = {floor_minute(ago(hours=50))}

    assert "less than 100 h" in only(world.sweep()).reason
    assert world.status("chat") is EndpointStatus.ACTIVE


def test_settings_of_a_version_that_can_not_be_read_keep_its_endpoint_and_no_other(world: World) -> None:
    world.add("chat", GRACE_OVER)
    world.add("other", GRACE_OVER)
    world.ledger.tuning_rows["chat-v1"] = replace(world.ledger.tuning_rows["chat-v1"], idle={"keep_hours": "sometimes"})

    report = world.sweep()

    assert [(row.kind, row.acted) for row in report.endpoints] == [("keep", False), ("delete", True)]
    assert "the idle settings of chat-v1 can not be read" in report.endpoints[0].reason


def test_in_keep_hours_nothing_happens_and_afterwards_it_does(world: World) -> None:
    """It is Sunday noon."""
    world.add("chat", OURS_UNMARKED)
    hours = {"keep_hours": "Sun 08:00-18:00 UTC"}
    world.ledger.tuning_rows["chat-v1"] = replace(world.ledger.tuning_rows["chat-v1"], idle=hours)

    assert sweeps(world, 6) == ["keep"]
    assert world.tags("chat") == OURS_UNMARKED
    assert sweeps(world, 2) == ["mark", "marked", "delete", "keep"]


def test_marks_are_told_once_with_the_time_of_the_deletion_also_after_a_death(world: World) -> None:
    world.add("chat", OURS_UNMARKED)
    world.sweep()
    deletes_at = world.now + timedelta(hours=1)

    assert world.events.published == [(MARKED, deletes_at)]

    # The tag was set, and the sweep died before it told of it.
    world.ledger.tuning_rows["chat-v1"] = tuning(history=())
    world.now += timedelta(minutes=15)
    world.sweep()
    world.now += timedelta(minutes=15)
    world.sweep()
    assert world.events.published == [(MARKED, deletes_at)] * 2

    world.metrics.used["chat-abc"] = {floor_minute(world.now - timedelta(minutes=6))}
    world.sweep()
    world.now += timedelta(minutes=15)
    world.sweep()
    assert world.events.published[-1] == (UNMARKED, None)


def test_a_mark_within_hours_that_never_end_announces_nothing(world: World) -> None:
    world.add("chat", GRACE_OVER)
    always = {"keep_hours": "Mon-Sun 00:00-24:00 UTC"}
    world.ledger.tuning_rows["chat-v1"] = replace(world.ledger.tuning_rows["chat-v1"], idle=always)

    assert sweeps(world, 2) == ["marked"]
    assert world.events.published == []


def orphan(world: World, tags: dict[str, str] = GRACE_OVER, **changes: object) -> None:
    """Beside a dataset that is in order: an endpoint of `lost`, of which the ledger knows nothing."""
    world.ledger.rows.setdefault("fine", Versioned(record("fine", name="fine-abc"), "1"))
    name = names.endpoint_name(world.workspace_id, "lost", 1)
    found = endpoint(name, {**tags, names.TAG_DATASET: "lost"}, **changes)
    world.put(found, deployment("t-9", tags={**OURS, names.TAG_TUNING: "lost-v1"}))


def test_an_orphan_is_deleted_after_its_own_grace_and_its_name_is_closed(world: World) -> None:
    orphan(world, OURS_UNMARKED, traffic={})
    kinds = sweeps(world, 3)

    name = names.endpoint_name(world.workspace_id, "lost", 1)
    assert kinds == ["mark", "marked", "delete", "keep"]
    assert world.arm.deleted == [name]
    closed = world.ledger.rows["lost"].value
    assert (closed.name, closed.status) == (name, EndpointStatus.DELETING)
    assert world.wake_ups.woken == []


def test_an_orphan_with_traffic_that_somebody_calls_stays(world: World) -> None:
    orphan(world, OURS_UNMARKED, traffic={"t-9": 100})
    name = names.endpoint_name(world.workspace_id, "lost", 1)
    world.metrics.used[name] = {floor_minute(world.now + timedelta(minutes=30 * number)) for number in range(60)}

    assert set(sweeps(world, 24, every=30)) <= {"mark", "keep", "unmark"}
    assert world.arm.deleted == []


def test_an_empty_ledger_deletes_nothing(world: World) -> None:
    orphan(world, traffic={})
    world.ledger.rows.clear()

    row = only(world.sweep())

    assert (row.kind, row.acted) == ("keep", False)
    assert "the ledger is empty" in row.reason
    assert world.arm.deleted == []


def test_a_tuning_that_takes_the_name_of_an_orphan_meanwhile_wins(world: World) -> None:
    orphan(world, traffic={})
    name = names.endpoint_name(world.workspace_id, "lost", 1)

    def join() -> None:
        joined = EndpointRecord(dataset="lost").joined("lost-v2", name)
        world.ledger.rows["lost"] = Versioned(joined, "7")

    world.arm.before_get = join

    only(world.sweep())

    assert world.ledger.rows["lost"].value.status is EndpointStatus.ACTIVE
    assert world.arm.deleted == []


def test_an_orphan_whose_deletion_failed_is_deleted_again(world: World) -> None:
    orphan(world, traffic={})
    world.sweep()
    name = names.endpoint_name(world.workspace_id, "lost", 1)
    world.arm.endpoints[name] = replace(world.arm.endpoints[name], provisioning_state="Failed")

    world.sweep()

    assert world.arm.deleted == [name, name]


def left_over(world: World, state: State | None = State.SUPERSEDED) -> None:
    """Deployment t-0 of chat-v0, beside the one that is live and in use."""
    world.add("chat", OURS_UNMARKED)
    world.metrics.used["chat-abc"] = {floor_minute(world.now + timedelta(minutes=15 * n)) for n in range(-40, 40)}
    if state:
        world.ledger.tuning_rows["chat-v0"] = tuning("chat-v0", state, endpoint="chat-abc", deployment="t-0")
    world.arm.deployments["chat-abc"]["t-0"] = deployment("t-0", tags={**OURS, names.TAG_TUNING: "chat-v0"})


@pytest.mark.parametrize("state", [State.SUPERSEDED, State.FAILED, State.ROLLED_BACK, None])
def test_a_deployment_that_is_left_over_goes_after_its_own_grace_and_its_neighbour_stays(
    world: World, state: State | None
) -> None:
    left_over(world, state)
    began = world.now

    while not world.arm.deleted:
        world.sweep()
        world.now += timedelta(minutes=15)
        assert world.now - began < timedelta(hours=3)

    assert world.arm.deleted == ["chat-abc/t-0"]
    assert world.now - began >= timedelta(hours=1)
    assert list(world.arm.deployments["chat-abc"]) == ["t-1"]


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda world: world.ledger.tuning_rows.update(
            {"chat-v0": tuning("chat-v0", State.DEPLOYING, deployment="t-0")}
        ),
        lambda world: world.arm.endpoints.update(
            {"chat-abc": replace(world.arm.endpoints["chat-abc"], traffic={"t-1": 50, "t-0": 50})}
        ),
        lambda world: world.arm.set_endpoint_tags("chat-abc", {**OURS_UNMARKED, names.TAG_KEEP: "true"}),
        lambda world: world.arm.deployments["chat-abc"].update({"t-0": deployment("t-0", tags={})}),
    ],
    ids=["its tuning is replayed", "it gets traffic", "its endpoint is kept", "somebody takes it over"],
)
def test_a_deployment_that_is_needed_at_the_last_moment_stays(world: World, meanwhile: Callable[[World], None]) -> None:
    left_over(world)
    for _ in range(4):
        world.sweep()
        world.now += timedelta(minutes=15)
    world.arm.before_get = lambda: meanwhile(world)

    world.sweep()

    assert world.arm.deleted == []


def test_all_deletions_count_against_the_limit(world: World) -> None:
    left_over(world)
    world.add("due", GRACE_OVER)
    for _ in range(5):
        world.sweep(max_deletions_per_sweep=0)
        world.now += timedelta(minutes=15)

    report = world.sweep(max_deletions_per_sweep=1)

    assert sum(row.deletions for row in report.endpoints) == 1


def test_throttling_slows_the_sweep_and_fails_nothing(world: World) -> None:
    for number in range(5):
        world.add(f"chat{number}", GRACE_OVER if number else OURS_UNMARKED)
    world.arm.throttled = iter([3.0, 0.0, 7.0, 1.0, 0.0, 0.0, 0.0, 5.0] * 2)

    report = world.sweep()

    assert report.counts == {"mark": 1, "delete": 4}
    assert (report.acted, report.errors) == (5, 0)
    assert sum(world.pauses) == report.waited >= 16


def test_a_sweep_that_would_wait_for_too_long_gives_up_and_deletes_nothing(world: World) -> None:
    world.add("chat", GRACE_OVER)
    world.arm.throttled = iter([90.0] * 100)

    with pytest.raises(ThrottledError):
        world.sweep()

    assert sum(world.pauses) <= 600
    assert world.status("chat") is EndpointStatus.ACTIVE


@pytest.mark.parametrize("calls", range(1, 14))
def test_a_sweep_that_died_at_any_call_is_gone_on_with_by_the_next(world: World, calls: int) -> None:
    class Died(BaseException):
        pass

    for number in range(2):
        world.add(f"due{number}", GRACE_OVER)
        world.add(f"new{number}", OURS_UNMARKED)
    world.arm.dies_after = (calls, Died())

    try:
        world.sweep()
    except Died:
        world.arm.dies_after = None
        world.sweep()

    assert [world.status(f"due{number}") for number in range(2)] == [EndpointStatus.DELETING] * 2
    assert all(world.tags(f"new{number}")[names.TAG_IDLE_SINCE] for number in range(2))
    assert set(world.wake_ups.woken) == {"due0-v1", "due1-v1"}
    assert [event for event, _ in world.events.published] == [MARKED] * 2


def test_the_report_is_kept_with_costs_and_foreign_endpoints(world: World) -> None:
    world.add("chat", OURS_UNMARKED)
    world.put(endpoint("foreign", {}), deployment("blue", tags={}, instance_count=3))
    world.prices["Standard_NC24ads_A100_v4"] = Price(3.67, "USD")

    world.sweep()

    document = json.loads(world.reports.blobs[names.IDLE_REPORT])
    ours, foreign = document["endpoints"]
    assert (ours["kind"], ours["hourly_cost"], ours["deletes_at"]) == ("mark", 3.67, "2026-11-22T13:00:00Z")
    assert (foreign["ours"], foreign["kind"], foreign["hourly_cost"]) == (False, "keep", pytest.approx(11.01))
    assert foreign["idle_since"] == "2026-11-22T06:55:00Z"
    assert (document["warning"], document["currency"]) == ("", "USD")
    assert world.gauges["chat-abc"] == pytest.approx((5 * 3600 + 300, 3.67))
    assert set(world.gauges) == {"chat-abc"}


def test_an_unknown_price_is_no_price(world: World) -> None:
    world.add("chat", OURS_UNMARKED)

    assert only(world.sweep()).hourly_cost is None


def test_a_dry_run_says_so_loudly(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add("chat", GRACE_OVER)

    with caplog.at_level(logging.WARNING):
        world.sweep(idle_dry_run=True)

    assert DRY_RUN in caplog.text
    assert json.loads(world.reports.blobs[names.IDLE_REPORT])["warning"] == DRY_RUN
    assert world.now > LONG_AGO
