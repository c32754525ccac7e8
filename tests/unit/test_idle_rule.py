"""The idle rule is what docs/idle-cleanup.md says, row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.idle.hours import WeeklyHours
from shared.idle.left_over import left_over
from shared.idle.policy import Policy, overridden
from shared.idle.rule import Facts, Verdict, assess
from shared.idle.series import Unavailable
from shared.lifecycle.tuning import Tuning
from tests.unit.idle_cases import NOW, POLICY, UNMARKED, ago, endpoint, facts, quiet
from tests.unit.idle_rule_cases import CASES, DEPLOYMENTS, ENDED, GRACE, kept, marked

PAGE = (Path(__file__).parents[2] / "docs" / "idle-cleanup.md").read_text()


def rows(heading: str) -> list[tuple[str, str, str]]:
    """Case, verdict and reason of the first table below a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(case, verdict.strip("`"), reason) for case, verdict, reason in cells]


ENDPOINTS = rows("The table of cases")
LEFT_OVER = rows("Deployments that are left over")


def verdict_on(case: str) -> Verdict:
    found = CASES[case]
    case_facts, policy = found if isinstance(found, tuple) else (found, POLICY)
    return assess(case_facts, policy, NOW)


def test_the_page_has_every_case_and_no_other() -> None:
    assert [case for case, _, _ in ENDPOINTS] == list(CASES)
    assert [case for case, _, _ in LEFT_OVER] == list(DEPLOYMENTS)


@pytest.mark.parametrize(("case", "kind", "reason"), ENDPOINTS, ids=[case for case, _, _ in ENDPOINTS])
def test_the_verdict_on_an_endpoint_is_the_page_s(case: str, kind: str, reason: str) -> None:
    verdict = verdict_on(case)

    assert (verdict.kind, reason in verdict.reason) == (kind, True), verdict


@pytest.mark.parametrize(("case", "kind", "reason"), LEFT_OVER, ids=[case for case, _, _ in LEFT_OVER])
def test_the_verdict_on_a_deployment_is_the_page_s(case: str, kind: str, reason: str) -> None:
    of, given = DEPLOYMENTS[case]
    found: dict[str, Any] = {"tuning": ENDED, "since": ago(hours=2), "policy": POLICY, **given}
    tuning: Tuning | None = found["tuning"]
    since: datetime | None = found["since"]

    verdicts = left_over(
        of,
        {tuning.id: tuning} if tuning else {},
        {"t-0": since} if since else {},
        found["policy"],
        GRACE,
        NOW,
    )

    assert [(item.kind, reason in item.reason) for item in verdicts] == ([(kind, True)] if kind != "none" else [])


def test_an_endpoint_that_is_about_to_be_deleted_shows_since_when_and_until_when() -> None:
    verdict = assess(facts(), POLICY, NOW)

    assert verdict.idle_since == NOW - POLICY.window
    assert verdict.deletes_at == ago(hours=1)


def test_a_new_mark_announces_the_deletion_after_the_grace() -> None:
    verdict = assess(facts(endpoint=endpoint(tags=UNMARKED)), POLICY, NOW)

    assert verdict.deletes_at == NOW + timedelta(hours=1)


def test_a_deletion_is_announced_for_when_the_keep_hours_are_over() -> None:
    """It is noon; the grace ends at 13:00, in the middle of them."""
    policy = replace(POLICY, keep_hours=(WeeklyHours.parse("Sun 12:30-18:00 UTC"),))

    verdict = assess(facts(endpoint=endpoint(tags=UNMARKED)), policy, NOW)

    assert (verdict.kind, verdict.deletes_at) == ("mark", NOW + timedelta(hours=6))


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
        {"deployments": Unavailable("x")},
        {"unfinished": ("t",)},
        {"foreign": ("blue",)},
        {"orphan": "lost", "ledger_empty": True},
        {"endpoint": endpoint(tags=kept("true"))},
    ],
)
def test_what_is_untouchable_is_kept_by_every_policy(changes: dict[str, Any]) -> None:
    case: Facts = replace(facts(), **changes)

    assert assess(case, Policy(timedelta(0), timedelta(0)), NOW).kind == "keep"


def test_a_version_s_own_settings_win_one_by_one() -> None:
    changed = overridden(POLICY, {"grace_minutes": 30, "keep_hours": "Mon 08:00-09:00 UTC", "after_minutes": None})

    assert (changed.idle_after, changed.grace) == (POLICY.idle_after, timedelta(minutes=30))
    assert [hours.text for hours in changed.keep_hours] == ["Mon 08:00-09:00 UTC"]


@pytest.mark.parametrize(
    "settings",
    [
        {"after_minutes": -1},
        {"after_minutes": "soon"},
        {"after_minutes": True},
        {"grace_minutes": float("nan")},
        {"grace_minutes": 10**9},
        {"keep_hours": "always"},
        {"keep_hours": 7},
        {"after": 7},
    ],
)
def test_settings_that_can_not_be_read_are_no_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        overridden(POLICY, settings)
