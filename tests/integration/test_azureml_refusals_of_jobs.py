"""Every way in which a job or a model is refused, fails or is canceled, as the unmodified SDK raises it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from azure.ai.ml import load_job
from azure.ai.ml.constants import ListViewType
from azure.ai.ml.entities import Model
from azure.ai.ml.exceptions import JobException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.integration.azureml_refusals import through_azure_core, user_error
from tests.integration.azureml_support import MODEL, Cloud, job_body, job_ended, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.ai.ml import MLClient

pytest_plugins = ("tests.integration.azureml_fixtures",)

COMPONENT = "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"
BASE_MODEL = f"azureml://registries/azureml/models/{MODEL}/versions/13"


@pytest.fixture(scope="module")
def client(azureml_cloud: Cloud) -> MLClient:
    return azureml_cloud.ml_client()


@pytest.fixture
def limits(azureml_cloud: Cloud) -> Iterator[Callable[..., None]]:
    """Changes limits until the end of the test."""
    yield lambda **changed: azureml_cloud.control("POST", "/limits", changed)
    azureml_cloud.control("DELETE", "/limits")


def job(name: str, train_file: str, *, settings: dict[str, Any] | None = None, **inputs: Any) -> Any:
    """From a specification, which the SDK does not hold against the component."""
    files = {
        "mlflow_model_path": {"type": "mlflow_model", "path": BASE_MODEL},
        "train_file_path": {"type": "uri_file", "path": train_file},
    }
    given = {key: value for key, value in {**files, **inputs}.items() if value is not None}
    specification = {
        "$schema": "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json",
        "type": "pipeline",
        "name": name,
        "experiment_name": "refusals",
        "settings": settings or {},
        "outputs": {"trained_model": {"type": "mlflow_model"}},
        "jobs": {
            "node": {
                "type": "pipeline",
                "component": COMPONENT,
                "inputs": given,
                "outputs": {"mlflow_model_folder": "${{parent.outputs.trained_model}}"},
            }
        },
    }
    return load_job(io.StringIO(json.dumps(specification)))


def submitted(cloud: Cloud, client: MLClient, name: str, *orders: str, **inputs: Any) -> Any:
    train_file = cloud.upload(f"refusals/{name}.jsonl", "\n".join(orders))
    return client.jobs.create_or_update(job(name, train_file, **inputs), skip_validation=True)


@pytest.mark.parametrize("name", ["-job", "a.job", "a job", "j" * 256])
def test_a_job_name_against_the_rules(azureml_cloud: Cloud, name: str) -> None:
    user_error(f"Job name '{name}' is invalid").of(
        lambda: through_azure_core(azureml_cloud, "PUT", f"/jobs/{name}", job_body("https://127.0.0.1/none"))
    )


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"no_such_input": "1"}, "no_such_input is not an input of component chat_completion_pipeline 0.0.82"),
        ({"num_train_epochs": 0}, "num_train_epochs of node: 0 is less than the minimum 1"),
        ({"apply_lora": "perhaps"}, "apply_lora of node: 'perhaps' is not one of true, false"),
        (
            {"mlflow_model_path": {"type": "mlflow_model", "path": f"{BASE_MODEL}9"}},
            f"Model {MODEL}:139 was not found in registry azureml",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_input_that_the_component_does_not_take(
    azureml_cloud: Cloud, client: MLClient, inputs: dict[str, Any], complaint: str
) -> None:
    user_error(complaint).of(lambda: submitted(azureml_cloud, client, "refusal-input", **inputs))
    user_error("Job refusal-input not found", 404).of(lambda: client.jobs.get("refusal-input"))


def test_a_compute_that_does_not_exist(azureml_cloud: Cloud, client: MLClient) -> None:
    settings = {"default_compute": "azureml:nowhere"}

    user_error("^Unknown compute target 'nowhere'.$").of(
        lambda: submitted(azureml_cloud, client, "refusal-compute", settings=settings)
    )
    user_error("Job refusal-compute not found", 404).of(lambda: client.jobs.get("refusal-compute"))
    with pytest.raises(ResourceNotFoundError) as missing:
        client.compute.get("nowhere")
    assert (missing.value.status_code, missing.value.error) == (404, None)
    settings = {"default_compute": "azureml:gpu-cluster"}
    assert submitted(azureml_cloud, client, "refusal-not", settings=settings).status == "NotStarted"


@pytest.mark.parametrize(
    ("name", "orders", "inputs", "message"),
    [
        ("refusal-cluster", (), {"compute_finetune": "nowhere"}, "Unknown compute target 'nowhere'."),
        ("refusal-file", (), {"train_file_path": None}, "Input train_file_path is required."),
        *(
            (f"refusal-{step.replace('_', '-')}", (f"fail in {step}: no {step} today",), {}, f"no {step} today")
            for step in (
                "ft_nlp_common_validation",
                "chat_completion_model_import",
                "chat_completion_datapreprocess",
                "chat_completion_finetune",
                "chat_completion_model_evaluation",
                "ft_nlp_model_converter",
            )
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("refusal-") else "",
)
def test_a_job_that_fails_tells_why(
    azureml_cloud: Cloud, client: MLClient, name: str, orders: tuple[str, ...], inputs: dict[str, Any], message: str
) -> None:
    submitted(azureml_cloud, client, name, *orders, **inputs)
    assert job_ended(azureml_cloud, name)["status"] == "Failed"

    assert client.jobs.get(name).status == "Failed"
    with pytest.raises(JobException) as failure:
        client.jobs.stream(name)
    assert '"code": "UserError"' in str(failure.value)
    assert message in str(failure.value)
    for order in orders:
        step = order.removeprefix("fail in ").partition(":")[0]
        assert f"Failed nodes: /node/{step}" in str(failure.value)
        assert [(run.display_name, run.status) for run in client.jobs.list(parent_job_name=name)] == [(step, "Failed")]


def test_another_job_of_the_same_name(azureml_cloud: Cloud, client: MLClient) -> None:
    submitted(azureml_cloud, client, "refusal-immutable", seed=7)

    error = user_error(
        r"^A job with this name already exists\. .* the existing job's Jobs cannot be changed\. Only description, "
        r"tags, displayName, properties, and isArchived can be updated\.$"
    ).of(lambda: submitted(azureml_cloud, client, "refusal-immutable", seed=8))
    assert _inner_codes(error) == ["Immutable", "JobPropertyImmutable"]


def test_a_job_is_canceled_once(azureml_cloud: Cloud, client: MLClient) -> None:
    submitted(azureml_cloud, client, "refusal-cancel", "wait")
    until(lambda: azureml_cloud.control("GET", "/jobs/refusal-cancel")["metrics"])

    client.jobs.begin_cancel("refusal-cancel")

    job_ended(azureml_cloud, "refusal-cancel")
    assert client.jobs.get("refusal-cancel").status == "Canceled"
    assert {run.status for run in client.jobs.list(parent_job_name="refusal-cancel")} == {"Completed", "Canceled"}
    error = user_error("^The pipeline run refusal-cancel is in terminal status, it can't be canceled.$").of(
        lambda: client.jobs.begin_cancel("refusal-cancel")
    )
    assert _inner_codes(error) == ["BadArgument", "ArgumentInvalid", "CancelPipelineRunInTerminalStatus"]
    user_error("Job nothing not found", 404).of(lambda: client.jobs.begin_cancel("nothing"))


def test_an_archived_job_is_hidden_until_it_is_restored(azureml_cloud: Cloud, client: MLClient) -> None:
    submitted(azureml_cloud, client, "refusal-archive")
    job_ended(azureml_cloud, "refusal-archive")

    def listed(view: ListViewType) -> bool:
        return "refusal-archive" in [found.name for found in client.jobs.list(list_view_type=view)]

    client.jobs.archive("refusal-archive")
    archived = [listed(view) for view in (ListViewType.ACTIVE_ONLY, ListViewType.ARCHIVED_ONLY, ListViewType.ALL)]
    client.jobs.restore("refusal-archive")

    assert archived == [False, True, True]
    assert listed(ListViewType.ACTIVE_ONLY)
    assert client.jobs.get("refusal-archive").tags == {}


def test_a_model_name_against_the_rules(client: MLClient) -> None:
    model = Model(name="-model", version="1", path="azureml://datastores/workspaceblobstore/paths/somewhere")

    user_error("Model name '-model' is invalid").of(lambda: client.models.create_or_update(model))


def test_another_path_for_a_model_version_that_exists(client: MLClient) -> None:
    for path in ("one", "two"):
        model = Model(name="refusal", version="1", path=f"azureml://datastores/workspaceblobstore/paths/{path}")
        if path == "one":
            client.models.create_or_update(model)

    error = user_error("^Asset paths cannot be updated.$").of(lambda: client.models.create_or_update(model))
    assert _inner_codes(error) == ["Immutable", "AssetPathImmutable"]


def test_an_output_that_is_not_there_can_not_be_registered(azureml_cloud: Cloud, client: MLClient) -> None:
    submitted(azureml_cloud, client, "refusal-output", "fail in chat_completion_finetune: no")
    job_ended(azureml_cloud, "refusal-output")
    path = "azureml://jobs/refusal-output/outputs/trained_model"

    user_error("is not available: the job is Failed").of(
        lambda: client.models.create_or_update(Model(name="refusal-output", version="1", path=path))
    )
    user_error("Model refusal-output:1 was not found", 404).of(lambda: client.models.get("refusal-output", "1"))


def test_an_archived_base_model_is_not_the_latest_but_can_still_be_used(
    azureml_cloud: Cloud, client: MLClient, limits: Callable[..., None]
) -> None:
    registry = azureml_cloud.registry_client()

    limits(archived_models=[f"{MODEL}:13"])
    assert registry.models.get(MODEL, label="latest").version == "12"
    assert registry.models.get(MODEL, version="13").stage == "Archived"
    assert submitted(azureml_cloud, client, "refusal-archived").status == "NotStarted"

    limits(archived_models=[f"{MODEL}:12", f"{MODEL}:13"])
    with pytest.raises(Exception, match=MODEL) as nothing:
        registry.models.get(MODEL, label="latest")
    assert type(nothing.value).__name__ == "ValidationException"


def test_computes_and_datastores_can_be_read(client: MLClient) -> None:
    [compute] = client.compute.list()
    assert (compute.name, compute.type, compute.provisioning_state) == ("gpu-cluster", "amlcompute", "Succeeded")
    assert client.compute.get("gpu-cluster").size == "STANDARD_NC24ADS_A100_V4"

    default = client.datastores.get_default()
    assert [store.name for store in client.datastores.list()] == [default.name] == ["workspaceblobstore"]
    assert client.datastores.get("workspaceblobstore").account_name == "devstoreaccount1"
    user_error("^Could not find datastore: nothing.$", 404).of(lambda: client.datastores.get("nothing"))


def test_a_list_has_pages_and_the_sdk_reads_them_all(azureml_cloud: Cloud, client: MLClient) -> None:
    for number in range(101):
        body = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/x"}}
        assert azureml_cloud.arm("PUT", f"/models/paged/versions/{number}", body).status_code == 201

    first = azureml_cloud.arm("GET", "/models/paged/versions").json()

    assert (len(first["value"]), "$skip=100" in first["nextLink"].replace("%24", "$")) == (100, True)
    assert sorted(int(model.version) for model in client.models.list("paged")) == list(range(101))


def _inner_codes(error: HttpResponseError) -> list[str]:
    """From the general to the particular."""
    assert error.response is not None
    [inner] = [
        item["info"]["value"]
        for item in json.loads(error.response.text())["error"]["additionalInfo"]
        if item["type"] == "InnerError"
    ]
    codes = []
    while inner is not None:
        codes.append(inner["code"])
        inner = inner["innerError"]
    return codes
