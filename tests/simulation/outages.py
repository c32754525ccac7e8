"""What is refused for a while: begun by one fault, then met by every call until it is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.simulation.dice import Dice
from tests.simulation.faults import Kind

REFUSALS_OF_AN_OPERATION = (Kind.FORBIDDEN, Kind.CONFLICT, Kind.THROTTLED)
"""A role that is not there (yet), a resource that is always busy, a subscription that asks too often."""
_AN_HOUR = (30 * 60.0, 75 * 60.0)
_STORAGE = (60.0, 40 * 60.0)
STORAGE_SEAMS = ("ledger", "wake_ups", "blobs")


@dataclass(frozen=True)
class _Outage:
    until: datetime
    refusal: Kind


@dataclass
class Outages:
    """By operation ("arm.set_traffic"), or by the seam before its dot ("ledger")."""

    _under_way: dict[str, _Outage] = field(default_factory=dict)

    def begin(self, kind: Kind, operation: str, now: datetime, dice: Dice) -> None:
        if kind is Kind.REFUSED_FOR_LONG:
            outage = _Outage(now + timedelta(seconds=dice.between(*_AN_HOUR)), dice.choice(REFUSALS_OF_AN_OPERATION))
            self._under_way[operation] = outage
            return
        until = now + timedelta(seconds=dice.magnitude(*_STORAGE))
        for seam in STORAGE_SEAMS if dice.chance(0.5) else (_seam(operation),):
            self._under_way[seam] = _Outage(until, Kind.SERVER_ERROR)

    def refusal(self, operation: str, now: datetime) -> Kind | None:
        for name in (operation, _seam(operation)):
            outage = self._under_way.get(name)
            if outage is not None and now < outage.until:
                return outage.refusal
        return None


def _seam(operation: str) -> str:
    return operation.partition(".")[0]
