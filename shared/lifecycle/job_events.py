"""Azure ML's run events. One only says which tuning to look at; its status is never believed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.lifecycle.tuning import State
from shared.names import is_tuning_id, tuning_of_job
from shared.telemetry.telemetry import about, stage

if TYPE_CHECKING:
    from shared.lifecycle.engine import Lifecycle

log = logging.getLogger(__name__)

RUN_COMPLETED = "Microsoft.MachineLearningServices.RunCompleted"
RUN_STATUS_CHANGED = "Microsoft.MachineLearningServices.RunStatusChanged"
_ENDED = frozenset({"completed", "failed", "canceled"})
_MAX_RUN_ID = 255


@dataclass(frozen=True)
class JobEvent:
    """`topic` is Event Grid's `topic`, or the `source` of a CloudEvent."""

    topic: str
    type: str
    data: Any


@dataclass(frozen=True)
class JobEvents:
    lifecycle: Lifecycle

    def received(self, event: JobEvent) -> None:
        """Wake the tuning whose job ended, or log why the event is ignored.

        Waking is all that happens before the event is acknowledged: Event Grid waits 30 s, Azure ML may not
        answer as fast. Raises TransientError if the message can not be sent: Event Grid delivers again.
        """
        run_id, ignored = run_that_ended(event, self.lifecycle.settings.workspace_id)
        if ignored:
            log.info("job event ignored: %s", ignored)
            return
        tuning_id = tuning_of_job(run_id)
        row = self.lifecycle.ledger.tuning(tuning_id) if is_tuning_id(tuning_id) else None
        if row is None or row.value.job != run_id:
            log.info("job event ignored: run %s is no job of ours", run_id)
            return
        if row.value.state is not State.TRAINING:
            log.info("job event ignored: tuning %s is %s already", row.value.id, row.value.state)
            return
        log.info("tuning %s: its job %s is said to have ended", row.value.id, run_id)
        tuning = row.value
        with self.lifecycle.telemetry.work("job_completed", tuning.trace, about(tuning), within=stage(tuning)):
            self.lifecycle.wake_ups.tuning(tuning.id)


def run_that_ended(event: JobEvent, workspace_id: str) -> tuple[str, str]:
    """The run's id, or empty and the reason why the event does not concern us."""
    if str(event.topic).rstrip("/").lower() != workspace_id.lower():
        return "", "its topic is another workspace"
    if event.type not in (RUN_COMPLETED, RUN_STATUS_CHANGED):
        return "", "its type is none of a run's end"
    data = event.data if isinstance(event.data, Mapping) else {}
    run_id = data.get("runId")
    if not isinstance(run_id, str) or not run_id or len(run_id) > _MAX_RUN_ID or not _plain(run_id):
        return "", "it has no valid run id"
    tags = data.get("runTags")
    if data.get("runType") == "azureml.StepRun" or (isinstance(tags, Mapping) and "azureml.pipelinerunid" in tags):
        return "", f"run {run_id} is a child run"
    if event.type == RUN_STATUS_CHANGED and str(data.get("runStatus")).lower() not in _ENDED:
        return "", f"run {run_id} is {str(data.get('runStatus'))[:30]}, not ended"
    return run_id, ""


def _plain(run_id: str) -> bool:
    return run_id.isascii() and all(character.isalnum() or character in "-_" for character in run_id)
