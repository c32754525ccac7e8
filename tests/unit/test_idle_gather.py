from __future__ import annotations

from datetime import timedelta
from typing import Any

from shared.idle.gather import Seen, gather
from shared.idle.marks import is_marked, marked_at, with_mark, without_mark
from shared.idle.memory import Memory
from shared.idle.rule import Facts
from shared.lifecycle.own_requests import with_requests
from shared.lifecycle.tuning import State
from tests.unit.idle_cases import LONG_AGO, NOW, OWNER, UNMARKED, ago, endpoint, record, tuning


def gather_one(**changes: object) -> Facts:
    given: dict[str, Any] = {"endpoints": [endpoint()], "records": [record()], "tunings": [tuning()], **changes}
    [found] = gather(Seen(**{"memory": Memory(), "owner": OWNER, "now": NOW, **given}))
    return found


def test_only_endpoints_with_the_tag_of_this_workspace_are_ours() -> None:
    assert gather_one().ours
    assert not gather_one(endpoints=[endpoint(tags={"droptune": "other-workspace"})]).ours
    assert not gather_one(endpoints=[endpoint(tags={})]).ours


def test_an_endpoint_finds_its_record_by_name_and_its_live_tuning() -> None:
    found = gather_one(records=[record("other"), record("fresh", name=""), record()])

    assert (found.record, found.live) == (record(), tuning())
    assert gather_one(records=[record("other")]).record is None


def test_tunings_of_the_dataset_that_are_on_their_way_are_named() -> None:
    states = [State.TRAINING, State.CLEANING_UP, State.WAITING_FOR_BUDGET, State.LIVE, State.FAILED, State.RETIRED]
    tunings = [tuning(f"chat-{state}", state) for state in states]

    found = gather_one(tunings=[*tunings, tuning("other", State.TRAINING, dataset="other")])

    assert found.unfinished == ("chat-training", "chat-cleaning_up")


def test_the_smoke_tests_of_every_tuning_on_the_endpoint_are_our_own_requests() -> None:
    tunings = [
        tuning(own_requests=with_requests((), [ago(minutes=1)])),
        tuning("chat-v0", State.ROLLED_BACK, own_requests=with_requests((), [ago(minutes=9), ago(minutes=8)])),
        tuning("other", endpoint="other-abc", own_requests=with_requests((), [ago(minutes=5)])),
    ]

    assert gather_one(tunings=tunings).own_requests == (ago(minutes=9), ago(minutes=8), ago(minutes=1))


def test_an_endpoint_is_as_young_as_its_live_tuning() -> None:
    assert gather_one().changed_at == LONG_AGO
    assert gather_one(records=[record(live_since=ago(hours=1))]).changed_at == ago(hours=1)
    assert gather_one(endpoints=[endpoint(created_at=ago(hours=2))]).changed_at == ago(hours=2)


def test_an_endpoint_of_unknown_age_counts_as_new() -> None:
    found = gather_one(endpoints=[endpoint(created_at=None)], records=[record(live_since=None)])

    assert found.changed_at == NOW


def test_marking_and_unmarking_leave_all_other_tags() -> None:
    tags = {**UNMARKED, "team": "chat", "Droptune-Idle-Since": "old"}

    marked = with_mark(tags, NOW)

    assert marked == {**UNMARKED, "team": "chat", "droptune-idle-since": "2026-11-22T12:00:00+00:00"}
    assert marked_at(marked, NOW + timedelta(seconds=1)) == NOW
    unmarked = without_mark(marked)
    assert unmarked == {**UNMARKED, "team": "chat", "droptune-idle-since": ""}
    assert not is_marked(unmarked)
    assert marked_at(unmarked, NOW) is None
