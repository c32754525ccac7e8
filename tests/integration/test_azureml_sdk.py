"""The unmodified azure-ai-ml MLClient does everything that a fine-tuning needs, from the registry to the deletion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from tests.integration.azureml_support import (
    MODEL,
    Cloud,
    job_ended,
    pipeline_job,
    request_body,
    until,
)

if TYPE_CHECKING:
    from pathlib import Path

    from azure.ai.ml import MLClient

pytest_plugins = ("tests.integration.azureml_fixtures",)


@pytest.fixture(scope="module")
def workspace(azureml_cloud: Cloud) -> MLClient:
    return azureml_cloud.ml_client()


def test_the_registry_offers_the_newest_component_with_its_69_inputs(azureml_cloud: Cloud) -> None:
    registry = azureml_cloud.registry_client()

    latest = registry.components.get(name="chat_completion_pipeline", label="latest")
    older = registry.components.get(name="chat_completion_pipeline", version="0.0.57")

    assert (latest.version, older.version) == ("0.0.82", "0.0.57")
    assert len(latest.inputs) == 69
    assert latest.inputs["num_train_epochs"].default == 1
    assert latest.inputs["lr_scheduler_type"].enum[:2] == ["linear", "cosine"]
    assert latest.inputs["task_name"].optional is not True
    assert set(latest.outputs) == {"pytorch_model_folder", "mlflow_model_folder"}


def test_the_registry_offers_the_configured_models_with_their_tags(azureml_cloud: Cloud) -> None:
    registry = azureml_cloud.registry_client()

    model = registry.models.get(MODEL, label="latest")

    assert model.id == f"azureml://registries/azureml/models/{MODEL}/versions/13"
    assert model.tags == {"task": "chat-completion"}
    with pytest.raises(ResourceNotFoundError, match="was not found"):
        registry.models.get("no-such-model", version="1")


def test_a_job_built_with_the_dsl_runs_and_its_model_can_be_registered(
    azureml_cloud: Cloud, workspace: MLClient
) -> None:
    from azure.ai.ml.constants import AssetTypes
    from azure.ai.ml.entities import Model

    train_file = azureml_cloud.upload("sdk/train_sft.jsonl", "fine")
    built = pipeline_job(azureml_cloud, "sdk-job", train_file, num_train_epochs=3, learning_rate=5e-6)

    submitted = workspace.jobs.create_or_update(built, experiment_name="sdk")
    assert submitted.status == "NotStarted"
    job_ended(azureml_cloud, "sdk-job")
    finished = workspace.jobs.get("sdk-job")
    assert finished.status == "Completed"
    assert finished.tags == {"tuning": "t-1"}
    assert [job.name for job in workspace.jobs.list() if job.name == "sdk-job"] == ["sdk-job"]
    assert {step.status for step in workspace.jobs.list(parent_job_name="sdk-job")} == {"Completed"}

    path = "azureml://jobs/sdk-job/outputs/trained_model"
    model = Model(path=path, type=AssetTypes.MLFLOW_MODEL, name="sdk-model", version="1", description="d")
    registered = workspace.models.create_or_update(model)
    again = workspace.models.create_or_update(model)
    assert registered.id == again.id == workspace.models.get("sdk-model", version="1").id
    assert workspace.models.get("sdk-model", label="latest").version == "1"
    model.path = "azureml://jobs/other/outputs/trained_model"
    with pytest.raises(HttpResponseError, match="Asset paths cannot be updated"):
        workspace.models.create_or_update(model)


def test_the_parameters_arrive_in_the_training_as_paths_and_literals(azureml_cloud: Cloud, workspace: MLClient) -> None:
    from pathlib import Path

    train_file = azureml_cloud.upload("arrive/train_sft.jsonl", "fine")
    job = pipeline_job(azureml_cloud, "sdk-arrive", train_file, num_train_epochs=2, apply_lora="true")
    workspace.jobs.create_or_update(job, experiment_name="sdk")
    assert job_ended(azureml_cloud, "sdk-arrive")["status"] == "Completed"

    folder = Path(azureml_cloud.config.state_dir, "azureml", "jobs", "sdk-arrive")
    inputs: dict[str, Any] = json.loads((folder / "outputs/mlflow_model_folder/inputs.json").read_text())
    assert Path(inputs["train_file_path"]).read_text() == "fine"
    assert (Path(inputs["mlflow_model_path"]) / "config.json").exists()
    assert (inputs["num_train_epochs"], inputs["apply_lora"]) == ("2", "true")
    assert inputs["lr_scheduler_type"] == "linear"
    assert "huggingface_id" not in inputs


def test_streaming_a_job_prints_its_log_and_raises_what_went_wrong(
    azureml_cloud: Cloud, workspace: MLClient, capsys: pytest.CaptureFixture[str]
) -> None:
    from azure.ai.ml.exceptions import JobException

    train_file = azureml_cloud.upload("bad/train_sft.jsonl", "bad data")
    job = pipeline_job(azureml_cloud, "sdk-bad", train_file)
    workspace.jobs.create_or_update(job, experiment_name="sdk")

    with pytest.raises(JobException) as failure:
        workspace.jobs.stream("sdk-bad")

    assert "Failed nodes: /node/chat_completion_datapreprocess" in str(failure.value)
    assert "reading the data" in capsys.readouterr().out
    assert "Dataset has 3 rows, at least 10 are needed." in str(failure.value)
    assert workspace.jobs.get("sdk-bad").status == "Failed"


def test_an_identical_second_submission_is_the_same_job_and_another_one_is_refused(
    azureml_cloud: Cloud, workspace: MLClient
) -> None:
    train_file = azureml_cloud.upload("twice/train_sft.jsonl", "fine")
    submit = workspace.jobs.create_or_update

    first = submit(pipeline_job(azureml_cloud, "sdk-twice", train_file), experiment_name="sdk")
    second = submit(pipeline_job(azureml_cloud, "sdk-twice", train_file), experiment_name="sdk")

    assert first.id == second.id
    other = pipeline_job(azureml_cloud, "sdk-twice", train_file, num_train_epochs=7)
    with pytest.raises(HttpResponseError, match=r"A job with this name already exists.*Jobs cannot be changed"):
        submit(other, experiment_name="sdk")


def test_an_endpoint_lives_from_creation_over_traffic_and_invocation_to_deletion(
    azureml_cloud: Cloud, workspace: MLClient, good_model: str, tmp_path: Path
) -> None:
    from azure.ai.ml.entities import (
        ManagedOnlineDeployment,
        ManagedOnlineEndpoint,
        OnlineRequestSettings,
        ProbeSettings,
    )

    endpoints, deployments = workspace.online_endpoints, workspace.online_deployments
    endpoint = ManagedOnlineEndpoint(name="sdk-endpoint", description="x", auth_mode="key", tags={"a": "b"})
    endpoints.begin_create_or_update(endpoint)
    until(lambda: endpoints.get("sdk-endpoint").provisioning_state == "Succeeded")

    deployment = ManagedOnlineDeployment(
        name="demo",
        endpoint_name="sdk-endpoint",
        model=good_model,
        instance_type="Standard_NC24ads_A100_v4",
        instance_count=1,
        liveness_probe=ProbeSettings(initial_delay=600),
        request_settings=OnlineRequestSettings(request_timeout_ms=90000),
    )
    deployments.begin_create_or_update(deployment)
    until(lambda: deployments.get("demo", "sdk-endpoint").provisioning_state == "Succeeded")
    assert [found.name for found in deployments.list("sdk-endpoint")] == ["demo"]
    assert deployments.get("demo", "sdk-endpoint").request_settings.request_timeout_ms == 90000

    endpoint.traffic = {"demo": 100}
    endpoints.begin_create_or_update(endpoint)
    until(lambda: endpoints.get("sdk-endpoint").provisioning_state == "Succeeded")
    assert endpoints.get("sdk-endpoint").traffic == {"demo": 100}
    assert "sdk-endpoint" in [found.name for found in endpoints.list()]

    request_file = tmp_path / "request.json"
    request_file.write_text(json.dumps(request_body("hello")))
    pinned = endpoints.invoke("sdk-endpoint", deployment_name="demo", request_file=str(request_file))
    routed = endpoints.invoke("sdk-endpoint", request_file=str(request_file))
    assert json.loads(pinned)["output"] == json.loads(routed)["output"] == "you said hello"
    assert endpoints.get_keys("sdk-endpoint").primary_key != endpoints.get_keys("sdk-endpoint").secondary_key
    assert "loading mlflow_model_folder" in deployments.get_logs("demo", "sdk-endpoint", lines=5)

    endpoint.traffic = {"demo": 0}
    endpoints.begin_create_or_update(endpoint)
    until(lambda: endpoints.get("sdk-endpoint").provisioning_state == "Succeeded")
    deployments.begin_delete("demo", "sdk-endpoint")
    until(lambda: not list(deployments.list("sdk-endpoint")))
    assert endpoints.get("sdk-endpoint").traffic == {}
    endpoints.begin_delete("sdk-endpoint")
    until(lambda: "sdk-endpoint" not in [found.name for found in endpoints.list()])
    with pytest.raises(ResourceNotFoundError):
        endpoints.get("sdk-endpoint")


def test_a_busy_endpoint_surfaces_as_resource_exists_error(azureml_cloud: Cloud, workspace: MLClient) -> None:
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    endpoint = ManagedOnlineEndpoint(name="sdk-busy", auth_mode="key")
    azureml_cloud.control("POST", "/progress", {"mode": "manual"})
    try:
        workspace.online_endpoints.begin_create_or_update(endpoint)
        with pytest.raises(ResourceExistsError, match="ongoing operation"):
            workspace.online_endpoints.begin_create_or_update(endpoint)
    finally:
        azureml_cloud.control("POST", "/progress", {"mode": "scaled"})


def test_a_job_can_be_cancelled(azureml_cloud: Cloud, workspace: MLClient) -> None:
    train_file = azureml_cloud.upload("cancel/train_sft.jsonl", "wait")
    job = pipeline_job(azureml_cloud, "sdk-cancel", train_file)
    workspace.jobs.create_or_update(job, experiment_name="sdk")
    until(lambda: azureml_cloud.control("GET", "/jobs/sdk-cancel")["metrics"])

    workspace.jobs.begin_cancel("sdk-cancel")

    assert job_ended(azureml_cloud, "sdk-cancel")["status"] == "Canceled"
    with pytest.raises(HttpResponseError, match="is in terminal status, it can't be canceled"):
        workspace.jobs.begin_cancel("sdk-cancel")


def test_environment_variables_alone_point_the_sdk_at_the_cloud(
    azureml_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.ai.ml import MLClient
    from azure.identity import ManagedIdentityCredential

    from localcloud.config import RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE

    base = azureml_cloud.config.azure_url
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "LocalCloud")
    monkeypatch.setenv("ARM_CLOUD_METADATA_URL", f"{base}/metadata/endpoints?api-version=2019-05-01")
    monkeypatch.setenv("REGISTRY_DISCOVERY_ENDPOINT_URL", f"{base}/")

    client = MLClient(ManagedIdentityCredential(), SUBSCRIPTION_ID, RESOURCE_GROUP, WORKSPACE)
    registry = MLClient(ManagedIdentityCredential(), registry_name="azureml")

    assert client.workspaces.get(WORKSPACE).location == "eastus"
    assert registry.models.get(MODEL, label="latest").version == "13"
