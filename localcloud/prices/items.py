"""The items of the price list: each size as the real list has it, beside much that is not its price.

Fields and their forms: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.config import LOCATION

_REGIONS = {LOCATION: ("US East", 1.0), "westeurope": ("EU West", 1.2), "japaneast": ("JA East", 1.35)}
"""Display name, and how much dearer than here."""
_RATES = {"USD": 1.0, "EUR": 0.9, "GBP": 0.8, "JPY": 150.0}
"""Made up, as the prices are."""
_SINCE = "2024-01-01T00:00:00Z"
_HOURS_A_YEAR = 8760

CURRENCIES = frozenset(_RATES)


def items(prices: Mapping[str, float], currency: str) -> Iterator[dict[str, Any]]:
    """`prices` are dollars per hour here, by size. In an order that does not put the plain price first."""
    for size, hourly in sorted(prices.items()):
        short = size.removeprefix("Standard_").replace("_", " ")
        for region, (location, factor) in _REGIONS.items():
            price = round(hourly * factor * _RATES[currency], 6)
            series = f"Virtual Machines {short.split(' ')[0]} Series"
            common = {"size": size, "region": region, "location": location, "currency": currency}
            yield _item(product=f"{series} Windows", sku=short, price=round(price * 1.3, 6), **common)
            yield _item(product=series, sku=f"{short} Spot", price=round(price * 0.25, 6), **common)
            yield _item(product=series, sku=f"{short} Low Priority", price=round(price * 0.2, 6), **common)
            yield _item(product=series, sku=short, price=price, **common)
            dev_test = _item(product=f"{series} Windows", sku=short, price=price, kind="DevTestConsumption", **common)
            yield dev_test
            year = _item(product=series, sku=short, price=round(price * _HOURS_A_YEAR * 0.7), **common)
            yield {**year, "type": "Reservation", "reservationTerm": "1 Year"}


def _item(
    *,
    size: str,
    region: str,
    location: str,
    currency: str,
    product: str,
    sku: str,
    price: float,
    kind: str = "Consumption",
) -> dict[str, Any]:
    meter = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{region}/{product}/{sku}/{kind}"))
    return {
        "currencyCode": currency,
        "tierMinimumUnits": 0.0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": region,
        "location": location,
        "effectiveStartDate": _SINCE,
        "meterId": meter,
        "meterName": sku,
        "productId": f"DZH318Z0{meter[:4].upper()}",
        "skuId": f"DZH318Z0{meter[:4].upper()}/{meter[4:8].upper()}",
        "productName": product,
        "skuName": sku,
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": kind,
        "isPrimaryMeterRegion": True,
        "armSkuName": size,
    }
