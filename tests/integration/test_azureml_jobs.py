"""Jobs: what is refused, what a failure looks like and where, what events a run fires, how jobs wait in line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.config import WORKSPACE_ID
from tests.integration.azureml_support import Cloud, job_body, job_ended, until

if TYPE_CHECKING:
    import httpx

pytest_plugins = ("tests.integration.azureml_fixtures",)

HISTORY = f"/history/v1.0{WORKSPACE_ID}"


def submit(cloud: Cloud, name: str, *orders: str, **inputs: str) -> httpx.Response:
    train_file = cloud.upload(f"{name}.jsonl", "\n".join(orders))
    return cloud.arm("PUT", f"/jobs/{name}", job_body(train_file, **inputs), "2024-01-01-preview")


def history(cloud: Cloud, method: str, path: str, body: object = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {cloud.token()}"}
    answer = cloud.http.request(method, HISTORY + path, json=body, headers=headers)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"no_such_input": "1"}, "no_such_input is not an input of component chat_completion_pipeline 0.0.82"),
        ({"num_train_epochs": "three"}, "num_train_epochs of node: 'three' is not an integer"),
        ({"num_train_epochs": "0"}, "num_train_epochs of node: 0 is less than the minimum 1"),
        ({"learning_rate": "fast"}, "learning_rate of node: 'fast' is not a number"),
        ({"apply_lora": "True"}, "apply_lora of node: 'True' is not one of true, false"),
        ({"seed": "${{parent.inputs.seed}}"}, "${{parent.inputs.seed}} names no input of the job"),
    ],
)
def test_a_job_with_an_input_that_the_component_does_not_take_is_refused(
    azureml_cloud: Cloud, inputs: dict[str, str], complaint: str
) -> None:
    answer = submit(azureml_cloud, "refused", "fine", **inputs)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "UserError"
    assert complaint in answer.json()["error"]["message"]
    assert azureml_cloud.arm("GET", "/jobs/refused").status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("componentId", "azureml://registries/azureml/components/nothing/versions/1", "Component nothing was not"),
        (
            "componentId",
            "azureml://registries/azureml/components/chat_completion_pipeline/versions/9.9.9",
            "Component chat_completion_pipeline:9.9.9 was not found",
        ),
        ("mlflow_model_path", "azureml://registries/azureml/models/nothing/versions/1", "Model nothing was not"),
        ("mlflow_model_path", "azureml://registries/other/models/x/versions/1", "Registry other was not found"),
    ],
)
def test_a_job_that_names_what_does_not_exist_is_refused(
    azureml_cloud: Cloud, field: str, value: str, complaint: str
) -> None:
    body = job_body("https://127.0.0.1/nothing")
    node = body["properties"]["jobs"]["node"]
    if field == "componentId":
        node[field] = value
    else:
        node["inputs"][field] = {"job_input_type": "mlflow_model", "uri": value}

    answer = azureml_cloud.arm("PUT", "/jobs/refused", body)

    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]


def test_the_inputs_of_the_job_reach_the_node_by_reference(azureml_cloud: Cloud) -> None:
    body = job_body(azureml_cloud.upload("reference.jsonl", "fine"), num_train_epochs="${{parent.inputs.epochs}}")
    body["properties"]["inputs"] = {"epochs": {"jobInputType": "literal", "value": "5"}}

    assert azureml_cloud.arm("PUT", "/jobs/reference", body).status_code == 201

    assert job_ended(azureml_cloud, "reference")["status"] == "Completed"
    order = Path(azureml_cloud.config.state_dir, "azureml/jobs/reference/job.json").read_text()
    assert '"num_train_epochs": "5"' in order


def test_only_tags_and_the_like_of_a_job_can_be_changed(azureml_cloud: Cloud) -> None:
    train_file = azureml_cloud.upload("immutable.jsonl", "fine")
    body = job_body(train_file)
    assert azureml_cloud.arm("PUT", "/jobs/immutable", body).status_code == 201
    body["properties"]["tags"] = {"tuning": "t-2"}

    retagged = azureml_cloud.arm("PUT", "/jobs/immutable", body)
    other = azureml_cloud.arm("PUT", "/jobs/immutable", job_body(train_file, seed="7"))

    assert (retagged.status_code, retagged.json()["properties"]["tags"]) == (200, {"tuning": "t-2"})
    assert other.status_code == 400
    assert "the existing job's Jobs cannot be changed" in other.json()["error"]["message"]
    [inner] = [item for item in other.json()["error"]["additionalInfo"] if item["type"] == "InnerError"]
    assert inner["info"]["value"]["innerError"]["code"] == "JobPropertyImmutable"


def test_a_successful_run_fires_every_status_once_and_then_run_completed(azureml_cloud: Cloud) -> None:
    submit(azureml_cloud, "events", "fine")
    job = job_ended(azureml_cloud, "events")

    sink = azureml_cloud.sink
    every = ["NotStarted", "Preparing", "Queued", "Running", "Finalizing", "RunCompleted", "Completed"]
    assert sink.of_run("events") == every
    assert [sink.of_run(step["run_id"]) for step in job["steps"]] == [every] * 2
    [root] = [e for e in sink.events if e.type == "RunCompleted" and e.data["runId"] == "events"]
    assert root.topic == WORKSPACE_ID
    assert root.subject == f"experiments/{root.data['experimentId']}/runs/events"
    assert root.data["experimentName"] == "tests"
    assert root.data["runType"] == "azureml.PipelineRun"
    assert root.data["runTags"] == {"tuning": "t-1"}
    [child] = [e for e in sink.events if e.type == "RunCompleted" and e.data["runId"] == job["steps"][0]["run_id"]]
    assert child.data["runType"] == "azureml.StepRun"
    assert child.data["runTags"]["azureml.pipelinerunid"] == "events"


def test_metrics_and_steps_can_be_followed(azureml_cloud: Cloud) -> None:
    submit(azureml_cloud, "follow", "fine")
    job = job_ended(azureml_cloud, "follow")

    assert [(metric["name"], metric["value"], metric["at"]) for metric in job["metrics"]] == [
        ("loss", 3.0, 1),
        ("loss", 1.5, 2),
        ("loss", 1.0, 3),
    ]
    assert job["total_steps"] == 3
    assert [step["name"] for step in job["steps"]] == ["chat_completion_datapreprocess", "chat_completion_finetune"]


def test_a_failed_job_has_its_reason_in_the_run_history_and_never_fires_run_completed(azureml_cloud: Cloud) -> None:
    submit(azureml_cloud, "failing", "bad data")
    assert job_ended(azureml_cloud, "failing")["status"] == "Failed"
    reason = "Dataset has 3 rows, at least 10 are needed."

    request = {"runId": "failing", "selectRunMetadata": True}
    root = history(azureml_cloud, "POST", "/rundata", request)["runMetadata"]
    [child] = history(azureml_cloud, "GET", "/runs/failing/children")["value"]
    by_experiment = history(azureml_cloud, "GET", f"/experiments/tests/runs/{child['runId']}")

    assert root["status"] == child["status"] == "Failed"
    assert root["error"]["error"]["code"] == "UserError"
    assert "Failed nodes: /node/chat_completion_datapreprocess" in root["error"]["error"]["message"]
    assert root["error"]["error"]["details"][0]["message"] == reason
    assert child["error"]["error"]["message"] == by_experiment["error"]["error"]["message"] == reason
    assert (child["parentRunId"], child["runType"]) == ("failing", "azureml.StepRun")
    assert azureml_cloud.sink.of_run("failing")[-2:] == ["Running", "Failed"]
    assert "RunCompleted" not in azureml_cloud.sink.of_run("failing")


def test_a_training_that_dies_without_a_word_fails_its_job_and_the_open_step(azureml_cloud: Cloud) -> None:
    submit(azureml_cloud, "crashing", "crash")

    job = job_ended(azureml_cloud, "crashing")

    assert job["status"] == "Failed"
    assert job["error"]["cause"] == "The training process ended with exit code 7. reading the data"
    assert [step["status"] for step in job["steps"]] == ["Completed", "Failed"]


def test_a_training_file_that_does_not_exist_fails_the_job(azureml_cloud: Cloud) -> None:
    url = f"{azureml_cloud.config.blob_url}/data/nothing.jsonl?sv=secret"
    azureml_cloud.arm("PUT", "/jobs/missing", job_body(url))

    job = job_ended(azureml_cloud, "missing")

    assert job["status"] == "Failed"
    assert "StreamAccess.NotFound" in job["error"]["message"]
    assert "secret" not in job["error"]["message"]


def test_one_job_trains_at_a_time_and_the_next_one_waits_in_the_queue(fresh_cloud: Cloud) -> None:
    submit(fresh_cloud, "first", "wait")
    until(lambda: fresh_cloud.control("GET", "/jobs/first")["metrics"])
    submit(fresh_cloud, "second", "fine")
    until(lambda: fresh_cloud.control("GET", "/jobs/second")["status"] == "Queued")

    Path(fresh_cloud.config.state_dir, "azureml", "go on").touch()

    assert job_ended(fresh_cloud, "first")["status"] == "Completed"
    assert job_ended(fresh_cloud, "second")["status"] == "Completed"
    first, second = (fresh_cloud.control("GET", f"/jobs/{name}") for name in ("first", "second"))
    assert first["ended"] <= second["started"]


def test_a_job_in_the_queue_can_be_cancelled_and_never_runs(fresh_cloud: Cloud) -> None:
    submit(fresh_cloud, "first", "wait")
    until(lambda: fresh_cloud.control("GET", "/jobs/first")["metrics"])
    submit(fresh_cloud, "second", "fine")

    answer = fresh_cloud.arm("POST", "/jobs/second/cancel")
    result_path = answer.headers["location"].removeprefix(fresh_cloud.config.azure_url)

    assert (answer.status_code, answer.text) == (202, "null")
    job = job_ended(fresh_cloud, "second")
    assert (job["status"], job["started"]) == ("Canceled", None)
    result = fresh_cloud.http.get(result_path, headers={"Authorization": f"Bearer {fresh_cloud.token()}"})
    assert (result.status_code, result.text) == (200, "")
    assert fresh_cloud.sink.of_run("second")[-2:] == ["CancelRequested", "Canceled"]


def test_the_list_of_jobs_leaves_archived_ones_out(azureml_cloud: Cloud) -> None:
    body = job_body(azureml_cloud.upload("archived.jsonl", "fine"))
    azureml_cloud.arm("PUT", "/jobs/archived", body)
    body["properties"]["isArchived"] = True
    azureml_cloud.arm("PUT", "/jobs/archived", body)

    listed = [job["name"] for job in azureml_cloud.arm("GET", "/jobs").json()["value"]]

    assert "archived" not in listed
