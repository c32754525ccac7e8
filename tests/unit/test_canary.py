"""The rule of a canary as a table, what is read from Monitor, and what the lifecycle does with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.config import Settings
from shared.errors import TransientError
from shared.idle.series import Unavailable
from shared.lifecycle.actions import BecomeLive, ClaimPromotion, CleanUp, EndCanary, SetTraffic, Wait, WatchCanary
from shared.lifecycle.canary import (
    CanaryFigures,
    CanaryPolicy,
    CanaryVerdict,
    CanaryView,
    Side,
    assess,
    policy_of,
    shares,
)
from shared.lifecycle.canary_metrics import CanaryMetrics, Readings
from shared.lifecycle.decide import Observed, decide
from shared.lifecycle.tuning import State, Tuning
from tests.unit.test_configuration import REQUIRED
from tests.unit.test_decide import DEADLINES, NEWER, NOW, OLDER, deployment, endpoint, record, tuning

SINCE = NOW - timedelta(minutes=40)
POLICY = CanaryPolicy(
    percent=10,
    span=timedelta(minutes=30),
    max_error_rate=0.02,
    max_latency_p95_seconds=5,
    min_requests=20,
    deadline=timedelta(hours=24),
    promotes_undecided=False,
)


def seen(new: Side, live: Side | None = None, minutes: float = 35) -> CanaryFigures:
    return CanaryFigures(SINCE + timedelta(minutes=minutes), new, live or Side(200, 0, 1.0))


CASES: list[tuple[str, CanaryFigures | Unavailable, str, str]] = [
    ("good", seen(Side(100, 2, 1.0)), "promote", "canary passed: 2 errors in 100 requests (live: 0 in 200)"),
    ("too early", seen(Side(100, 0, 1.0), minutes=29), "watch", "for 0:30:00 at least"),
    ("too few requests", seen(Side(19, 0, 1.0)), "watch", "19 of at least 20 requests"),
    ("nobody calls", seen(Side()), "watch", "0 of at least 20 requests"),
    ("no metrics", Unavailable("HTTP 503"), "watch", "no metrics: HTTP 503"),
    ("no latency", seen(Side(100, 0, None)), "watch", "its latency is not known"),
    ("too many errors", seen(Side(100, 3, 1.0)), "roll_back", "max_error_rate: 3.0% of at most 2.0%"),
    ("too many errors at once", seen(Side(2, 2, 1.0), minutes=1), "roll_back", "100.0% of at most 2.0%"),
    ("one error proves nothing", seen(Side(1, 1, 1.0), minutes=1), "watch", "1 of at least 20 requests"),
    ("one error of twenty", seen(Side(20, 1, 1.0)), "watch", "too many to go on, too few to go back"),
    ("the live one is as bad", seen(Side(100, 5, 1.0), Side(900, 45, 1.0)), "promote", "canary passed"),
    ("the live one is less bad", seen(Side(100, 5, 1.0), Side(900, 40, 1.0)), "roll_back", "max_error_rate"),
    ("slow", seen(Side(100, 0, 6.0)), "roll_back", "max_latency_p95_seconds: 6.00 s of at most 5 s"),
    ("as slow as the live one", seen(Side(100, 0, 6.0), Side(900, 0, 6.0)), "promote", "canary passed"),
    ("slow, of few", seen(Side(19, 0, 60.0)), "watch", "19 of at least 20 requests"),
]


@pytest.mark.parametrize(("name", "figures", "kind", "why"), CASES, ids=[case[0] for case in CASES])
def test_the_rule(name: str, figures: CanaryFigures | Unavailable, kind: str, why: str) -> None:
    verdict = assess(POLICY, SINCE, SINCE, figures, NOW)

    assert verdict.kind == kind
    assert why in verdict.why
    assert verdict.code == ("CanaryFailed" if kind == "roll_back" else "")


@pytest.mark.parametrize("figures", [case[1] for case in CASES if case[2] == "watch"])
def test_what_is_undecided_at_the_deadline_is_rolled_back_unless_the_setting_says_otherwise(
    figures: CanaryFigures | Unavailable,
) -> None:
    late = SINCE + POLICY.deadline

    verdict = assess(POLICY, SINCE, SINCE, figures, late)
    assert (verdict.kind, verdict.code) == ("roll_back", "CanaryUndecided")
    assert assess(replace(POLICY, promotes_undecided=True), SINCE, SINCE, figures, late).kind == "promote"


def test_what_is_bad_is_not_promoted_at_the_deadline_either() -> None:
    policy = replace(POLICY, promotes_undecided=True)

    assert assess(policy, SINCE, SINCE, seen(Side(100, 3, 1.0)), SINCE + POLICY.deadline).kind == "roll_back"


def test_tuning_json_wins_over_the_settings() -> None:
    settings = Settings.from_environment({**REQUIRED, "CANARY_PERCENT": "90"})

    assert policy_of(settings, {}).percent == 50, "more is no canary"
    own = policy_of(settings, {"percent": 0, "minutes": 60.0, "max_error_rate": None, "min_requests": 5})
    assert (own.percent, own.span, own.max_error_rate, own.min_requests) == (0, timedelta(hours=1), 0.02, 5)


def test_without_the_setting_there_are_no_canaries() -> None:
    assert policy_of(Settings.from_environment(REQUIRED), {}).percent == 0


@dataclass
class Monitor(CanaryMetrics):
    """Answers with these readings."""

    readings: Readings | Exception

    def _read(self, endpoint_id: str, deployments: tuple[str, str], start: datetime, end: datetime) -> Readings:
        if isinstance(self.readings, Exception):
            raise self.readings
        return self.readings


MINUTES = [datetime(2026, 11, 22, 12, minute, tzinfo=UTC) for minute in range(4)]


def figures(readings: Readings | Exception, minutes: int = 3) -> CanaryFigures | Unavailable:
    start = MINUTES[0] - timedelta(seconds=20)
    return Monitor(readings).figures("/e", "new", "live", start, MINUTES[minutes] + timedelta(seconds=30))


def per_minute(*values: float) -> Mapping[datetime, float]:
    return dict(zip(MINUTES, values, strict=False))


def test_requests_errors_and_latencies_of_both_are_summed_up() -> None:
    readings = Readings(
        total=per_minute(10, 10, 10),
        requests={
            ("NEW", "200"): per_minute(3, 0, 1),
            ("new", "424"): per_minute(0, 0, 1),
            ("new", "404"): per_minute(1),
            ("live", "200"): per_minute(8, 9, 8),
            ("live", "503"): per_minute(0, 1),
            ("other", "500"): per_minute(9, 9, 9),
        },
        latency={"new": per_minute(1000, 7000, 4000), "live": per_minute(500, 500, 500)},
    )

    found = figures(readings)

    assert isinstance(found, CanaryFigures)
    assert found.until == MINUTES[3]
    assert found.new == Side(6, 1, 2.0), "a minute without requests has no weight"
    assert found.live == Side(26, 1, 0.5)


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (Readings(), "3 of 3 minutes are missing"),
        (Readings(total=per_minute(1, 1)), "1 of 3 minutes are missing"),
        (TransientError("HTTP 503"), "HTTP 503"),
        (KeyError("values"), "unexpected answer: KeyError"),
    ],
)
def test_what_monitor_does_not_tell_is_not_taken_for_nothing(readings: Readings | Exception, reason: str) -> None:
    found = figures(readings)

    assert isinstance(found, Unavailable)
    assert reason in found.reason


def test_monitor_is_not_asked_before_a_minute_has_passed() -> None:
    assert isinstance(figures(AssertionError("it was asked"), minutes=0), Unavailable)


LIVE = replace(OLDER, state=State.LIVE, deployment="t-live")
HELD = record(promoting="chats-v1-aaaaaaaa", live=OLDER.id)
WAITING, GOOD = CanaryVerdict("watch", "watch"), CanaryVerdict("promote", "promote")
BAD = CanaryVerdict("roll_back", "bad", "CanaryFailed")
SHARES = {"t-aaaaaaaa": 10, "t-live": 90}


def on_the_way(traffic: dict[str, int], verdict: CanaryVerdict | None = None, **changes: Any) -> Observed:
    values: dict[str, Any] = {
        "record": HELD,
        "endpoint": endpoint(traffic=traffic),
        "deployment": deployment(),
        "other_deployments": ("t-live",),
        "live": LIVE,
        "canary": CanaryView(POLICY, verdict),
    }
    return Observed(**{**values, **changes})


def todo(observed: Observed, subject: Tuning | None = None) -> Any:
    return decide(subject or tuning(State.CANARY), observed, NOW, DEADLINES)


def test_a_canary_claims_then_gets_its_share_then_is_watched() -> None:
    assert todo(on_the_way({"t-live": 100}, record=record(live=OLDER.id))) == ClaimPromotion()
    assert todo(on_the_way({"t-live": 100})) == SetTraffic(SHARES)
    assert todo(on_the_way(SHARES)) == WatchCanary(CanaryView(POLICY))
    assert todo(on_the_way(SHARES, WAITING)) == WatchCanary(CanaryView(POLICY, WAITING))
    assert todo(on_the_way(SHARES, GOOD)) == EndCanary("promote")


def test_a_share_that_was_lost_is_set_again() -> None:
    assert todo(on_the_way({"t-live": 100}, WAITING)) == SetTraffic(SHARES)
    assert isinstance(todo(on_the_way({"t-live": 100}, endpoint=endpoint("Updating"))), Wait)


def test_a_bad_canary_is_rolled_back_and_gives_its_share_to_the_live_one() -> None:
    action = todo(on_the_way(SHARES, BAD))
    assert isinstance(action, CleanUp)
    assert (action.outcome, action.reason.code) == (State.ROLLED_BACK, "CanaryFailed")
    after = tuning(State.CLEANING_UP, outcome=State.ROLLED_BACK)
    assert todo(on_the_way(SHARES, canary=None), after) == SetTraffic({"t-live": 100})


def test_what_a_newer_canary_has_it_keeps() -> None:
    after = tuning(State.CLEANING_UP, outcome=State.SUPERSEDED)
    traffic = {"t-aaaaaaaa": 10, "t-newer": 10, "t-live": 80}
    observed = on_the_way(traffic, other_deployments=("t-newer", "t-live"), canary=None)
    assert todo(observed, after) == SetTraffic({"t-newer": 10, "t-live": 90})
    nobody = replace(observed, live=None)
    assert todo(nobody, after) == SetTraffic({"t-newer": 10, "t-live": 90})


def test_with_nobody_live_there_is_nothing_to_try_it_beside() -> None:
    assert isinstance(todo(on_the_way({}, live=None, canary=None)), EndCanary)
    assert isinstance(todo(on_the_way({}, other_deployments=())), EndCanary)
    assert isinstance(todo(on_the_way({}, live=replace(LIVE, state=State.CLEANING_UP))), EndCanary)


def test_canaries_that_are_switched_off_meanwhile_go_on() -> None:
    assert isinstance(todo(on_the_way(SHARES, canary=CanaryView(replace(POLICY, percent=0)))), EndCanary)


def test_a_newer_one_takes_the_claim_of_a_canary_which_then_ends() -> None:
    canary = replace(OLDER, state=State.CANARY)
    claimed = record(promoting=OLDER.id)
    for state in (State.CANARY, State.PROMOTING):
        assert todo(on_the_way({}, record=claimed, promoting=canary), tuning(state)) == ClaimPromotion()
    newer = replace(NEWER, state=State.CANARY)
    for state in (State.CANARY, State.PROMOTING, State.TESTING):
        action = todo(on_the_way({}, record=record(promoting=NEWER.id), promoting=newer), tuning(state))
        assert isinstance(action, CleanUp)
        assert action.outcome is State.SUPERSEDED


def test_a_canary_waits_for_an_older_one_that_is_being_promoted() -> None:
    promoting = replace(OLDER, state=State.PROMOTING)
    assert isinstance(todo(on_the_way({}, record=record(promoting=OLDER.id), promoting=promoting)), Wait)


def test_a_canary_whose_deployment_vanished_fails() -> None:
    action = todo(on_the_way(SHARES, WAITING, deployment=None))
    assert isinstance(action, CleanUp)
    assert action.reason.code == "DeploymentVanished"


def test_shares_sum_up_to_everything() -> None:
    assert shares(POLICY, "a", "b") == {"a": 10, "b": 90}


def test_after_the_canary_all_traffic_moves() -> None:
    promoting = tuning(State.PROMOTING)
    assert todo(on_the_way(SHARES, canary=None), promoting) == SetTraffic({"t-aaaaaaaa": 100})
    assert todo(on_the_way({"t-aaaaaaaa": 100}, canary=None), promoting) == BecomeLive()
