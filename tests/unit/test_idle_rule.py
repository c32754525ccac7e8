from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared import names
from shared.idle.policy import Policy
from shared.idle.rule import Facts, assess
from shared.idle.series import Series, Unavailable
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State
from tests.unit.idle_cases import (
    MARKED,
    NOW,
    POLICY,
    UNMARKED,
    ago,
    endpoint,
    facts,
    quiet,
    record,
    tuning,
)


def marked(value: str) -> dict[str, str]:
    return {**UNMARKED, names.TAG_IDLE_SINCE: value}


def kept(value: str) -> dict[str, str]:
    return {**MARKED, names.TAG_KEEP: value}


DELETED: list[tuple[str, Facts, str]] = [
    ("idle, marked, grace is over", facts(), "no request since 2026-11-22 07:00 UTC"),
    ("the grace ended a moment ago", facts(endpoint=endpoint(tags=marked(ago(hours=1).isoformat()))), "marked at"),
    ("marked long ago", facts(endpoint=endpoint(tags=marked("2026-11-13T00:00:00+00:00"))), "marked at 2026-11-13"),
    ("a keep tag of false", facts(endpoint=endpoint(tags=kept("False"))), "marked at"),
    ("an empty keep tag", facts(endpoint=endpoint(tags=kept(" "))), "marked at"),
    ("a keep date that has passed", facts(endpoint=endpoint(tags=kept("2026-11-21"))), "marked at"),
    ("a keep time that has passed", facts(endpoint=endpoint(tags=kept("2026-11-22T12:00:00Z"))), "marked at"),
    ("its last operation failed", facts(endpoint=endpoint(provisioning_state="Failed")), "no request since"),
    ("only our smoke test", facts(requests=quiet({10: 1.0}), own_requests=[ago(minutes=9.5)]), "no request"),
    (
        "two smoke tests in a minute",
        facts(requests=quiet({10: 2.0}), own_requests=[ago(minutes=9.9), ago(minutes=9.1)]),
        "no request",
    ),
    (
        "used before the mark and before the idle time",
        facts(
            requests=quiet({600: 3.0}, start=ago(hours=20)),
            endpoint=endpoint(tags=marked(ago(hours=5).isoformat())),
        ),
        "no request since 2026-11-22 02:01 UTC",
    ),
]

KEPT: list[tuple[str, Facts, str]] = [
    ("not ours", facts(ours=False), "not ours"),
    ("no record", facts(record=None), "the ledger does not know it"),
    ("another generation", facts(record=record(name="chat-abc-g2")), "the ledger does not know it"),
    (
        "being deleted",
        facts(record=record(status=EndpointStatus.DELETING, retire_reason="idle")),
        "is being deleted: idle",
    ),
    ("updating", facts(endpoint=endpoint(provisioning_state="Updating")), "is Updating"),
    ("unfinished", facts(unfinished=("chat-v2", "chat-v3")), "tuning chat-v2 is unfinished"),
    ("nothing live", facts(record=record(live=""), live=None), "no live tuning"),
    ("live in the record only", facts(live=None), "no live tuning"),
    ("live is being cleaned up", facts(live=tuning(state=State.CLEANING_UP)), "no live tuning"),
    ("another tenant", facts(record=record(tenants=("chat-v1", "chat-v2"))), "other tunings use it"),
    ("no tenant", facts(record=record(tenants=())), "other tunings use it"),
    ("another is promoted", facts(record=record(promoting="chat-v2")), "other tunings use it"),
    ("keep tag", facts(endpoint=endpoint(tags=kept("true"))), "tag droptune-keep"),
    ("keep tag with a reason", facts(endpoint=endpoint(tags=kept("demo on Friday"))), "tag droptune-keep"),
    (
        "keep tag in other letters",
        facts(endpoint=endpoint(tags={**MARKED, "Droptune-Keep": "yes"})),
        "tag droptune-keep",
    ),
    (
        "keep until the end of today",
        facts(endpoint=endpoint(tags=kept("2026-11-22"))),
        "tag droptune-keep until 2026-11-23 00:00",
    ),
    ("keep until later", facts(endpoint=endpoint(tags=kept("2026-11-22T14:00+01:00"))), "until 2026-11-22 13:00"),
    ("no metrics", facts(requests=Unavailable("HTTP 500")), "no metrics: HTTP 500"),
    ("empty metrics", facts(requests=Series(NOW, NOW, {})), "no metrics"),
    (
        "used lately, never marked",
        facts(endpoint=endpoint(tags=UNMARKED), requests=quiet({30: 0.2})),
        "last request before 2026-11-22 11:31 UTC; that is less than 4 h",
    ),
    (
        "too young, never marked",
        facts(endpoint=endpoint(tags=UNMARKED), changed_at=ago(hours=3)),
        "given to its tuning, at 2026-11-22 09:00 UTC; that is less than 4 h ago",
    ),
    (
        "changed in the future",
        facts(endpoint=endpoint(tags=UNMARKED), changed_at=ago(hours=-3)),
        "given to its tuning, at",
    ),
    (
        "a series that is too short to tell",
        facts(endpoint=endpoint(tags=UNMARKED), requests=quiet(start=ago(hours=3))),
        "no request is known of",
    ),
]

