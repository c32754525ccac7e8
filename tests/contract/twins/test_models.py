"""Registered models: on the twin and on the emulator through azure-ai-ml."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.errors import PermanentError
from tests.contract.twins.subject import Goes, Subject, ended, running

Fresh = Callable[[str], str]


def register(cloud: Subject, name: str, job: str, version: str = "1") -> str:
    return cloud.sdk.register_model(name=name, version=version, job=job, description="d", tags={"a": "b"})


@pytest.fixture(scope="module")
def job(cloud: Subject) -> str:
    """One that completed."""
    cloud.sdk.submit_job(cloud.job("models-job"))
    ended(cloud, "models-job")
    return "models-job"


def test_a_model_of_a_completed_job_is_registered_under_its_arm_id(cloud: Subject, fresh: Fresh, job: str) -> None:
    name = fresh("model")
    identity = register(cloud, name, job)
    assert identity == f"{cloud.settings.workspace_id}/models/{name}/versions/1"
    told = [e for e in cloud.events() if e.type == "Microsoft.MachineLearningServices.ModelRegistered"]
    mine = [e for e in told if e.data["ModelName"] == name]
    assert [(e.subject, e.data["ModelVersion"], e.data["ModelTags"]) for e in mine] == [
        (f"models/{name}:1", "1", {"a": "b"})
    ]


def test_a_model_registered_twice_is_one_version(cloud: Subject, fresh: Fresh, job: str) -> None:
    name = fresh("model")
    assert register(cloud, name, job) == register(cloud, name, job)
    told = [e for e in cloud.events() if e.data.get("ModelName") == name]
    assert len(told) == 1


def test_a_second_version_is_another_model(cloud: Subject, fresh: Fresh, job: str) -> None:
    name = fresh("model")
    assert register(cloud, name, job) != register(cloud, name, job, "2")


def test_a_version_keeps_the_job_that_it_came_from(cloud: Subject, fresh: Fresh, job: str) -> None:
    name, other = fresh("model"), fresh("job")
    cloud.sdk.submit_job(cloud.job(other))
    ended(cloud, other)
    register(cloud, name, job)
    with pytest.raises(PermanentError, match=f"register model {name} version 1: .*Asset paths") as caught:
        register(cloud, name, other)
    assert caught.value.code == "UserError"


@pytest.mark.parametrize("goes", [Goes.BADLY, Goes.ON, None])
def test_a_job_that_did_not_complete_has_no_model(cloud: Subject, fresh: Fresh, goes: Goes | None) -> None:
    name = fresh("job")
    if goes is not None:
        cloud.sdk.submit_job(cloud.job(name, goes))
        running(cloud, name)
    if goes is Goes.BADLY:
        ended(cloud, name)
    with pytest.raises(PermanentError, match="not available") as caught:
        register(cloud, name, name)
    assert caught.value.code == "UserError"
    if goes is Goes.ON:
        cloud.arm.cancel_job(name)
        ended(cloud, name)


def test_a_name_that_no_model_can_have_is_refused(cloud: Subject, job: str) -> None:
    with pytest.raises(PermanentError) as caught:
        register(cloud, "-model", job)
    assert caught.value.code == "UserError"
