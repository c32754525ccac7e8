from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared import names
from shared.idle.report import EndpointReport, SweepReport
from shared.idle.series import floor_minute
from shared.lifecycle.actions import CleanUp
from shared.lifecycle.decide import Observed, decide
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.own_requests import with_requests
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State
from tests.unit.idle_cases import NOW, UNMARKED, ago, endpoint, record, tuning
from tests.unit.sweep_world import GRACE_OVER, METRICS_DELAY, World


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
        "chat-v0",
        State.ROLLED_BACK,
        endpoint="chat-abc",
        own_requests=with_requests((), [ago(minutes=19.5)]),
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
