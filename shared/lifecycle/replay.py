"""An operator's second try: a tuning that ended goes on from the stage that failed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared import names
from shared.errors import PermanentError
from shared.lifecycle.records import VersionState
from shared.lifecycle.tuning import State, Tuning
from shared.telemetry.traces import begun

if TYPE_CHECKING:
    from datetime import datetime

    from shared.azureml.resources import Job
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.intake import Intake

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replayer:
    lifecycle: Lifecycle
    intake: Intake

    def replay(self, tuning_id: str, *, as_newest: bool = False) -> Tuning:
        """The tuning as it goes on. Raises PermanentError with code NotFound or NotReplayable.

        `as_newest` is the operator's wish to return to this content: the tuning counts as if it had arrived just
        now, so that it may take the traffic from one that is live and came after it.
        """
        row = self.lifecycle.ledger.tuning(tuning_id) if names.is_tuning_id(tuning_id) else None
        if row is None:
            raise PermanentError("NotFound", f"there is no tuning {tuning_id[:200]!a}")
        tuning, now = row.value, self.lifecycle.clock()
        if not tuning.ended:
            raise PermanentError("NotReplayable", f"{tuning_id} is {tuning.state}: it has not ended")
        if tuning.state is State.REJECTED:
            raise PermanentError("NotReplayable", f"{tuning_id} was rejected: upload the corrected files")
        if tuning.state is State.SUPERSEDED and not as_newest:
            message = f"{tuning_id} was superseded by a newer one; to return to it, replay it with as_newest=true"
            raise PermanentError("NotReplayable", message)
        if tuning.splits:
            again = resumed(tuning, self._job(tuning), now)
            again = replace(again, arrived_at=now) if as_newest else again
        else:
            self._collect_again(tuning, now)
            again = tuning.noted(now, "replayed by an operator: its version is taken anew")
        log.info("tuning %s: replayed from %s", tuning_id, again.state)
        self.lifecycle.record(row, again, now)
        return again

    def _job(self, tuning: Tuning) -> Job | None:
        if tuning.model_id:
            return None
        return self.lifecycle.arm.get_job(names.job_name(tuning.id, tuning.attempt))

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
            last_error="",
        )
        self.lifecycle.ledger.put(replace(row, value=value))
        self.intake.wake(value, self.lifecycle.settings.settle_seconds)


def resumed(tuning: Tuning, job: Job | None, now: datetime) -> Tuning:
    """Back in the failed stage. What was done already is kept: splits that were copied, a job that completed (or
    still runs), a model that was registered; a job or a deployment that failed is made anew, under a new name.

    `job` is Azure ML's job of the last attempt, None if there is none.
    """
    if tuning.model_id:
        return redeployed(tuning, now, "replayed by an operator: new deployment")
    fresh = _fresh(tuning, now)
    if job is None and tuning.job != names.job_name(tuning.id, tuning.attempt):
        return tuning.moved(State.PREPARING, now, "replayed by an operator", **fresh)
    if job is None or job.status in ("Failed", "Canceled", "CancelRequested"):
        message = "replayed by an operator: new job"
        return tuning.moved(State.PREPARING, now, message, attempt=tuning.attempt + 1, **fresh)
    message = f"replayed by an operator: job {job.name} is {job.status}"
    return tuning.moved(State.TRAINING, now, message, job=job.name, **fresh)


def redeployed(tuning: Tuning, now: datetime, message: str) -> Tuning:
    """Its registered model goes into a new deployment, on whatever endpoint the dataset has by then."""
    attempt = tuning.deploy_attempt + 1
    return tuning.moved(State.REGISTERED, now, message, deploy_attempt=attempt, **_fresh(tuning, now))


def _fresh(tuning: Tuning, now: datetime) -> dict[str, Any]:
    return {
        "outcome": None,
        "reason": None,
        "failed_stage": None,
        "smoke": None,
        "canary": None,
        "canary_since": None,
        "endpoint": "",
        "deployment": "",
        "budget_exempt": False,
        "trace": begun(tuning.id, now),
    }
