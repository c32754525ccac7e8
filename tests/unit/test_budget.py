"""Whether one more deployment fits into the month, and who waits for whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.config import Settings
from shared.costs.budget import Commitment, forecast, objection
from shared.costs.records import CostRecord, Kind, Price
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import State
from tests.simulation.twins.calm import START, Calm
from tests.simulation.twins.cloud import TwinCloud
from tests.simulation.twins.services import TwinServices
from tests.unit.test_configuration import REQUIRED
from tests.unit.test_decide import tuning as some_tuning

NOW = datetime(2026, 11, 21, tzinfo=UTC)
"""Ten days before the end of the month: 240 hours."""
SIZE = "Standard_NC24ads_A100_v4"
PRICES = {SIZE: Price(4.0, "USD")}


def record(dataset: str, tuning: str, began: int, ended: int | None = None, **changes: object) -> CostRecord:
    """In hours before NOW."""
    begin = NOW - timedelta(hours=began)
    values: dict[str, object] = {
        "kind": Kind.DEPLOYMENT,
        "dataset": dataset,
        "tuning": tuning,
        "name": f"{dataset}/{tuning}",
        "instance_type": SIZE,
        "instance_count": 1,
        "began": begin,
        "seen": begin,
        "ended": None if ended is None else NOW - timedelta(hours=ended),
        "price": Price(4.0, "USD"),
    }
    return CostRecord(**{**values, **changes})  # type: ignore[arg-type]


def wish(tuning: str = "new", dataset: str = "chats", *, size: str = SIZE, count: int = 1, at: int = 0) -> Commitment:
    return Commitment(tuning, dataset, size, count, NOW + timedelta(minutes=at))


def asked(
    limit: float,
    *records: CostRecord,
    wanted: Commitment | None = None,
    others: tuple[Commitment, ...] = (),
    waiting: tuple[Commitment, ...] = (),
) -> str:
    return objection(wanted or wish(), records, others, waiting, PRICES.get, limit, "USD", NOW)


def test_what_fits_exactly_fits() -> None:
    assert asked(960.0) == ""
    assert "960.00 of 959.99" in asked(959.99)


def test_instances_count() -> None:
    assert asked(1920.0, wanted=wish(count=2)) == ""
    assert asked(1919.0, wanted=wish(count=2)) != ""


def test_spent_is_what_was_spent_this_month_jobs_included() -> None:
    before = record("faq", "old", began=30 * 24, ended=25 * 24)
    job = record("faq", "job", began=100, ended=90, kind=Kind.JOB, name="job")
    assert asked(960.0 + 40.0, before, job) == ""
    assert "40.00 USD spent in 2026-11" in asked(960.0 + 39.0, before, job)


def test_what_runs_counts_until_the_end_of_the_month() -> None:
    running = record("faq", "live", began=10)
    assert asked(40.0 + 960.0 + 960.0, running) == ""
    assert "4.00 an hour run" in asked(1900.0, running)


def test_the_deployment_that_it_replaces_is_not_counted_on_but_was_paid() -> None:
    predecessor = record("chats", "old", began=10)
    assert asked(40.0 + 960.0, predecessor) == ""
    assert asked(999.0, predecessor) != ""


def test_who_is_about_to_deploy_counts_once() -> None:
    other = wish("other", "faq")
    assert asked(1920.0, others=(other,)) == ""
    assert asked(1919.0, others=(other,)) != ""
    assert asked(40.0 + 1920.0, record("faq", "other", began=10), others=(other, wish())) == ""


def test_those_that_wait_go_in_order_of_arrival() -> None:
    older, newer = wish("older", "faq", at=-5), wish("newer", "faq", at=5)
    assert asked(10_000.0, waiting=(newer, wish())) == ""
    assert asked(10_000.0, waiting=(older, newer)) == "budget: older waits before it"


@pytest.mark.parametrize(
    "seen",
    [
        {"wanted": wish(size="Standard_New")},
        {"others": (wish("other", "faq", size="Standard_New"),)},
    ],
)
def test_what_can_not_be_added_up_does_not_fit(seen: dict[str, object]) -> None:
    assert "price of Standard_New is unknown" in asked(1e9, **seen)  # type: ignore[arg-type]
    unpriced = record("faq", "old", began=20, ended=10, price=None)
    assert "is unknown" in asked(1e9, unpriced)
    assert "another currency" in asked(1e9, record("faq", "old", began=20, ended=10, price=Price(3.0, "EUR")))


def test_the_forecast_of_a_month_begins_anew_with_it() -> None:
    running = record("faq", "live", began=10)
    december = datetime(2026, 12, 1, 1, tzinfo=UTC)
    found = forecast([running], [], PRICES.get, "USD", december)
    assert (str(found.month), found.spent) == ("2026-12", 4.0)
    assert found.total == pytest.approx(31 * 24 * 4.0)


def test_of_two_that_ask_at_once_one_gets_what_is_left_for_one() -> None:
    settings = Settings.from_environment({**REQUIRED, "MONTHLY_BUDGET": "1000", "PRICES": f'{{"{SIZE}": 4}}'})
    world = Calm()  # 22 November, noon: one deployment until the end of the month is 816
    lifecycle = TwinServices.of(settings, TwinCloud(world, settings.workspace_id), world).lifecycle

    def asks(older: State, younger: State) -> tuple[str, str]:
        found = []
        for name, state, minutes in (("chats", older, 0), ("faq", younger, 1)):
            key = f"{name}-v1-aaaaaaaa"
            row = lifecycle.ledger.tuning(key)
            made = START + timedelta(minutes=minutes)
            value = replace(some_tuning(state), id=key, dataset=name, created_at=made, inference_instance_type=SIZE)
            found.append(lifecycle.ledger.put(Versioned(value, row.etag if row else "")).value)
        first, second = (lifecycle.budget.objection(tuning, world.now()) for tuning in found)
        return first, second

    first, second = asks(State.REGISTERED, State.REGISTERED)
    assert "of 1,000.00" in first
    assert "of 1,000.00" in second
    first, second = asks(State.WAITING_FOR_BUDGET, State.WAITING_FOR_BUDGET)
    assert (first, second) == ("", "budget: chats-v1-aaaaaaaa waits before it")
    for older in (State.REGISTERED, State.DEPLOYING, State.TESTING, State.CANARY, State.PROMOTING, State.LIVE):
        first, second = asks(older, State.WAITING_FOR_BUDGET)
        assert first == ""
        assert "of 1,000.00" in second
    assert asks(State.RETIRED, State.WAITING_FOR_BUDGET)[1] == ""
