"""The `$filter` of the price list: comparisons with `eq`, joined by `and`. Values have case, names have not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.http import CloudError

_FIELDS = {
    "armregionname": "armRegionName",
    "location": "location",
    "meterid": "meterId",
    "metername": "meterName",
    "productid": "productId",
    "skuid": "skuId",
    "productname": "productName",
    "skuname": "skuName",
    "servicename": "serviceName",
    "serviceid": "serviceId",
    "servicefamily": "serviceFamily",
    "pricetype": "type",
    "armskuname": "armSkuName",
    "isprimarymeterregion": "isPrimaryMeterRegion",
}
"""What may be asked for; a filter says `priceType`, an item `type`."""
_CLAUSE = re.compile(r"\s*(?P<field>\w+)\s+eq\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<truth>true|false))\s*", re.IGNORECASE)
_AND = re.compile(r"and\b", re.IGNORECASE)


def parse_filter(text: str) -> dict[str, Any]:
    """What fields of an item must be. Raises CloudError 400."""
    wanted: dict[str, Any] = {}
    at = 0
    while text.strip():
        clause = _CLAUSE.match(text, at)
        field = _FIELDS.get(clause["field"].lower()) if clause else None
        if clause is None or field is None:
            raise CloudError(400, "BadRequest", f"Invalid filter: {text[at:]!r} is not understood.")
        truth = clause["truth"]
        wanted[field] = truth.lower() == "true" if truth else clause["text"].replace("''", "'")
        at = clause.end()
        if at == len(text):
            break
        joined = _AND.match(text, at)
        if joined is None:
            raise CloudError(400, "BadRequest", f"Invalid filter: {text[at:]!r} is not understood.")
        at = joined.end()
    return wanted


def matches(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(item[field] == value for field, value in wanted.items())
