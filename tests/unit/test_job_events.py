"""Which of Azure ML's events concern us, and why the others do not."""

from __future__ import annotations

from typing import Any

import pytest

from shared.lifecycle.job_events import RUN_COMPLETED, RUN_STATUS_CHANGED, JobEvent, run_that_ended

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ROOT = {"runId": "chats-v1-aaaaaaaa", "runType": "azureml.PipelineRun", "runTags": {}, "runStatus": "Completed"}
CHILD = {**ROOT, "runType": "azureml.StepRun", "runTags": {"azureml.pipelinerunid": "chats-v1-aaaaaaaa"}}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (RUN_COMPLETED, ROOT),
        (RUN_COMPLETED, {**ROOT, "runType": None}),
        (RUN_STATUS_CHANGED, ROOT),
        (RUN_STATUS_CHANGED, {**ROOT, "runStatus": "failed"}),
        (RUN_STATUS_CHANGED, {**ROOT, "runStatus": "Canceled"}),
    ],
)
def test_the_end_of_a_root_run_is_taken(kind: str, data: dict[str, Any]) -> None:
    assert run_that_ended(JobEvent(WORKSPACE, kind, data), WORKSPACE) == ("chats-v1-aaaaaaaa", "")


def test_the_topic_is_compared_as_resource_ids_are() -> None:
    assert run_that_ended(JobEvent(WORKSPACE.upper() + "/", RUN_COMPLETED, ROOT), WORKSPACE)[0]


@pytest.mark.parametrize(
    ("topic", "kind", "data", "why"),
    [
        (WORKSPACE + "2", RUN_COMPLETED, ROOT, "topic"),
        ("", RUN_COMPLETED, ROOT, "topic"),
        (WORKSPACE, "Microsoft.MachineLearningServices.ModelRegistered", ROOT, "type"),
        (WORKSPACE, RUN_COMPLETED, CHILD, "child"),
        (WORKSPACE, RUN_COMPLETED, {**CHILD, "runType": None}, "child"),
        (WORKSPACE, RUN_STATUS_CHANGED, {**ROOT, "runStatus": "Running"}, "not ended"),
        (WORKSPACE, RUN_STATUS_CHANGED, {**ROOT, "runStatus": None}, "not ended"),
        (WORKSPACE, RUN_COMPLETED, {}, "run id"),
        (WORKSPACE, RUN_COMPLETED, None, "run id"),
        (WORKSPACE, RUN_COMPLETED, [ROOT], "run id"),
        (WORKSPACE, RUN_COMPLETED, {**ROOT, "runId": 7}, "run id"),
        (WORKSPACE, RUN_COMPLETED, {**ROOT, "runId": "../" * 5}, "run id"),
        (WORKSPACE, RUN_COMPLETED, {**ROOT, "runId": "a" * 300}, "run id"),
        (WORKSPACE, RUN_COMPLETED, {**ROOT, "runId": "аdmin"}, "run id"),
    ],
)
def test_everything_else_is_ignored_with_a_reason(topic: str, kind: str, data: Any, why: str) -> None:
    run_id, ignored = run_that_ended(JobEvent(topic, kind, data), WORKSPACE)
    assert run_id == ""
    assert why in ignored
