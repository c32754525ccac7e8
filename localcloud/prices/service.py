"""The endpoint of the price list, and the form of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.routing import Route

from localcloud.http import CloudError
from localcloud.prices.filters import matches, parse_filter
from localcloud.prices.items import CURRENCIES, items
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PATH = "/api/retail/prices"
PAGE = 100
"""Items of a page; the real list's have up to 1,000, older ones had 100."""


class RetailPrices:
    """`prices`: dollars per instance and hour in this cloud's region, by size. `base_url` is in the links to pages."""

    def __init__(self, prices: Mapping[str, float], base_url: str) -> None:
        self._prices = prices
        self._base_url = base_url
        self.routes: list[Route] = [Route(PATH, self._page, methods=["GET"])]

    async def _page(self, request: Request) -> Response:
        asked = request.query_params
        currency = asked.get("currencyCode", "USD").strip("'\"").upper()
        if currency not in CURRENCIES:
            raise CloudError(400, "BadRequest", f"Currency code {currency} is not supported.")
        text, skip = asked.get("$filter", ""), asked.get("$skip", "0")
        if not skip.isdecimal():
            raise CloudError(400, "BadRequest", "$skip must be a number.")
        wanted, begin = parse_filter(text), int(skip)
        found = [item for item in items(self._prices, currency) if matches(item, wanted)]
        page = found[begin : begin + PAGE]
        more = begin + PAGE < len(found)
        return JSONResponse(
            {
                "BillingCurrency": currency,
                "CustomerEntityId": "Default",
                "CustomerEntityType": "Retail",
                "Items": page,
                "NextPageLink": self._link(currency, text, begin + PAGE) if more else None,
                "Count": len(page),
            }
        )

    def _link(self, currency: str, text: str, skip: int) -> str:
        filtered = f"&$filter={quote(text)}" if text else ""
        return f"{self._base_url}{PATH}?currencyCode={quote(repr(currency))}{filtered}&$skip={skip}"
