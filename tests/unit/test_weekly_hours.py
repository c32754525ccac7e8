from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.idle.hours import Range, WeeklyHours

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = WeeklyHours.parse("Mon-Fri 08:00-18:00 Europe/Berlin")
ALL_DAY = 24 * 60


def berlin(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=BERLIN, fold=fold)  # type: ignore[arg-type, misc]  # year to minute


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("Mon-Fri 08:00-18:00 UTC", [(day, 480, 1080) for day in range(5)]),
        ("Mon–Fri 08:00–18:00 UTC", [(day, 480, 1080) for day in range(5)]),
        ("  monday - Tue   8:00 - 18:00 ; UTC ", [(0, 480, 1080), (1, 480, 1080)]),
        ("Mon, Wed 08:00-12:00, 13:00-18:00 UTC", [(0, 480, 720), (0, 780, 1080), (2, 480, 720), (2, 780, 1080)]),
        ("Mon 08:00-12:00; Sat 10:00-14:00 UTC", [(0, 480, 720), (5, 600, 840)]),
        ("Sat-Mon 00:00-24:00 UTC", [(0, 0, ALL_DAY), (5, 0, ALL_DAY), (6, 0, ALL_DAY)]),
        ("Sun 22:00-06:00 UTC", [(6, 1320, ALL_DAY + 360)]),
        ("Sun 22:00-24:00 UTC", [(6, 1320, ALL_DAY)]),
        ("Sun Sun 22:00-24:00 UTC", [(6, 1320, ALL_DAY)]),
        ("Mon 1:00-2:00 America/Port-au-Prince", [(0, 60, 120)]),
        ("Mon 1:00-2:00 Etc/GMT+2", [(0, 60, 120)]),
    ],
)
def test_hours_are_read_however_they_are_written(text: str, ranges: list[tuple[int, int, int]]) -> None:
    assert WeeklyHours.parse(text).ranges == tuple(Range(*item) for item in ranges)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no IANA time zone"),
        ("UTC", "no days and times"),
        ("Mon-Fri 08:00-18:00", "'08:00-18:00' is no IANA time zone"),
        ("Mon-Fri 08:00-18:00 Europe/Atlantis", "no IANA time zone"),
        ("Mon-Fri 08:00-18:00 Europe", "no IANA time zone"),
        ("Mon-Fri 08:00-18:00 ../../etc/passwd", "no IANA time zone"),
        ("Mon-Fri 08:00-18:00 /etc/passwd", "no IANA time zone"),
        ("08:00-18:00 UTC", "no days before it"),
        ("Mon-Fri UTC", "days without times"),
        ("Mon 08:00-18:00 Tue UTC", "days without times"),
        ("Mo 08:00-18:00 UTC", "'Mo' is neither a day"),
        ("Mon 08:00-25:00 UTC", "beyond 24:00"),
        ("Mon 08:60-09:00 UTC", "beyond 24:00"),
        ("Mon 08:00-08:00 UTC", "no span of time"),
        ("Mon 24:00-08:00 UTC", "no span of time"),
        ("Mon 8-18 UTC", "'8' is neither a day"),
        ("Mon 08:00-18:00 " + "U" * 200, "at most 200 characters"),
    ],
)
def test_what_can_not_be_read_is_named(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        WeeklyHours.parse(text)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (berlin(2026, 11, 27, 7, 59), False),
        (berlin(2026, 11, 27, 8, 0), True),
        (berlin(2026, 11, 27, 17, 59), True),
        (berlin(2026, 11, 27, 18, 0), False),
        (berlin(2026, 11, 28, 12, 0), False),
        (datetime(2026, 11, 27, 7, 0, tzinfo=UTC), True),
        (datetime(2026, 7, 3, 6, 0, tzinfo=UTC), True),
        (datetime(2026, 7, 3, 16, 0, tzinfo=UTC), False),
    ],
)
def test_the_clock_on_the_wall_decides(moment: datetime, inside: bool) -> None:
    assert OFFICE.contains(moment) is inside


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        (berlin(2026, 11, 29, 22, 0), True),
        (berlin(2026, 11, 30, 5, 59), True),
        (berlin(2026, 11, 30, 6, 0), False),
        (berlin(2026, 11, 29, 5, 59), False),
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment: datetime, inside: bool) -> None:
    assert WeeklyHours.parse("Sun 22:00-06:00 Europe/Berlin").contains(moment) is inside


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        (berlin(2026, 11, 27, 7, 0), berlin(2026, 11, 27, 8, 0)),
        (berlin(2026, 11, 27, 8, 0), berlin(2026, 11, 30, 8, 0)),
        (berlin(2026, 11, 27, 19, 0), berlin(2026, 11, 30, 8, 0)),
        (berlin(2026, 10, 23, 19, 0), datetime(2026, 10, 26, 7, 0, tzinfo=UTC)),
        (berlin(2026, 3, 27, 19, 0), datetime(2026, 3, 30, 6, 0, tzinfo=UTC)),
    ],
)
def test_the_next_start_is_by_the_clock_of_that_day(moment: datetime, start: datetime) -> None:
    assert OFFICE.next_start(moment) == start


def test_ranges_that_touch_or_overlap_begin_once() -> None:
    hours = WeeklyHours.parse("Mon 08:00-12:00, 12:00-15:00, 14:00-18:00 Europe/Berlin")

    assert hours.next_start(berlin(2026, 11, 23, 8, 0)) == berlin(2026, 11, 30, 8, 0)


def test_hours_of_the_whole_week_never_begin() -> None:
    always = WeeklyHours.parse("Mon-Sun 00:00-24:00 Europe/Berlin")

    assert always.next_start(berlin(2026, 11, 23, 8, 0)) is None
    assert all(always.contains(berlin(2026, 3, 29, 0, 0) + timedelta(minutes=step)) for step in range(2880))


def test_what_the_clock_shows_twice_is_inside_twice() -> None:
    """On 25 October 2026 the clock goes from 03:00 back to 02:00."""
    hours = WeeklyHours.parse("Sun 02:15-02:45 Europe/Berlin")

    assert hours.contains(berlin(2026, 10, 25, 2, 30, fold=0))
    assert hours.contains(berlin(2026, 10, 25, 2, 30, fold=1))
    assert not hours.contains(berlin(2026, 10, 25, 2, 45, fold=1))


def test_what_the_clock_skips_does_not_empty_a_range() -> None:
    """On 29 March 2026 the clock goes from 02:00 on to 03:00."""
    hours = WeeklyHours.parse("Sun 02:15-02:45 Europe/Berlin")

    start = hours.next_start(berlin(2026, 3, 28, 12, 0))
    assert start is not None
    assert hours.contains(start)
    assert hours.contains(berlin(2026, 3, 29, 3, 0))


def test_every_minute_of_a_year_agrees_with_the_clock_on_the_wall_but_for_changes_of_the_clock() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(365 * 24 * 2):
        local = moment.astimezone(BERLIN)
        assert OFFICE.contains(moment) is (local.weekday() < 5 and 8 <= local.hour < 18)
        moment += timedelta(minutes=30)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_the_next_start_is_where_the_hours_begin(zone: str) -> None:
    hours = WeeklyHours.parse(f"Fri-Sun 02:10-02:40, 23:30-01:50 {zone}")
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    begun = False
    for _ in range(60 * 24):
        start = hours.next_start(moment)
        assert start is not None
        assert start > moment
        assert hours.contains(start)
        assert not hours.contains(start - timedelta(seconds=1))
        begun = begun or start.month == 4
        moment += timedelta(hours=1, minutes=7)
    assert begun
