"""Spent and avoided: half-open intervals, borders of months, what goes on, what has no price."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.costs.months import Month, months_between
from shared.costs.records import CostRecord, Kind, Price
from shared.costs.report import CostReport
from shared.costs.statement import as_text

NOVEMBER, DECEMBER = Month(2026, 11), Month(2026, 12)
HOUR = timedelta(hours=1)
PRICE = Price(4.0, "USD")


def at(day: int, hour: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


LATER = at(20, month=12)


def deployment(began: datetime, ended: datetime | None, **changes: object) -> CostRecord:
    values: dict[str, object] = {
        "kind": Kind.DEPLOYMENT,
        "dataset": "chats",
        "tuning": "t",
        "name": "endpoint/blue",
        "instance_type": "Standard_NC24ads_A100_v4",
        "instance_count": 1,
        "began": began,
        "seen": began,
        "ended": ended,
        "price": PRICE,
    }
    return CostRecord(**{**values, **changes})  # type: ignore[arg-type]


def report(*records: CostRecord, now: datetime = LATER) -> CostReport:
    return CostReport(records, now, "USD")


def test_the_months_of_a_lifetime_share_it_without_a_gap() -> None:
    record = deployment(at(30, 12), at(2, 6, month=12), instance_count=2)
    lines = report(record).lines()
    assert [(line.month, line.amounts.deployment_hours) for line in lines] == [(DECEMBER, 60.0), (NOVEMBER, 24.0)]
    assert sum(line.amounts.deployment_cost for line in lines) == pytest.approx(84 * 4.0)


@pytest.mark.parametrize(
    ("began", "ended", "november"),
    [
        (at(1), at(1, month=12), 720.0),
        (at(1, month=12), at(2, month=12), 0.0),
        (at(1, month=10), at(1), 0.0),
        (at(1), at(1), 0.0),
    ],
    ids=["the whole month", "begins as it ends", "ends as it begins", "no time at all"],
)
def test_a_border_belongs_to_the_month_that_begins(began: datetime, ended: datetime, november: float) -> None:
    lines = report(deployment(began, ended)).lines(NOVEMBER)
    assert sum(line.amounts.deployment_hours for line in lines) == november


def test_what_runs_counts_until_now() -> None:
    (line,) = report(deployment(at(20), None), now=at(20, 7)).lines()
    assert line.amounts.deployment_hours == 7


def test_hours_without_a_price_are_counted_and_not_guessed() -> None:
    (line,) = report(deployment(at(1), at(2), price=None), deployment(at(3), at(4))).lines()
    assert (line.amounts.deployment_hours, line.amounts.unpriced_hours, line.amounts.spent) == (48, 24, 96.0)


def test_of_what_vanished_unseen_the_report_says_how_much_too_high_it_can_be() -> None:
    record = deployment(at(1), at(2), seen=at(1, 21), exact=False, instance_count=2)
    (line,) = report(record).lines()
    assert (line.amounts.deployment_hours, line.amounts.uncertain_hours) == (48, 6)


def test_what_was_retired_is_avoided_until_the_dataset_is_deployed_again() -> None:
    idle = deployment(at(1), at(29), retired=True)
    again = deployment(at(2, month=12), at(3, month=12), name="endpoint-g2/blue")
    lines = {line.month: line.amounts for line in report(idle, again).lines()}
    assert lines[NOVEMBER].avoided_hours == 48
    assert lines[DECEMBER].avoided_hours == 24
    assert lines[NOVEMBER].avoided == pytest.approx(48 * 4.0)


def test_nothing_is_avoided_while_the_next_deployment_is_there_already() -> None:
    idle = deployment(at(1), at(10), retired=True)
    woken = deployment(at(9), None, name="endpoint-g2/blue")
    assert sum(line.amounts.avoided_hours for line in report(idle, woken).lines()) == 0


def test_what_is_not_deployed_again_is_avoided_until_now_and_what_failed_is_not_avoided() -> None:
    idle = deployment(at(1), at(2), retired=True)
    failed = deployment(at(1), at(2), dataset="other", name="other/blue")
    lines = {(line.dataset): line.amounts for line in report(idle, failed, now=at(4)).lines()}
    assert (lines["chats"].avoided_hours, lines["other"].avoided_hours) == (48, 0)


def test_jobs_stand_beside_deployments() -> None:
    job = deployment(at(1), at(1, 5), kind=Kind.JOB, name="chats-v1", instance_count=2)
    (line,) = report(job, deployment(at(1), at(1, 3))).lines()
    assert (line.amounts.job_hours, line.amounts.job_cost, line.amounts.spent) == (10, 40.0, 52.0)


def test_an_endpoint_costs_what_all_of_its_running_deployments_do() -> None:
    old, new = deployment(at(1), None), deployment(at(2), None, name="endpoint/green", instance_count=2)
    (endpoint,) = report(old, new, now=at(10, 6)).endpoints({"endpoint": at(10, 4)})
    assert (endpoint.hourly, endpoint.since_last_request) == (12.0, 24.0)
    unknown = deployment(at(1), None, price=None)
    (endpoint,) = report(unknown).endpoints({"endpoint": at(10)})
    assert (endpoint.hourly, endpoint.since_last_request) == (None, None)


def test_currencies_are_not_added_up() -> None:
    found = report(deployment(at(1), at(2)), deployment(at(3), at(4), price=Price(3.0, "EUR")))
    assert {line.currency: line.amounts.spent for line in found.lines()} == {"USD": 96.0, "EUR": 72.0}
    assert set(found.totals(found.lines())) == {"USD", "EUR"}


def test_a_month_is_in_utc_and_the_year_turns() -> None:
    east = datetime.fromisoformat("2027-01-01T00:30:00+02:00")
    assert Month.of(east) == DECEMBER
    assert list(map(str, months_between(at(30), at(1, 1, month=12)))) == ["2026-11", "2026-12"]
    assert DECEMBER.next.start == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-01", "2026-11-01", "９999-01", "", "0000-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2026-11"):
        Month.parse(text)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert as_text(cell) == f"'{cell}"
    assert as_text("chats") == "chats"
