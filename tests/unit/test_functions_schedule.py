"""NCRONTAB schedules and timer status of the local Functions host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from localcloud.functions.schedule import Schedule
from localcloud.functions.timer_status import NEVER, TimerStatus

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)  # a Sunday


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        ("* * * * * *", "2026-11-22 10:00:01"),
        ("*/5 * * * * *", "2026-11-22 10:00:05"),
        ("0 */5 * * * *", "2026-11-22 10:05:00"),
        ("*/5 * * * *", "2026-11-22 10:05:00"),
        ("0 0 * * * *", "2026-11-22 11:00:00"),
        ("0 30 9-17 * * 1-5", "2026-11-23 09:30:00"),
        ("0 0 0 * * Mon", "2026-11-23 00:00:00"),
        ("0 0 0 * * saturday", "2026-11-28 00:00:00"),
        ("0 0 0 * Jan,March *", "2027-01-01 00:00:00"),
        ("0 0 0 1 1 *", "2027-01-01 00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 5/20 * * * *", "2026-11-22 10:05:00"),
        ("0 45/10 * * * *", "2026-11-22 10:45:00"),
        ("0 0 17-9 * * *", "2026-11-22 11:00:00"),
    ],
)
def test_the_next_occurrence(expression: str, following: str) -> None:
    assert Schedule.parse(expression).next_after(NOW) == at(following)


def test_both_day_fields_must_match_unlike_in_cron() -> None:
    friday_the_13th = Schedule.parse("0 0 0 13 * Fri")
    assert friday_the_13th.next_after(NOW) == at("2027-08-13 00:00:00")


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * * *", "60 * * * * *", "* * 24 * * *", "* * * 0 * *", "* * * 32 * *"),
        *("* * * * 13 *", "* * * * * 7", "* * * * * L", "* * ? * * *", "*/0 * * * * *", "*/x * * * * *"),
        *("@hourly x x x x x", "@hourly", "* * * * * mo", "1- * * * * *", "-1 * * * * *", "1,,2 * * * * *"),
        *("00:05:00", "1.00:00:00"),
    ],
)
def test_what_ncrontab_does_not_know_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|dedicated"):
        Schedule.parse(expression)


def test_a_schedule_without_occurrence_is_found_out() -> None:
    with pytest.raises(ValueError, match="never occurs"):
        Schedule.parse("0 0 0 30 2 *").next_after(NOW)


@pytest.mark.parametrize(
    ("expression", "monitored"), [("*/59 * * * * *", False), ("0 * * * * *", True), ("0 0 * * * *", True)]
)
def test_only_schedules_of_a_minute_and_more_are_monitored(expression: str, monitored: bool) -> None:
    assert Schedule.parse(expression).is_monitored(NOW) is monitored


HOURLY = Schedule.parse("0 0 * * * *")


def test_a_status_survives_its_serialisation() -> None:
    status = TimerStatus.initial(HOURLY, NOW)
    assert TimerStatus.parse(__import__("json").dumps(status.serialise())) == status


def test_the_first_status_plans_the_next_occurrence() -> None:
    assert TimerStatus.initial(HOURLY, NOW) == TimerStatus(NEVER, NOW + timedelta(hours=1), NOW)


def test_a_run_a_little_early_counts_for_its_planned_time_and_is_not_planned_twice() -> None:
    planned = NOW + timedelta(hours=1)
    status = TimerStatus(NOW, planned, NOW).after_run(HOURLY, planned - timedelta(milliseconds=30))
    assert (status.last, status.next) == (planned, planned + timedelta(hours=1))


def test_a_run_at_start_does_not_wait_for_the_planned_time() -> None:
    planned = NOW + timedelta(hours=1)
    started = NOW + timedelta(minutes=10)
    status = TimerStatus(NOW, planned, NOW).after_run(HOURLY, started)
    assert (status.last, status.next) == (started, planned)


def test_a_status_of_another_schedule_is_planned_again() -> None:
    every_day = TimerStatus(NOW, at("2026-11-23 00:00:00"), NOW)
    assert every_day.rescheduled(HOURLY).next == NOW + timedelta(hours=1)
    unchanged = TimerStatus(NOW, NOW + timedelta(hours=1), NOW)
    assert unchanged.rescheduled(HOURLY) is unchanged
    assert TimerStatus(NEVER, NOW + timedelta(hours=1), NOW).rescheduled(HOURLY).next == unchanged.next
