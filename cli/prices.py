"""What endpoints cost by the hour, by the public price list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.costs.retail import RetailPrices, UnknownPriceError
from shared.errors import DroptuneError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cli.idle_workspace import Judged
    from shared.config import Settings

CURRENCY = "USD"


def with_prices(found: Iterable[Judged], settings: Settings, now: datetime) -> list[Judged]:
    """Each size is asked for once. What the list does not say, or does not answer, stays unknown."""
    judged = list(found)
    sizes = {item.instance_type for each in judged for item in each.deployments}
    prices = RetailPrices(settings.prices_endpoint, settings.timeouts)
    known: dict[str, float | None] = {}
    for size in sorted(sizes):
        try:
            known[size] = prices.hourly(size, settings.azure_location, CURRENCY, now).hourly
        except DroptuneError:
            return judged
        except UnknownPriceError:
            known[size] = None
    return [replace(each, hourly=_sum(each, known)) for each in judged]


def _sum(judged: Judged, known: dict[str, float | None]) -> float | None:
    total = 0.0
    for item in judged.deployments:
        price = known[item.instance_type]
        if price is None:
            return None
        total += price * item.instance_count
    return total
