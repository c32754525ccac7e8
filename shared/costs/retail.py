"""The Azure Retail Prices API: what a VM size costs in a region by the list. Public, without a key.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.azureml.translate import translated
from shared.errors import TransientError

if TYPE_CHECKING:
    from azure.core import PipelineClient

    from shared.timeouts import Timeouts

MAX_PAGES = 10
"""A query for one size in one region answers some ten items; a page holds up to 1,000."""


class UnknownPriceError(Exception):
    """The list was read, and holds no price that we may take."""


@dataclass(frozen=True)
class ListPrice:
    """Of one instance for one hour; `since` it is in effect."""

    hourly: float
    since: datetime | None


class RetailPrices:
    def __init__(self, endpoint: str, timeouts: Timeouts) -> None:
        self._endpoint = endpoint
        self._timeouts = timeouts

    def hourly(self, instance_type: str, region: str, currency: str, now: datetime) -> ListPrice:
        """Raises UnknownPriceError, or TransientError and DroptuneError if the list can not be read."""
        items: list[Mapping[str, Any]] = []
        url, query = self._endpoint, _query(instance_type, region, currency)
        for _ in range(MAX_PAGES):
            page = self._page(url, query)
            found = page.get("Items")
            if not isinstance(found, list):
                raise UnknownPriceError("the answer of the price list has no items")
            items += [item for item in found if isinstance(item, dict)]
            url, query = str(page.get("NextPageLink") or ""), {}
            if not url:
                return choose(items, instance_type, region, currency, now)
            if _origin(url) != _origin(self._endpoint):
                raise UnknownPriceError("the price list goes on at another address")
        raise UnknownPriceError(f"the price list has more than {MAX_PAGES} pages for it")

    def close(self) -> None:
        self._client.close()

    def _page(self, url: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        with translated("read prices"):
            response = self._client.send_request(HttpRequest("GET", url, params=dict(query)))
            if response.status_code != 200:
                raise HttpResponseError(response=response)
        try:
            body = response.json()
        except ValueError as error:
            raise TransientError("read prices: the answer is no JSON") from error
        if not isinstance(body, dict):
            raise UnknownPriceError("the answer of the price list is no object")
        return body

    @functools.cached_property
    def _client(self) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import RetryPolicy

        # No redirects, no tries beyond the first: the list is read by a timer, which comes again.
        return PipelineClient("", policies=[RetryPolicy(retry_total=0)], **self._timeouts.options())


def choose(
    items: Iterable[Mapping[str, Any]], instance_type: str, region: str, currency: str, now: datetime
) -> ListPrice:
    """The price of Linux by the hour, pay as you go. Raises UnknownPriceError where there is none, or more than one.

    An item that is in effect only later does not count; of several in effect the newest does.
    """
    found: dict[datetime | None, set[float]] = {}
    for item in items:
        if not _is_wanted(item, instance_type, region, currency):
            continue
        since, price = _moment(item.get("effectiveStartDate")), item.get("retailPrice")
        if since is not None and since > now:
            continue
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 < price < math.inf:
            raise UnknownPriceError("the price list has a price that is none")
        found.setdefault(since, set()).add(float(price))
    if not found:
        raise UnknownPriceError(f"the price list has no {instance_type} in {region}")
    newest = max(found, key=lambda moment: moment or datetime.min.replace(tzinfo=UTC))
    if len(found[newest]) > 1:
        raise UnknownPriceError(f"the price list has several prices of {instance_type} in {region}")
    return ListPrice(found[newest].pop(), newest)


def _is_wanted(item: Mapping[str, Any], instance_type: str, region: str, currency: str) -> bool:
    def text(name: str) -> str:
        return str(item.get(name) or "").lower()

    product = text("productName").replace(" ", "")
    meter = f"{text('meterName')} {text('skuName')}"
    return (
        text("armSkuName") == instance_type.lower()
        and text("armRegionName") == region.lower()
        and text("currencyCode") == currency.lower()
        and text("type") == "consumption"
        and text("unitOfMeasure") == "1 hour"
        and not item.get("tierMinimumUnits")
        and "windows" not in product
        and "cloudservices" not in product
        and not any(word in meter for word in ("spot", "low priority"))
    )


def _query(instance_type: str, region: str, currency: str) -> dict[str, str]:
    wanted = {
        "serviceName": "Virtual Machines",
        "armRegionName": region,
        "armSkuName": instance_type,
        "priceType": "Consumption",
    }
    return {
        "currencyCode": f"'{currency}'",
        "$filter": " and ".join(f"{name} eq '{value}'" for name, value in wanted.items()),
    }


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: the service writes its own port into its links, others do not."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0
