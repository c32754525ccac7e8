"""Which item of the price list is the one, and what makes a price unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.costs.overrides import parse_prices
from shared.costs.retail import ListPrice, UnknownPriceError, choose

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
SIZE, REGION = "Standard_NC24ads_A100_v4", "eastus"


def item(**changes: Any) -> dict[str, Any]:
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": 3.673,
        "unitPrice": 3.673,
        "armRegionName": REGION,
        "location": "US East",
        "effectiveStartDate": "2024-01-01T00:00:00Z",
        "meterName": "NC24ads A100 v4",
        "productName": "NCads A100 v4 Series Linux",
        "skuName": "Standard_NC24ads_A100_v4",
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": SIZE,
        **changes,
    }


OTHERS = {
    "windows": item(productName="NCads A100 v4 Series Windows", retailPrice=4.777),
    "spot": item(meterName="NC24ads A100 v4 Spot", skuName="NC24ads A100 v4 Spot", retailPrice=0.9),
    "low priority": item(skuName="NC24ads A100 v4 Low Priority", retailPrice=0.7),
    "reservation": item(type="Reservation", reservationTerm="1 Year", retailPrice=20000.0),
    "dev/test": item(type="DevTestConsumption", retailPrice=3.0),
    "another region": item(armRegionName="westeurope", retailPrice=4.0),
    "another size": item(armSkuName="Standard_NC48ads_A100_v4", retailPrice=7.346),
    "another currency": item(currencyCode="EUR", retailPrice=3.4),
    "another unit": item(unitOfMeasure="1/Month", retailPrice=2000.0),
    "cloud services": item(productName="NCads A100 v4 Series CloudServices", retailPrice=3.9),
    "only later": item(effectiveStartDate="2027-01-01T00:00:00Z", retailPrice=3.0),
    "a higher tier": item(tierMinimumUnits=100.0, retailPrice=3.0),
}


def test_the_price_is_that_of_linux_pay_as_you_go() -> None:
    assert choose([*OTHERS.values(), item()], SIZE, REGION, "USD", NOW) == ListPrice(3.673, SINCE)


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_our_price_is_never_taken(other: str) -> None:
    with pytest.raises(UnknownPriceError, match="has no"):
        choose([OTHERS[other]], SIZE, REGION, "USD", NOW)


def test_the_newest_in_effect_counts_and_sizes_have_no_case() -> None:
    older = item(effectiveStartDate="2023-01-01T00:00:00Z", retailPrice=5.0)
    assert choose([item(), older], SIZE.upper(), REGION, "USD", NOW).hourly == 3.673


def test_several_prices_at_once_are_no_price() -> None:
    with pytest.raises(UnknownPriceError, match="several"):
        choose([item(), item(retailPrice=3.7)], SIZE, REGION, "USD", NOW)
    assert choose([item(), item(isPrimaryMeterRegion=False)], SIZE, REGION, "USD", NOW).hourly == 3.673


@pytest.mark.parametrize("price", [None, "3.67", -1, 0, float("nan"), float("inf"), True, {}])
def test_a_price_that_is_none_makes_it_unknown(price: object) -> None:
    with pytest.raises(UnknownPriceError):
        choose([item(retailPrice=price)], SIZE, REGION, "USD", NOW)


@pytest.mark.parametrize("raw", ["[1]", "{", '{"a": "1"}', '{"a": -1}', '{"a": NaN}', '{"a": true}', '{"a": 1e999}'])
def test_prices_of_an_operator_are_numbers_by_size(raw: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_prices(raw)


def test_an_operators_prices_are_found_without_case() -> None:
    assert parse_prices('{"Standard_NC24ads_A100_v4": 3}') == {"standard_nc24ads_a100_v4": 3.0}
    assert parse_prices("") == {}