UNMARK: list[tuple[str, Facts, str]] = [
    ("used after the mark", facts(requests=quiet({60: 1.0})), "after it was marked"),
    ("used once, a little", facts(requests=quiet({1: 0.01})), "after it was marked"),
    (
        "a request beside our smoke test",
        facts(requests=quiet({10: 2.0}), own_requests=[ago(minutes=9.5)]),
        "after it was marked",
    ),
    (
        "a request in the minute after our smoke test",
        facts(requests=quiet({10: 1.0, 9: 1.0}), own_requests=[ago(minutes=9.5)]),
        "after it was marked",
    ),
    ("a new tuning after the mark", facts(changed_at=ago(hours=1)), "given to its tuning, at"),
    (
        "used after an old mark, idle again",
        facts(
            endpoint=endpoint(tags=marked(ago(hours=20).isoformat())),
            requests=quiet({600: 1.0}, start=ago(hours=24)),
        ),
        "used or changed at 2026-11-22 02:01 UTC, after it was marked",
    ),
    (
        "a malformed mark on what is in use",
        facts(endpoint=endpoint(tags=marked("soon")), requests=quiet({30: 1.0})),
        "less than 4 h",
    ),
]

MARK: list[tuple[str, Facts, str]] = [
    ("never marked", facts(endpoint=endpoint(tags=UNMARKED)), "no request since"),
    (
        "idle for exactly the idle time",
        facts(endpoint=endpoint(tags=UNMARKED), requests=quiet({241: 1.0})),
        "no request since 2026-11-22 08:00 UTC",
    ),
    ("a malformed mark", facts(endpoint=endpoint(tags=marked("soon"))), "no request since"),
    ("an empty mark", facts(endpoint=endpoint(tags=marked(""))), "no request since"),
    ("a mark in the future", facts(endpoint=endpoint(tags=marked("2027-01-01T00:00:00Z"))), "no request since"),
]

WAITING: list[tuple[str, Facts, str]] = [
    (
        "within the grace",
        facts(endpoint=endpoint(tags=marked(ago(minutes=59).isoformat()))),
        "no request since",
    ),
    (
        "the grace is over, but Monitor was not asked up to its end",
        facts(endpoint=endpoint(tags=marked(ago(minutes=61).isoformat())), requests=quiet(end=ago(minutes=5))),
        "no request since",
    ),
    (
        "the requests since the mark are not all known",
        facts(
            endpoint=endpoint(tags=marked(ago(hours=9).isoformat())),
            requests=quiet(start=ago(hours=4, minutes=30)),
        ),
        "not all known",
    ),
]


@pytest.mark.parametrize(
    ("kind", "case", "reason"),
    [
        pytest.param(kind, case, reason, id=f"{kind}: {name}")
        for kind, cases in [
            ("delete", DELETED),
            ("keep", KEPT),
            ("unmark", UNMARK),
            ("mark", MARK),
            ("marked", WAITING),
        ]
        for name, case, reason in cases
    ],
)
def test_the_verdict_on(kind: str, case: Facts, reason: str) -> None:
    verdict = assess(case, POLICY, NOW)

    assert (verdict.kind, reason in verdict.reason) == (kind, True), verdict


def test_an_endpoint_that_is_about_to_be_deleted_shows_since_when_and_until_when() -> None:
    verdict = assess(facts(), POLICY, NOW)

    assert verdict.idle_since == NOW - POLICY.window
    assert verdict.deletes_at == ago(hours=1)


def test_a_new_mark_announces_the_deletion_after_the_grace() -> None:
    verdict = assess(facts(endpoint=endpoint(tags=UNMARKED)), POLICY, NOW)

    assert verdict.deletes_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("minute", range(0, 300, 7))
def test_a_request_in_any_minute_since_the_mark_prevents_the_deletion(minute: int) -> None:
    case = facts(
        endpoint=endpoint(tags=marked(ago(hours=5).isoformat())),
        requests=quiet({minute + 1: 1.0}, start=ago(hours=10)),
    )

    assert assess(case, POLICY, NOW).kind == "unmark"


@pytest.mark.parametrize(
    "changes",
    [
        {"ours": False},
        {"requests": Unavailable("x")},
        {"unfinished": ("t",)},
        {"endpoint": endpoint(tags=kept("true"))},
    ],
)
def test_what_is_untouchable_is_kept_by_every_policy(changes: dict[str, Any]) -> None:
    case = replace(facts(), **changes)

    assert assess(case, Policy(timedelta(0), timedelta(0)), NOW).kind == "keep"
