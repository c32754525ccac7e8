"""Which requests and events the rules hit."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.faults import FaultError, Faults

PUT = ("OnlineDeployments_CreateOrUpdate", "PUT", "/onlineEndpoints/e/deployments/d")


def hits(rule: dict[str, Any], calls: list[tuple[str, str, str]]) -> list[bool]:
    faults = Faults()
    faults.add([{"status": 503, **rule}])
    return [faults.of_call(*call) is not None for call in calls]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"operation": "OnlineDeployments_CreateOrUpdate"}, True),
        ({"operation": "OnlineDeployments_*"}, True),
        ({"operation": "Jobs_*"}, False),
        ({"method": "put"}, True),
        ({"method": "GET"}, False),
        ({"path": "deployments/d$"}, True),
        ({"path": "deployments$"}, False),
        ({"operation": "*_CreateOrUpdate", "method": "GET"}, False),
    ],
)
def test_a_rule_hits_what_matches_all_that_it_names(rule: dict[str, Any], expected: bool) -> None:
    assert hits(rule, [PUT]) == [expected]


def test_a_rule_without_a_count_hits_once_and_skips_what_it_is_told_to() -> None:
    assert hits({"operation": "*"}, [PUT] * 3) == [True, False, False]
    assert hits({"operation": "*", "skip": 1, "times": 2}, [PUT] * 4) == [False, True, True, False]


def test_a_probability_hits_about_that_share_of_many_requests_again_and_again() -> None:
    calls = [("Jobs_Get", "GET", f"/jobs/{number % 50}") for number in range(5000)]

    found = hits({"operation": "*", "probability": 0.1}, calls)

    assert 400 < sum(found) < 600


def test_the_same_seed_hits_the_same_requests_in_whatever_order_the_jobs_come() -> None:
    one_by_one = [("Jobs_Get", "GET", f"/jobs/{job}") for job in range(20) for _ in range(20)]
    mixed = [("Jobs_Get", "GET", f"/jobs/{job}") for _ in range(20) for job in range(20)]

    def of_each_job(seed: int, calls: list[tuple[str, str, str]]) -> dict[str, list[bool]]:
        found: dict[str, list[bool]] = {}
        for call, hit in zip(calls, hits({"operation": "*", "probability": 0.3, "seed": seed}, calls), strict=True):
            found.setdefault(call[2], []).append(hit)
        return found

    assert of_each_job(1, one_by_one) == of_each_job(1, mixed)
    assert of_each_job(1, one_by_one) != of_each_job(2, one_by_one)


def test_rules_with_one_seed_do_not_hit_the_same_requests() -> None:
    faults = Faults()
    for status in (500, 503):
        faults.add([{"operation": "*", "probability": 0.5, "status": status}])

    numbers = [hit[0] for n in range(400) if (hit := faults.of_call("Jobs_Get", "GET", f"/jobs/{n}")) is not None]

    assert 150 < numbers.count(1) < 250
    assert 60 < numbers.count(2) < 140


def test_events_are_lost_doubled_delayed_and_mixed_up() -> None:
    faults = Faults()
    faults.add([{"event": "*.RunCompleted", "lose": True}])
    faults.add([{"event": "*.ModelRegistered", "duplicate": 2, "delay": 5, "times": 1}])
    faults.add([{"event": "*.BlobCreated", "subject": "/train", "reorder": 10, "times": 50}])

    assert faults.of_event("Microsoft.X.RunCompleted", "a").delays == ()
    assert faults.of_event("Microsoft.X.RunCompleted", "a").delays == (0.0,)
    assert faults.of_event("Microsoft.X.ModelRegistered", "a").delays == (5.0, 5.0, 5.0)
    [*mixed] = (faults.of_event("Microsoft.X.BlobCreated", f"/train/{n}").delays[0] for n in range(50))
    assert mixed != sorted(mixed)
    assert all(0 <= delay < 10 for delay in mixed)
    assert faults.of_event("Microsoft.X.BlobCreated", "/test").delays == (0.0,)


def test_calls_and_events_do_not_use_up_each_others_rules() -> None:
    faults = Faults()
    faults.add([{"event": "*", "lose": True}])

    assert faults.of_call(*PUT) is None
    assert faults.of_event("any", "").delays == ()


def test_what_was_hit_how_often_is_shown_until_the_rule_is_used_up() -> None:
    faults = Faults()
    faults.add([{"operation": "*", "status": 503, "times": 2}])
    faults.of_call(*PUT)

    [shown] = faults.shown()
    assert (shown["matched"], shown["hits"], shown["left"]) == (1, 1, 1)
    faults.of_call(*PUT)
    assert faults.shown() == []


@pytest.mark.parametrize(
    "rule",
    [
        [],
        {},
        {"status": 503},
        {"operation": 5},
        {"path": "("},
        {"oparation": "Jobs_Get"},
        {"operation": "*", "status": "503"},
        {"operation": "*", "status": 99},
        {"operation": "*", "probability": 1.5},
        {"operation": "*", "times": -1},
        {"operation": "*", "delay": "long"},
        {"operation": "*", "headers": {"a": 1}},
        {"operation": "*", "status": 500, "drop": True},
        {"operation": "*", "crash": True, "status": 500},
        {"event": "*"},
        {"event": "*", "lose": True, "status": 503},
        {"event": "*", "reorder": -1},
    ],
)
def test_what_is_no_rule_is_refused_and_nothing_of_it_is_added(rule: object) -> None:
    faults = Faults()

    with pytest.raises(FaultError):
        faults.add([{"operation": "*"}, rule])

    assert faults.shown() == []
