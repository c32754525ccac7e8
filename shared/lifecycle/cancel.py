"""An operator ends a tuning that is under way."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.errors import PermanentError, TransientError
from shared.lifecycle.perform import cleaning_up
from shared.lifecycle.tuning import Reason, State

if TYPE_CHECKING:
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.tuning import Tuning

log = logging.getLogger(__name__)

_TRIES = 5


@dataclass(frozen=True)
class Canceler:
    lifecycle: Lifecycle

    def cancel(self, tuning_id: str) -> Tuning:
        """The tuning as it goes on: cleaning up, to end as failed. Raises PermanentError (NotFound, NotCancelable)."""
        for _ in range(_TRIES):
            row = self.lifecycle.ledger.tuning(tuning_id) if names.is_tuning_id(tuning_id) else None
            if row is None:
                raise PermanentError("NotFound", f"there is no tuning {tuning_id[:200]!a}")
            tuning, now = row.value, self.lifecycle.clock()
            if tuning.ended or tuning.state is State.CLEANING_UP:
                raise PermanentError("NotCancelable", f"{tuning_id} is {tuning.state}: nothing of it goes on")
            if tuning.state in (State.PROMOTING, State.LIVE):
                # Who is being promoted may be live in the endpoint record already, with all of the traffic.
                message = f"{tuning_id} is {tuning.state}: put the endpoint to sleep, or return to an older tuning"
                raise PermanentError("NotCancelable", message)
            reason = Reason("Canceled", f"canceled by an operator while it was {tuning.state}")
            if self.lifecycle.record(row, cleaning_up(tuning, State.FAILED, reason, now), now):
                log.info("tuning %s: canceled while it was %s", tuning_id, tuning.state)
                return cleaning_up(tuning, State.FAILED, reason, now)
        raise TransientError(f"{tuning_id} changes too fast to be canceled")
