"""The app's own seam to Azure Machine Learning, against the emulator: what it does, and what it makes of errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential

from localcloud.config import (
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION_ID,
    WORKSPACE,
    WORKSPACE_ID,
)
from localcloud.identity import PRINCIPAL_ID
from shared.azureml.arm import ArmClient
from shared.azureml.resources import DeploymentRequest, JobRequest
from shared.azureml.sdk import SdkClient
from shared.config import Settings
from shared.errors import DroptuneError, PermanentError, TransientError
from tests.integration.azureml_support import Cloud, job_ended, until

pytest_plugins = ("tests.integration.azureml_fixtures",)


@pytest.fixture(autouse=True)
def as_data_scientist(azureml_cloud: Cloud) -> Iterator[None]:
    """With the role that the app's identity is documented to need, and no more."""
    azureml_cloud.control("POST", "/limits", {"roles": {PRINCIPAL_ID: ["AzureML Data Scientist"]}})
    yield
    azureml_cloud.control("DELETE", "/limits")


@pytest.fixture
def arm(azureml_cloud: Cloud) -> Iterator[ArmClient]:
    yield ArmClient(azureml_cloud.config.azure_url, WORKSPACE_ID, ManagedIdentityCredential())
    azureml_cloud.control("DELETE", "/faults")


@pytest.fixture(scope="module")
def sdk(azureml_cloud: Cloud) -> SdkClient:
    config = azureml_cloud.config
    settings = Settings(
        azure_subscription_id=SUBSCRIPTION_ID,
        azure_resource_group=RESOURCE_GROUP,
        azureml_workspace=WORKSPACE,
        azure_location=LOCATION,
        storage_blob_uri=config.blob_url,
        storage_queue_uri=config.queue_url,
        storage_table_uri=config.table_url,
        arm_endpoint=config.azure_url,
    )
    return SdkClient(settings, ManagedIdentityCredential())


def job(cloud: Cloud, name: str, *orders: str, **changes: Any) -> JobRequest:
    model = cloud.config.models[-1]
    values: dict[str, Any] = {
        "name": name,
        "display_name": name,
        "experiment_name": "seam",
        "component_id": "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82",
        "model_id": f"azureml://registries/azureml/models/{model.name}/versions/{model.version}",
        "files": {"train_file_path": cloud.upload(f"{name}.jsonl", "\n".join(orders))},
        "inputs": {"num_train_epochs": "2", "learning_rate": "5e-06"},
        "tags": {"droptune-tuning": name},
    }
    return JobRequest(**{**values, **changes})


def test_a_job_submitted_twice_is_one_job(azureml_cloud: Cloud, arm: ArmClient, sdk: SdkClient) -> None:
    for _ in range(2):
        sdk.submit_job(job(azureml_cloud, "seam-twice", "fine"))
    job_ended(azureml_cloud, "seam-twice")
    found = arm.get_job("seam-twice")
    assert found is not None
    assert (found.status, found.tags["droptune-tuning"]) == ("Completed", "seam-twice")


