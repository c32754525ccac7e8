"""The price list: what it has of a size; what it lacks is unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.costs.retail import ListPrice, RetailPrices, UnknownPriceError
from tests.simulation.twins.world import World


@dataclass
class PriceList:
    """Per instance and hour, by VM size; `since` which all of them are in effect."""

    hourly: dict[str, float] = field(default_factory=lambda: {"Standard_NC24ads_A100_v4": 4.0})
    since: datetime | None = None


class RetailPricesTwin(RetailPrices):
    def __init__(self, world: World, prices: PriceList) -> None:
        self._world = world
        self._prices = prices

    def hourly(self, instance_type: str, region: str, currency: str, now: datetime) -> ListPrice:
        def look() -> ListPrice:
            found = self._prices.hourly.get(instance_type)
            if found is None:
                raise UnknownPriceError(f"the price list has no {instance_type} in {region}")
            return ListPrice(found, self._prices.since)

        return self._world.effect("retail.hourly", look, writes=False, of=instance_type)

    def close(self) -> None:
        """There is nothing to close."""
