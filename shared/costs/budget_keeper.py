"""The month's budget over the ledger: who has a deployment or is about to, and whether one more may begin.

No two can both take what is left for one: a tuning is `registered` in the ledger before it asks, and everybody who is
counts, so that of two who ask at once at least one sees the other, and waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.costs.budget import Commitment, forecast, objection
from shared.costs.months import Month
from shared.lifecycle.listing import Listing
from shared.lifecycle.tuning import ENDED, State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.config import Settings
    from shared.costs.prices import Prices
    from shared.costs.records import CostRecord
    from shared.lifecycle.ledger import Ledger
    from shared.lifecycle.tuning import Tuning

_NOT_YET = frozenset({State.PREPARING, State.QUEUED, State.TRAINING})
_OVER = ENDED | {State.CLEANING_UP}
"""What these still have in the cloud is in the books."""
COMMITTED = frozenset(State) - _NOT_YET - _OVER - {State.WAITING_FOR_BUDGET}
_MOST = 10_000


@dataclass(frozen=True)
class BudgetKeeper:
    settings: Settings
    ledger: Ledger
    prices: Prices

    def objection(self, tuning: Tuning, now: datetime) -> str:
        """Why the tuning's deployment has to wait; empty: there is no budget, or it fits."""
        limit = self.settings.monthly_budget
        if not limit or tuning.budget_exempt:
            return ""
        tunings = self._tunings()
        return objection(
            _commitment(tuning),
            self._records(now),
            _in_states(tunings, COMMITTED),
            _in_states(tunings, {State.WAITING_FOR_BUDGET}),
            self.prices.hourly,
            limit,
            self.settings.price_currency,
            now,
        )

    def shown(self, now: datetime) -> dict[str, Any] | None:
        """For people; None: there is no budget."""
        limit = self.settings.monthly_budget
        if not limit:
            return None
        tunings, currency = self._tunings(), self.settings.price_currency
        found = forecast(self._records(now), _in_states(tunings, COMMITTED), self.prices.hourly, currency, now)
        return {
            "month": str(found.month),
            "currency": found.currency,
            "limit": limit,
            "spent": round(found.spent, 4),
            "hourly": round(found.running, 4),
            "forecast": None if found.unknown else round(found.total, 4),
            "unknown": found.unknown,
            "waiting": [item.tuning for item in _in_states(tunings, {State.WAITING_FOR_BUDGET})],
        }

    def _tunings(self) -> list[Tuning]:
        """Read before the books: whose deployment is in neither did not exist when this was read."""
        return self.ledger.page(Listing(limit=_MOST, states=COMMITTED | {State.WAITING_FOR_BUDGET}, collecting=False))

    def _records(self, now: datetime) -> list[CostRecord]:
        start = Month.of(now).start - timedelta(days=1)
        rows = (row.value for row in self.ledger.costs())
        return [record for record in rows if record.ended is None or record.ended > start]


def _in_states(tunings: Iterable[Tuning], states: set[State] | frozenset[State]) -> list[Commitment]:
    found = [_commitment(tuning) for tuning in tunings if tuning.state in states]
    return sorted(found, key=lambda item: (item.arrived, item.tuning))


def _commitment(tuning: Tuning) -> Commitment:
    return Commitment(tuning.id, tuning.dataset, tuning.inference_instance_type, tuning.instance_count, tuning.arrived)
