"""Prices that an operator sets: they win over the list, for example where a contract says otherwise."""

from __future__ import annotations

import json
import math


def parse_prices(raw: str) -> dict[str, float]:
    """Per instance and hour, by VM size in lower case. Raises ValueError."""
    try:
        given = json.loads(raw) if raw else {}
    except ValueError:
        raise ValueError("must be JSON") from None
    if not isinstance(given, dict):
        raise ValueError("must be a JSON object of prices by VM size")
    return {str(size).lower(): _price(size, value) for size, value in given.items()}


def _price(size: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"must give {size[:64]} a price that is a number and not negative")
    return float(value)