def test_eight_threads_that_submit_at_once_mix_nothing_up(azureml_cloud: Cloud, arm: ArmClient, sdk: SdkClient) -> None:
    requests = [job(azureml_cloud, f"seam-thread-{number}", "fine") for number in range(8)]
    threads = [threading.Thread(target=sdk.submit_job, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for request in requests:
        body = azureml_cloud.arm("GET", f"/jobs/{request.name}", version="2024-01-01-preview").json()
        (node,) = body["properties"]["jobs"].values()
        assert node["inputs"]["train_file_path"]["uri"] == request.files["train_file_path"]
        job_ended(azureml_cloud, request.name)


def test_the_reason_of_a_failed_job_is_that_of_the_step_that_failed(
    azureml_cloud: Cloud, arm: ArmClient, sdk: SdkClient
) -> None:
    sdk.submit_job(job(azureml_cloud, "seam-failed", "bad data"))
    job_ended(azureml_cloud, "seam-failed")
    found = arm.get_job("seam-failed")
    assert found is not None
    assert found.status == "Failed"
    assert "at least 10 are needed" in found.error


def test_a_job_that_the_component_refuses_is_an_error_for_good(azureml_cloud: Cloud, sdk: SdkClient) -> None:
    with pytest.raises(PermanentError, match="no_such_input"):
        sdk.submit_job(job(azureml_cloud, "seam-refused", "fine", inputs={"no_such_input": "1"}))


def test_the_newest_component_and_its_inputs_are_found(sdk: SdkClient) -> None:
    component_id, inputs = sdk.newest_component("chat_completion_pipeline")
    assert component_id.endswith("/chat_completion_pipeline/versions/0.0.82")
    assert len(inputs) == 69
    assert inputs["lr_scheduler_type"].enum is not None
    assert inputs["num_train_epochs"].minimum == 1


def test_a_model_that_the_registry_does_not_have_is_an_error_for_good(sdk: SdkClient) -> None:
    with pytest.raises(PermanentError):
        sdk.base_model("no-such-model", "")


def test_an_archived_base_model_is_an_error_for_good_and_never_the_newest(azureml_cloud: Cloud, sdk: SdkClient) -> None:
    newest = azureml_cloud.config.models[-1]
    azureml_cloud.control("POST", "/limits", {"archived_models": [f"{newest.name}:{newest.version}"]})

    with pytest.raises(PermanentError, match="is archived") as refusal:
        sdk.base_model(newest.name, newest.version)
    found = sdk.base_model(newest.name, "")

    assert refusal.value.code == "BaseModelArchived"
    assert found.version == azureml_cloud.config.models[0].version


def test_a_model_registered_twice_is_one_version(azureml_cloud: Cloud, arm: ArmClient, sdk: SdkClient) -> None:
    sdk.submit_job(job(azureml_cloud, "seam-model", "fine"))
    job_ended(azureml_cloud, "seam-model")
    ids = {
        sdk.register_model(name="seam", version="1", job="seam-model", description="d", tags={"a": "b"})
        for _ in range(2)
    }
    assert len(ids) == 1
    with pytest.raises(PermanentError):
        sdk.register_model(name="seam", version="1", job="seam-twice", description="d", tags={})


def test_an_endpoint_lives_from_creation_to_deletion(arm: ArmClient, good_model: str) -> None:
    arm.create_endpoint("seam-life", description="d", tags={"a": "b"})
    endpoint = until(lambda: _settled(arm, "seam-life"))
    assert (endpoint.provisioning_state, endpoint.traffic, endpoint.tags) == ("Succeeded", {}, {"a": "b"})
    arm.create_deployment(DeploymentRequest("seam-life", "blue", good_model, "Standard_DS3_v2", 1, 90, 10, {"c": "d"}))
    deployment = until(lambda: _deployed(arm, "seam-life", "blue"))
    assert (deployment.provisioning_state, deployment.tags) == ("Succeeded", {"c": "d"})

    arm.set_traffic(endpoint, {"blue": 100})
    changed = until(lambda: _settled(arm, "seam-life"))
    assert (changed.traffic, changed.tags, changed.description) == ({"blue": 100}, {"a": "b"}, "d")
    arm.set_endpoint_tags("seam-life", {"a": "b", "mark": "now"})
    tagged = until(lambda: _settled(arm, "seam-life"))
    assert (tagged.tags, tagged.traffic) == ({"a": "b", "mark": "now"}, {"blue": 100})
    assert arm.endpoint_key("seam-life")

    arm.delete_endpoint("seam-life")
    until(lambda: arm.get_endpoint("seam-life") is None)
    assert arm.list_deployments("seam-life") == []
    arm.delete_endpoint("seam-life")


def test_why_a_deployment_failed_is_read_from_its_operation(arm: ArmClient, broken_model: str) -> None:
    arm.create_endpoint("seam-broken", description="d", tags={})
    until(lambda: _settled(arm, "seam-broken"))
    arm.create_deployment(DeploymentRequest("seam-broken", "blue", broken_model, "Standard_DS3_v2", 1, 90, 10))
    deployment = until(lambda: _deployed(arm, "seam-broken", "blue"))
    assert deployment.provisioning_state == "Failed"
    assert arm.operation_error(deployment.operation_url)


def test_a_refusal_names_the_reason_that_stands_in_the_details(arm: ArmClient, good_model: str) -> None:
    arm.create_endpoint("seam-refusal", description="", tags={})
    until(lambda: _settled(arm, "seam-refusal"))
    request = DeploymentRequest("seam-refusal", "blue", good_model, "Standard_Nothing", 1, 90, 10)

    with pytest.raises(
        PermanentError, match=r"The request is invalid\. .*Standard_Nothing is not supported"
    ) as refusal:
        arm.create_deployment(request)

    assert refusal.value.code == "BadRequest"


def test_an_operation_elsewhere_is_not_asked(arm: ArmClient) -> None:
    assert arm.operation_error("https://example.com/operation") == ""


def test_what_does_not_exist_is_none(arm: ArmClient) -> None:
    assert arm.get_job("seam-nothing") is None
    assert arm.get_endpoint("seam-nothing") is None
    assert arm.get_deployment("seam-nothing", "blue") is None


def test_a_job_that_ended_can_not_be_canceled_and_one_that_runs_can(
    azureml_cloud: Cloud, arm: ArmClient, sdk: SdkClient
) -> None:
    sdk.submit_job(job(azureml_cloud, "seam-ended", "fine"))
    job_ended(azureml_cloud, "seam-ended")
    with pytest.raises(PermanentError, match="cancel job seam-ended"):
        arm.cancel_job("seam-ended")
    sdk.submit_job(job(azureml_cloud, "seam-running", "wait"))
    arm.cancel_job("seam-running")
    job_ended(azureml_cloud, "seam-running")
    canceled = arm.get_job("seam-running")
    assert canceled is not None
    assert canceled.status == "Canceled"


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_a_service_that_says_later_is_a_transient_error_that_does_not_sleep(
    azureml_cloud: Cloud, arm: ArmClient, status: int
) -> None:
    fault = {"method": "GET", "path": "/jobs/seam-later", "status": status, "headers": {"Retry-After": "77"}}
    azureml_cloud.control("POST", "/faults", [{**fault, "times": 9}])
    with pytest.raises(TransientError) as caught:
        arm.get_job("seam-later")
    assert caught.value.retry_after == 77
    served = [item for item in azureml_cloud.control("GET", "/requests") if item["path"].endswith("/jobs/seam-later")]
    assert len([item for item in served if item["status"] == status]) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_role_is_worth_a_few_tries(azureml_cloud: Cloud, arm: ArmClient, status: int) -> None:
    azureml_cloud.control(
        "POST", "/faults", [{"method": "GET", "path": "/jobs/seam-role", "status": status, "times": 9}]
    )
    with pytest.raises(DroptuneError) as caught:
        arm.get_job("seam-role")
    assert not isinstance(caught.value, TransientError | PermanentError)


def _settled(arm: ArmClient, name: str) -> Any:
    endpoint = arm.get_endpoint(name)
    return endpoint if endpoint is not None and not endpoint.busy else None


def _deployed(arm: ArmClient, endpoint: str, name: str) -> Any:
    deployment = arm.get_deployment(endpoint, name)
    return deployment if deployment is not None and not deployment.busy else None


def test_what_a_job_measured_is_found_with_its_step(azureml_cloud: Cloud, arm: ArmClient, sdk: SdkClient) -> None:
    sdk.submit_job(job(azureml_cloud, "seam-metrics", "eval_loss 0.25"))
    job_ended(azureml_cloud, "seam-metrics")
    assert arm.job_metrics("seam-metrics") == {"loss": 1.0, "eval_loss": 0.25}
    found = arm.metric_histories("seam-metrics", ("loss", "eval_loss", "no such thing"))
    assert {name: [(point.step, point.value) for point in points] for name, points in found.items()} == {
        "loss": [(1, 3.0), (2, 1.5), (3, 1.0)],
        "eval_loss": [(3, 0.25)],
    }
    assert arm.job_metrics("no-such-job") == {}
