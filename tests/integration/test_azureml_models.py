"""Registered models: where they come from, what of them can change, how they are listed, the event they fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.config import WORKSPACE_ID
from tests.integration.azureml_support import Cloud, job_body, until

if TYPE_CHECKING:
    import httpx

pytest_plugins = ("tests.integration.azureml_fixtures",)

OUTPUT = "azureml://jobs/good-model/outputs/trained_model"


def register(cloud: Cloud, name: str, version: str, uri: str = OUTPUT, **more: Any) -> httpx.Response:
    properties = {"modelType": "mlflow_model", "modelUri": uri, **more}
    return cloud.arm("PUT", f"/models/{name}/versions/{version}", {"properties": properties})


def versions(cloud: Cloud, name: str, query: str = "") -> list[str]:
    answer = cloud.http.get(
        f"{WORKSPACE_ID}/models/{name}/versions?api-version=2023-08-01-preview{query}",
        headers={"Authorization": f"Bearer {cloud.token()}"},
    )
    return [model["name"] for model in answer.raise_for_status().json()["value"]]


def test_a_new_version_fires_model_registered_once(azureml_cloud: Cloud, good_model: str) -> None:
    first = register(azureml_cloud, "announced", "7", tags={"tuning": "t-1"}, properties={"a": "b"})
    again = register(azureml_cloud, "announced", "7", tags={"tuning": "t-2"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["properties"]["tags"] == {"tuning": "t-2"}
    assert again.json()["properties"]["jobName"] == "good-model"
    [event] = [e for e in azureml_cloud.sink.events if e.subject == "models/announced:7"]
    assert (event.topic, event.type) == (WORKSPACE_ID, "ModelRegistered")
    assert event.data == {
        "ModelName": "announced",
        "ModelVersion": "7",
        "ModelTags": {"tuning": "t-1"},
        "ModelProperties": {"a": "b"},
    }


def test_the_path_of_a_version_never_changes(azureml_cloud: Cloud, good_model: str) -> None:
    register(azureml_cloud, "fixed", "1")

    answer = register(azureml_cloud, "fixed", "1", f"{OUTPUT}2")

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Asset paths cannot be updated."
    assert azureml_cloud.arm("GET", "/models/fixed/versions/1").json()["properties"]["modelUri"] == OUTPUT


def test_only_the_outputs_of_completed_jobs_can_be_registered(azureml_cloud: Cloud, good_model: str) -> None:
    azureml_cloud.arm("PUT", "/jobs/unfinished", job_body(azureml_cloud.upload("unfinished.jsonl", "wait")))
    until(lambda: azureml_cloud.control("GET", "/jobs/unfinished")["metrics"])

    answers = [
        register(azureml_cloud, "early", "1", f"azureml://jobs/{job}/outputs/{output}")
        for job, output in (("unfinished", "trained_model"), ("nothing", "x"), ("good-model", "no-such-output"))
    ]

    assert [answer.status_code for answer in answers] == [400] * 3
    messages = [answer.json()["error"]["message"] for answer in answers]
    assert "the job is Running" in messages[0]
    assert "the job does not exist" in messages[1]
    assert "the job has no such output" in messages[2]
    azureml_cloud.arm("POST", "/jobs/unfinished/cancel")


def test_versions_are_listed_newest_first_without_archived_and_deleted_ones(
    azureml_cloud: Cloud, good_model: str
) -> None:
    for version in ("10", "9", "new", "old", "wrong"):
        register(azureml_cloud, "listed", version)
    register(azureml_cloud, "listed", "old", isArchived=True)
    deleted = azureml_cloud.arm("DELETE", "/models/listed/versions/wrong")

    assert (deleted.status_code, azureml_cloud.arm("DELETE", "/models/listed/versions/wrong").status_code) == (200, 204)
    assert versions(azureml_cloud, "listed") == ["new", "9", "10"]
    assert versions(azureml_cloud, "listed", "&$orderBy=createdtime desc&$top=1") == ["new"]
    assert versions(azureml_cloud, "listed", "&listViewType=ArchivedOnly") == ["old"]
    assert versions(azureml_cloud, "listed", "&version=9") == ["9"]


def test_a_model_without_versions_does_not_exist(azureml_cloud: Cloud, good_model: str) -> None:
    listed = [model["name"] for model in azureml_cloud.arm("GET", "/models").json()["value"]]

    assert "good-model" in listed
    assert azureml_cloud.arm("GET", "/models/good-model").json()["properties"]["latestVersion"] == "1"
    assert azureml_cloud.arm("GET", "/models/nothing").status_code == 404
    assert azureml_cloud.arm("GET", "/models/nothing/versions").status_code == 404
