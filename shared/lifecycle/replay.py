"""An operator's second try: a tuning that ended goes on from the stage that failed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.errors import PermanentError
from shared.lifecycle.records import VersionState
from shared.lifecycle.tuning import State, Tuning

if TYPE_CHECKING:
    from datetime import datetime

    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.intake import Intake

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replayer:
    lifecycle: Lifecycle
    intake: Intake

    def replay(self, tuning_id: str) -> Tuning:
        """The tuning as it goes on. Raises PermanentError with code NotFound or NotReplayable."""
        row = self.lifecycle.ledger.tuning(tuning_id)
        if row is None:
            raise PermanentError("NotFound", f"there is no tuning {tuning_id}")
        tuning, now = row.value, self.lifecycle.clock()
        if not tuning.ended:
            raise PermanentError("NotReplayable", f"{tuning_id} is {tuning.state}: it has not ended")
        if tuning.state is State.REJECTED:
            raise PermanentError("NotReplayable", f"{tuning_id} was rejected: upload the corrected files")
        if tuning.state is State.SUPERSEDED:
            raise PermanentError("NotReplayable", f"{tuning_id} was superseded by a newer one")
        if not tuning.splits:
            self._collect_again(tuning, now)
            return tuning
        again = resumed(tuning, now)
        log.info("tuning %s: replayed from %s", tuning_id, again.state)
        self.lifecycle.record(row, again, now)
        return again

    def _collect_again(self, tuning: Tuning, now: datetime) -> None:
        """It failed before it was checked: its version is taken anew."""
        row = self.lifecycle.ledger.version(tuning.dataset, tuning.version)
        if row is None:
            raise PermanentError("NotReplayable", f"version {tuning.dataset}/{tuning.version} is gone")
        value = replace(
            row.value,
            state=VersionState.COLLECTING,
            changed_at=now,
            wake_at=now,
            revision=row.value.revision + 1,
            errors=0,
        )
        self.lifecycle.ledger.put(replace(row, value=value))
        self.intake.wake(value, self.lifecycle.settings.settle_seconds)


def resumed(tuning: Tuning, now: datetime) -> Tuning:
    """Back in the failed stage: a job that failed is submitted under a new name, a model is deployed again."""
    fresh = {
        "outcome": None,
        "reason": None,
        "failed_stage": None,
        "smoke": None,
        "endpoint": "",
        "deployment": "",
    }
    if tuning.failed_stage in (State.PREPARING, None) and not tuning.model_id:
        return tuning.moved(State.PREPARING, now, "replayed by an operator", **fresh)
    if not tuning.model_id:
        attempt = tuning.attempt + 1
        return tuning.moved(State.PREPARING, now, "replayed by an operator: new job", attempt=attempt, **fresh)
    deploy_attempt = tuning.deploy_attempt + 1
    return tuning.moved(
        State.REGISTERED,
        now,
        "replayed by an operator: new deployment",
        deploy_attempt=deploy_attempt,
        **fresh,
    )
