"""What is known of a price, when the list is read, and that nothing waits for it or fails with it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.config import Settings
from shared.costs.prices import GOOD_FOR, READ_AGAIN, READ_EVERY, Prices
from shared.costs.records import Price
from shared.costs.retail import ListPrice
from shared.errors import TransientError
from tests.simulation.twins.calm import Calm
from tests.simulation.twins.cloud import Clients, TwinCloud
from tests.simulation.twins.prices import RetailPricesTwin
from tests.unit.test_configuration import REQUIRED

SIZE = "Standard_NC24ads_A100_v4"


class Broken(RetailPricesTwin):
    def hourly(self, instance_type: str, region: str, currency: str, now: datetime) -> ListPrice:
        raise TransientError("read prices: HTTP 503")


class Office:
    """One instance of the app in a calm cloud."""

    def __init__(self, **settings: str) -> None:
        self.world = Calm()
        self.settings = Settings.from_environment({**REQUIRED, **settings})
        self.cloud = TwinCloud(self.world, self.settings.workspace_id)
        self.clients = Clients(self.cloud, self.world)
        self.retail: RetailPricesTwin = self.clients.retail
        self.prices = self.another()

    def another(self) -> Prices:
        return Prices(self.settings, self.clients.ledger, lambda: self.retail, self.world.now)

    def wait(self, time: timedelta) -> None:
        self.world.advance(time.total_seconds())


def test_a_size_is_unknown_until_the_list_was_read_for_it() -> None:
    office = Office()
    assert office.prices.hourly(SIZE) is None
    assert office.prices.refresh() == 1
    assert office.prices.hourly(SIZE.lower()) == Price(4.0, "USD")
    assert office.another().hourly(SIZE) == Price(4.0, "USD")


def test_the_list_is_read_once_a_day_and_more_often_for_what_it_lacks() -> None:
    office = Office()
    office.prices.hourly(SIZE)
    office.prices.hourly("Standard_F2s_v2")
    assert office.prices.refresh() == 2
    assert office.prices.refresh() == 0
    office.wait(READ_AGAIN)
    assert office.prices.refresh() == 1
    assert office.prices.hourly("Standard_F2s_v2") is None
    office.wait(READ_EVERY - READ_AGAIN)
    assert office.prices.refresh() == 2


def test_a_price_that_can_not_be_read_again_is_good_for_a_while() -> None:
    office = Office()
    office.prices.hourly(SIZE)
    office.prices.refresh()
    office.retail = Broken(office.world, office.cloud.prices)
    office.wait(READ_EVERY)
    assert office.prices.refresh() == 0
    assert office.prices.hourly(SIZE) == Price(4.0, "USD")
    office.wait(GOOD_FOR)
    assert office.prices.hourly(SIZE) is None


def test_a_list_that_fails_is_not_asked_for_the_next_size() -> None:
    office = Office()
    asked = []

    class Counting(Broken):
        def hourly(self, instance_type: str, region: str, currency: str, now: datetime) -> ListPrice:
            asked.append(instance_type)
            return super().hourly(instance_type, region, currency, now)

    for size in ("Standard_A", "Standard_B", "Standard_C"):
        office.prices.hourly(size)
    office.retail = Counting(office.world, office.cloud.prices)
    assert office.prices.refresh() == 0
    assert len(asked) == 1


def test_what_an_operator_sets_wins_and_needs_no_list() -> None:
    office = Office(PRICES=f'{{"{SIZE}": 1.5}}', PRICE_CURRENCY="EUR")
    assert office.prices.hourly(SIZE) == Price(1.5, "EUR")
    assert office.prices.refresh() == 0


@pytest.mark.parametrize("size", ["", "a'b", "x" * 65, "a b", "Größe"])
def test_what_can_be_no_size_is_not_asked_for(size: str) -> None:
    office = Office()
    assert office.prices.hourly(size) is None
    assert office.prices.refresh() == 0


def test_a_ledger_that_can_not_be_reached_makes_a_price_unknown_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office()

    def down(key: str) -> None:
        raise TransientError("read prices: HTTP 503")

    monkeypatch.setattr(office.clients.ledger, "price", down)
    assert office.prices.hourly(SIZE) is None
