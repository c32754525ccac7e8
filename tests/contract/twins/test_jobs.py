"""Jobs, their child runs and events, and the registry: on the twin and on the emulator through the SDKs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.errors import PermanentError
from tests.contract.twins.subject import COMPONENT_ID, MODEL_ID, Goes, SeenEvent, Subject, ended, running

Fresh = Callable[[str], str]


@pytest.fixture
def name(fresh: Fresh) -> str:
    return fresh("job")


def run(cloud: Subject, name: str, goes: Goes = Goes.WELL) -> str:
    cloud.sdk.submit_job(cloud.job(name, goes))
    return ended(cloud, name)


def events_of(cloud: Subject, name: str) -> list[SeenEvent]:
    """Of a job and its child runs."""
    return [
        e
        for e in cloud.events()
        if name in (e.data.get("runId"), (e.data.get("runTags") or {}).get("azureml.pipelinerunid"))
    ]


def test_a_job_that_was_never_submitted_is_none(cloud: Subject, name: str) -> None:
    assert cloud.arm.get_job(name) is None


def test_a_job_runs_from_submission_to_completion(cloud: Subject, name: str) -> None:
    cloud.sdk.submit_job(cloud.job(name))
    first = cloud.arm.get_job(name)
    assert first is not None
    assert (first.name, first.tags, first.ended, first.error) == (name, {"droptune-tuning": name}, False, "")
    assert ended(cloud, name) == "Completed"
    statuses = [e.kind for e in events_of(cloud, name) if e.data["runId"] == name]
    assert statuses == ["NotStarted", "Preparing", "Queued", "Running", "Finalizing", "RunCompleted", "Completed"]


def test_a_job_that_fails_says_why(cloud: Subject, name: str) -> None:
    assert run(cloud, name, Goes.BADLY) == "Failed"
    found = cloud.arm.get_job(name)
    assert found is not None
    assert found.error == "Dataset has 3 rows, at least 10 are needed."
    statuses = [e.kind for e in events_of(cloud, name) if e.data["runId"] == name]
    assert statuses[-1] == "Failed"
    assert "RunCompleted" not in statuses


def test_events_tell_a_job_from_its_child_runs(cloud: Subject, name: str) -> None:
    run(cloud, name)
    events = events_of(cloud, name)
    assert {event.topic for event in events} == {cloud.settings.workspace_id}
    own = [event for event in events if event.data["runId"] == name]
    children = [event for event in events if event.data["runId"] != name]
    assert {event.data["runType"] for event in own} == {"azureml.PipelineRun"}
    assert {event.data["runTags"]["droptune-tuning"] for event in own} == {name}
    assert {event.data["runType"] for event in children} == {"azureml.StepRun"}
    assert {event.data["runTags"]["azureml.pipelinerunid"] for event in children} == {name}
    every = ["NotStarted", "Preparing", "Queued", "Running", "Finalizing", "RunCompleted", "Completed"]
    assert [event.kind for event in children] == every * 2
    assert {event.type.rpartition(".")[2] for event in events} == {"RunCompleted", "RunStatusChanged"}
    fields = {"experimentId", "experimentName", "runId", "runType", "runTags", "runProperties"}
    assert {frozenset(event.data) - {"runStatus"} for event in events} == {frozenset(fields)}
    assert all(event.subject.endswith(f"/runs/{event.data['runId']}") for event in events)


def test_a_child_run_is_a_job_of_which_nothing_can_be_told(cloud: Subject, name: str) -> None:
    run(cloud, name)
    child = next(e.data["runId"] for e in events_of(cloud, name) if e.data["runId"] != name)
    found = cloud.arm.get_job(child)
    assert found is not None
    assert (found.name, found.status, found.tags, found.ended) == (child, "Unknown", {}, False)


def test_a_job_that_runs_can_be_canceled(cloud: Subject, name: str) -> None:
    cloud.sdk.submit_job(cloud.job(name, Goes.ON))
    running(cloud, name)
    cloud.until(lambda: any(event.data["runId"] != name for event in events_of(cloud, name)))
    found = cloud.arm.get_job(name)
    assert found is not None
    assert (found.status, found.ended) == ("Running", False)
    cloud.arm.cancel_job(name)
    assert ended(cloud, name) == "Canceled"
    statuses = [event.kind for event in events_of(cloud, name) if event.data["runId"] == name]
    assert statuses[-2:] == ["CancelRequested", "Canceled"]
    children = [event.kind for event in events_of(cloud, name) if event.data["runId"] != name]
    assert children[-1] == "Canceled"


def test_a_job_that_waits_can_be_canceled(cloud: Subject, name: str) -> None:
    cloud.sdk.submit_job(cloud.job(name))
    cloud.arm.cancel_job(name)
    assert ended(cloud, name) == "Canceled"
    assert "Running" not in [event.kind for event in events_of(cloud, name)]


@pytest.mark.parametrize("goes", [Goes.WELL, Goes.BADLY])
def test_a_job_that_ended_can_not_be_canceled(cloud: Subject, name: str, goes: Goes) -> None:
    status = run(cloud, name, goes)
    with pytest.raises(PermanentError, match=f"cancel job {name}: .*terminal status") as caught:
        cloud.arm.cancel_job(name)
    assert caught.value.code == "UserError"
    assert ended(cloud, name) == status


def test_a_job_that_never_was_can_not_be_canceled(cloud: Subject, name: str) -> None:
    with pytest.raises(PermanentError, match="not found") as caught:
        cloud.arm.cancel_job(name)
    assert caught.value.code == "UserError"


def test_a_job_submitted_twice_is_one_job(cloud: Subject, name: str) -> None:
    cloud.sdk.submit_job(cloud.job(name))
    cloud.sdk.submit_job(cloud.job(name, tags={"droptune-tuning": name, "more": "m"}, display_name="another"))
    assert ended(cloud, name) == "Completed"
    cloud.sdk.submit_job(cloud.job(name))
    found = cloud.arm.get_job(name)
    assert found is not None
    assert found.status == "Completed"
    own = [event.kind for event in events_of(cloud, name) if event.data["runId"] == name]
    assert own.count("NotStarted") == 1


def test_the_tags_of_a_job_are_those_of_its_last_submission(cloud: Subject, name: str) -> None:
    run(cloud, name)
    cloud.sdk.submit_job(cloud.job(name, tags={"other": "o"}))
    found = cloud.arm.get_job(name)
    assert found is not None
    assert found.tags == {"other": "o"}


def test_another_job_under_the_same_name_changes_nothing(cloud: Subject, name: str) -> None:
    run(cloud, name)
    others: list[dict[str, Any]] = [
        {"inputs": {"num_train_epochs": "3", "learning_rate": "5e-06"}},
        {"model_id": MODEL_ID.replace("/13", "/12")},
        {"experiment_name": "another"},
    ]
    for changes in others:
        cloud.sdk.submit_job(cloud.job(name, tags={"other": "o"}, **changes))
        found = cloud.arm.get_job(name)
        assert found is not None
        assert (found.status, found.tags) == ("Completed", {"droptune-tuning": name})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {"no_such_input": "1"}}, "no_such_input"),
        ({"inputs": {"num_train_epochs": "many"}}, "num_train_epochs"),
        ({"inputs": {"num_train_epochs": "0"}}, "num_train_epochs"),
        ({"inputs": {"lr_scheduler_type": "unheard-of"}}, "lr_scheduler_type"),
        ({"component_id": COMPONENT_ID.replace("0.0.82", "9.9.9")}, "9.9.9"),
        ({"model_id": MODEL_ID.replace("/13", "/99")}, "99"),
    ],
)
def test_a_job_that_the_service_refuses_is_an_error_for_good(
    cloud: Subject, name: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(PermanentError, match=message) as caught:
        cloud.sdk.submit_job(cloud.job(name, **changes))
    assert caught.value.code == "UserError"
    assert cloud.arm.get_job(name) is None


def test_the_newest_component_has_the_inputs_of_the_real_one(cloud: Subject) -> None:
    component_id, inputs = cloud.sdk.newest_component("chat_completion_pipeline")
    assert component_id == COMPONENT_ID
    assert len(inputs) == 69
    assert inputs["lr_scheduler_type"].enum is not None
    epochs = inputs["num_train_epochs"]
    assert (epochs.name, epochs.type, epochs.minimum, epochs.maximum) == ("num_train_epochs", "integer", 1, None)
    learning_rate = inputs["learning_rate"]
    assert (learning_rate.type, learning_rate.optional, learning_rate.default) == ("number", True, "2e-05")
    assert inputs["train_file_path"].type == "uri_file"
    assert inputs["mlflow_model_path"].type == "mlflow_model"


@pytest.mark.parametrize(
    "look",
    [
        lambda sdk: sdk.newest_component("no-such-component"),
        lambda sdk: sdk.base_model("no-such-model", ""),
        lambda sdk: sdk.base_model("no-such-model", "1"),
        lambda sdk: sdk.base_model("Phi-3-mini-4k-instruct", "99"),
    ],
)
def test_what_the_registry_does_not_have_is_an_error_for_good(cloud: Subject, look: Callable[[Any], object]) -> None:
    with pytest.raises(PermanentError, match="not found") as caught:
        look(cloud.sdk)
    assert caught.value.code == "UserError"


def test_a_base_model_is_the_newest_unless_a_version_is_asked_for(cloud: Subject) -> None:
    newest = cloud.sdk.base_model("Phi-3-mini-4k-instruct", "")
    assert (newest.id, newest.name, newest.version) == (MODEL_ID, "Phi-3-mini-4k-instruct", "13")
    assert (newest.tags, newest.properties) == ({"task": "chat-completion"}, {})
    pinned = cloud.sdk.base_model("Phi-3-mini-4k-instruct", "12")
    assert (pinned.version, pinned.tags) == ("12", {})
