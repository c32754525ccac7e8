"""Events and endpoints that are none of ours, or claim to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tests.simulation.twins.world import Event

_ML = "Microsoft.MachineLearningServices."
_OTHER = "/subscriptions/9/resourceGroups/x/providers/Microsoft.MachineLearningServices/workspaces/simulated"

STRANGERS_ENDPOINT = "not-of-droptune"
STRANGERS_TAGS = {"team": "x"}


def _run(topic: str, kind: str, run_id: object, **data: Any) -> Callable[[datetime, str], Event]:
    def make(now: datetime, number: str) -> Event:
        body: Mapping[str, Any] = {"runId": run_id, "runStatus": "Completed", "runTags": {}, **data}
        return Event(f"stranger-{number}", topic, kind, f"experiments/e/runs/{run_id}", body, now)

    return make


def forms(workspace_id: str, run: str) -> tuple[Callable[[datetime, str], Event], ...]:
    """`run` is the name of a real job of ours."""
    return (
        _run(_OTHER, f"{_ML}RunCompleted", run),
        _run(workspace_id, f"{_ML}RunCompleted", run),
        _run(workspace_id, f"{_ML}RunStatusChanged", run, runStatus="Failed"),
        _run(workspace_id, f"{_ML}RunStatusChanged", run, runStatus="Canceled"),
        _run(workspace_id.upper(), f"{_ML}RunCompleted", run),
        _run(workspace_id, f"{_ML}RunCompleted", f"{run}-try7"),
        _run(workspace_id, f"{_ML}RunCompleted", "somebody-elses-job"),
        _run(workspace_id, f"{_ML}RunCompleted", "../../etc/passwd"),
        _run(workspace_id, f"{_ML}RunCompleted", "x" * 400),
        _run(workspace_id, f"{_ML}RunCompleted", {"a": 1}),
        _run(workspace_id, f"{_ML}RunCompleted", run, runType="azureml.StepRun"),
        _run(workspace_id, "Microsoft.Storage.BlobCreated", run),
        _run(workspace_id, f"{_ML}DatasetDriftDetected", run),
    )
