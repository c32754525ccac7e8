"""An operator's word that a tuning may be deployed beyond the month's budget."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from shared import names
from shared.errors import PermanentError, RaceLostError

if TYPE_CHECKING:
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)

_CAS_TRIES = 5


def allow_budget(lifecycle: Lifecycle, tuning_id: str) -> Tuning:
    """It holds until the tuning ends. Raises PermanentError with code NotFound or Ended, RaceLostError if others
    write the row all the time.
    """
    for _ in range(_CAS_TRIES):
        row = lifecycle.ledger.tuning(tuning_id) if names.is_tuning_id(tuning_id) else None
        if row is None:
            raise PermanentError("NotFound", f"there is no tuning {tuning_id[:200]!a}")
        tuning, now = row.value, lifecycle.clock()
        if tuning.ended:
            raise PermanentError("Ended", f"{tuning_id} is {tuning.state}: replay it first")
        if tuning.budget_exempt:
            return tuning
        allowed = replace(tuning, budget_exempt=True, wake_at=now)
        allowed = allowed.noted(now, "an operator allowed its deployment beyond the month's budget")
        try:
            row = lifecycle.ledger.put(replace(row, value=allowed))
        except RaceLostError:
            continue
        log.info("tuning %s: allowed beyond the budget", tuning_id)
        lifecycle.events.publish_new(row)
        lifecycle.wake(allowed, now)
        return allowed
    raise RaceLostError(f"tuning {tuning_id} changes too fast")
