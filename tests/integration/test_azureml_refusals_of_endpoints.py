"""Every way in which an endpoint or a deployment is refused or fails, as the unmodified SDK raises it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint, ProbeSettings
from azure.core.exceptions import HttpResponseError

from localcloud.config import SUBSCRIPTION_ID, WORKSPACE_ID
from tests.integration.azureml_refusals import Refusal, bad_deployment, bad_request, through_azure_core, user_error
from tests.integration.azureml_support import ENDPOINT, MODEL, Cloud, deployment_body, new_config, running, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.ai.ml import MLClient

MODEL_ID = f"{WORKSPACE_ID}/models/refusals/versions/1"
A100 = "Standard_NC24ads_A100_v4"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Without storage: nothing here gets as far as being deployed."""
    with running(new_config(tmp_path_factory.mktemp("refusals"))) as cloud:
        body = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/nowhere"}}
        assert cloud.arm("PUT", "/models/refusals/versions/1", body).status_code == 201
        yield cloud


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> MLClient:
    return cloud.ml_client()


@pytest.fixture(autouse=True)
def empty(cloud: Cloud) -> Iterator[None]:
    """Each test begins without endpoints, with the limits of the configuration, and never waits."""
    cloud.control("POST", "/progress", {"mode": "immediate"})
    yield
    cloud.control("DELETE", "/limits")
    cloud.control("POST", "/progress", {"mode": "immediate"})
    for endpoint in cloud.arm("GET", "/onlineEndpoints").json()["value"]:
        cloud.arm("DELETE", f"/onlineEndpoints/{endpoint['name']}")


@contextmanager
def manual(cloud: Cloud) -> Iterator[None]:
    """The clock stands."""
    cloud.control("POST", "/progress", {"mode": "manual"})
    yield
    cloud.control("POST", "/progress", {"mode": "immediate"})


def limit(cloud: Cloud, **limits: Any) -> None:
    cloud.control("POST", "/limits", limits)


def create(cloud: Cloud, *names: str) -> None:
    for name in names:
        assert cloud.arm("PUT", f"/onlineEndpoints/{name}", ENDPOINT).status_code == 201


def deployed(cloud: Cloud, endpoint: str, *names: str) -> None:
    """Deployments without containers: what fails is still there."""
    for name in names:
        path = f"/onlineEndpoints/{endpoint}/deployments/{name}"
        assert cloud.arm("PUT", path, deployment_body(MODEL_ID)).status_code == 201


def put_endpoint(client: MLClient, name: str, **fields: Any) -> Any:
    endpoint = ManagedOnlineEndpoint(name=name, auth_mode="key", **fields)
    return client.online_endpoints.begin_create_or_update(endpoint).result()


def put_deployment(client: MLClient, endpoint: str, name: str, size: str = A100, **fields: Any) -> Any:
    values: dict[str, Any] = {"model": MODEL_ID, "instance_count": 1, **fields}
    deployment = ManagedOnlineDeployment(name=name, endpoint_name=endpoint, instance_type=size, **values)
    return client.online_deployments.begin_create_or_update(deployment).result()


@pytest.mark.parametrize("name", ["ab", "1abc", "abc-", "a_b", "a" * 33])
def test_an_endpoint_name_against_the_rules(cloud: Cloud, name: str) -> None:
    user_error(f"Endpoint name '{name}' is invalid").of(
        lambda: through_azure_core(cloud, "PUT", f"/onlineEndpoints/{name}", ENDPOINT)
    )


@pytest.mark.parametrize("name", ["ab", "1blue", "blue-", "blue_green", "b" * 33])
def test_a_deployment_name_against_the_rules(cloud: Cloud, name: str) -> None:
    create(cloud, "named")

    user_error(f"Deployment name '{name}' is invalid").of(
        lambda: through_azure_core(
            cloud, "PUT", f"/onlineEndpoints/named/deployments/{name}", deployment_body(MODEL_ID)
        )
    )


def test_an_endpoint_too_many(cloud: Cloud, client: MLClient) -> None:
    create(cloud, *(f"one-of-{number}" for number in range(100)))

    refusal = Refusal(
        400,
        "InferencingClientCallFailed",
        f'^"Endpoint Quota reached for subscription {SUBSCRIPTION_ID}.Current usage/limit: 100/100.Please clean up ',
    )
    refusal.of(lambda: put_endpoint(client, "one-too-many"))
    assert put_endpoint(client, "one-of-7", description="is changed").description == "is changed"
    limit(cloud, endpoints=101)
    assert put_endpoint(client, "one-too-many").provisioning_state == "Succeeded"


def test_an_endpoint_name_that_somebody_else_has(cloud: Cloud, client: MLClient) -> None:
    limit(cloud, taken_endpoint_names=["popular"])

    bad_request("There is already an endpoint with this name, Endpoint name needs to be unique within a region").of(
        lambda: put_endpoint(client, "popular")
    )


def test_the_name_of_a_deleted_endpoint_is_not_found_for_a_while(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "phoenix")
    with manual(cloud):
        cloud.arm("DELETE", "/onlineEndpoints/phoenix")
        cloud.control("POST", "/advance", {"seconds": cloud.config.durations.endpoint_delete})
        refusal = Refusal(404, "NotFound", '^{{"title":"Not Found"}}$', "InferencingClientCallFailed")
        refusal.of(lambda: put_endpoint(client, "phoenix"))
        cloud.control("POST", "/advance", {"seconds": cloud.config.durations.endpoint_name_reuse})
        created = cloud.arm("PUT", "/onlineEndpoints/phoenix", ENDPOINT)

    assert created.status_code == 201


@pytest.mark.parametrize(
    ("traffic", "complaint"),
    [
        ({"blue": 50}, "must sum to 0 or 100, not to 50"),
        ({"blue": 60, "green": 60}, "must sum to 0 or 100, not to 120"),
        ({"blue": 101}, "integers from 0 to 100"),
        ({"blue": 50, "red": 50}, "do not exist: red"),
    ],
)
def test_traffic_that_makes_no_sense(cloud: Cloud, client: MLClient, traffic: dict[str, int], complaint: str) -> None:
    create(cloud, "split")
    deployed(cloud, "split", "blue", "green")

    bad_request(complaint).of(lambda: put_endpoint(client, "split", traffic=traffic))


def test_a_deployment_too_many(cloud: Cloud, client: MLClient) -> None:
    limit(cloud, failures={"crowded/.*": "OutOfCapacity"})
    create(cloud, "crowded")
    deployed(cloud, "crowded", *(f"number-{number}" for number in range(20)))

    bad_request(r"Endpoint \[crowded\] has reached its limit of 20 deployments").of(
        lambda: put_deployment(client, "crowded", "twenty-first")
    )


def test_a_vm_size_that_online_endpoints_do_not_have(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "sized")

    bad_deployment("VmSize.*Standard_D12_v2 is not supported").of(
        lambda: put_deployment(client, "sized", "blue", "Standard_D12_v2")
    )


@pytest.mark.parametrize(
    ("size", "family", "instances", "needed"),
    [
        ("Standard_DS3_v2", "standardDSv2Family", 1, 8),
        ("Standard_DS3_v2", "standardDSv2Family", 5, 24),
        ("Standard_DS3_v2", "standardDSv2Family", 10, 48),
        ("Standard_NC4as_T4_v3", "standard NCASv3_T4 Family", 1, 8),
        (A100, "standardNCADSA100v4Family", 1, 24),
        (A100, "standardNCADSA100v4Family", 2, 48),
        ("Standard_ND40rs_v2", "standardNDSv2Family", 1, 40),
    ],
)
def test_cores_beyond_the_quota_of_their_family(
    cloud: Cloud, client: MLClient, size: str, family: str, instances: int, needed: int
) -> None:
    """With the reserve of 20 %, rounded up to whole instances, where the size is not exempt from it."""
    create(cloud, "large")
    limit(cloud, cores={family: needed - 1})

    failed = Refusal(
        200,
        "OutOfQuota",
        rf"^Not enough subscription CPU quota\. The amount of CPU quota requested is {needed} and your maximum amount "
        r"of quota is \[N/A\]\. Please see troubleshooting guide, available here: https://aka\.ms/oe-tsg#error-outof",
    )
    failed.of(lambda: put_deployment(client, "large", "blue", size, instance_count=instances))
    assert state_of(cloud, "/onlineEndpoints/large/deployments/blue") == "Failed"

    limit(cloud, quota_refusal="request")
    refused = bad_deployment(
        f"VmSize.*Not enough quota available for {size} in SubscriptionId {SUBSCRIPTION_ID}. "
        f"Current usage/limit: 0/{needed - 1}. Additional needed: {needed} Please see troubleshooting guide"
    )
    refused.of(lambda: put_deployment(client, "large", "green", size, instance_count=instances))
    limit(cloud, cores={family: needed}, failures={"large/green": "OutOfCapacity"})
    with pytest.raises(HttpResponseError, match="OutOfCapacity"):
        put_deployment(client, "large", "green", size, instance_count=instances)


def test_cores_are_taken_until_their_deployment_is_gone(cloud: Cloud, client: MLClient) -> None:
    limit(cloud, cores={"standardNCADSA100v4Family": 30}, failures={"shared/.*": "OutOfCapacity"})
    create(cloud, "shared")
    deployed(cloud, "shared", "first")

    with pytest.raises(HttpResponseError, match="OutOfQuota"):
        put_deployment(client, "shared", "second")
    cloud.arm("DELETE", "/onlineEndpoints/shared/deployments/first")
    with pytest.raises(HttpResponseError, match="OutOfCapacity"):
        put_deployment(client, "shared", "third")


def test_a_deployment_whose_creation_failed_can_only_be_deleted(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "stuck")
    deployed(cloud, "stuck", "blue")

    bad_request(
        r"Specified deployment \[blue\] failed during initial provisioning and is in an unrecoverable state\. "
        r"Delete and re-create\."
    ).of(lambda: put_deployment(client, "stuck", "blue"))
    client.online_deployments.begin_delete("blue", "stuck")
    deployed(cloud, "stuck", "blue")


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("ImageBuildFailure", "ImageBuildFailure", "The build log is available in the workspace blob store"),
        ("LivenessProbe", "BadArgument", "User container has crashed or terminated: Liveness probe failed: HTTP probe"),
        ("OutOfCapacity", "OutOfCapacity", "lack of Azure Machine Learning capacity"),
        ("OperationCanceled", "OperationCanceled", "canceled by another operation"),
        ("InternalServerError", "InternalServerError", "An internal server error occurred"),
    ],
)
@pytest.mark.parametrize("by_rule", [True, False], ids=["rule", "environment"])
def test_a_deployment_that_does_not_come_up(
    cloud: Cloud, client: MLClient, kind: str, code: str, message: str, by_rule: bool
) -> None:
    create(cloud, "failing")
    environment = None if by_rule else {"LOCALCLOUD_FAILURE": kind}
    if by_rule:
        limit(cloud, failures={"failing/b.*": kind})

    Refusal(200, code, message).of(
        lambda: put_deployment(
            client,
            "failing",
            "blue",
            environment_variables=environment,
            liveness_probe=ProbeSettings(failure_threshold=3),
        )
    )

    state = client.online_deployments.get("blue", "failing").provisioning_state
    assert state == ("Canceled" if kind == "OperationCanceled" else "Failed")
    log = client.online_deployments.get_logs("blue", "failing", lines=10)
    assert log.count("Liveness probe failed") == (3 if kind == "LivenessProbe" else 0)


def test_a_failure_that_does_not_exist_is_not_wanted_by_accident(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "misspelt")

    user_error("LOCALCLOUD_FAILURE must be one of ImageBuildFailure, .*, not ImageBuildFailed").of(
        lambda: put_deployment(
            client, "misspelt", "blue", environment_variables={"LOCALCLOUD_FAILURE": "ImageBuildFailed"}
        )
    )


def test_an_endpoint_that_does_not_come_up_takes_no_deployment(cloud: Cloud, client: MLClient) -> None:
    limit(cloud, failures={"dead": "InternalServerError"})

    Refusal(200, "InternalServerError", "An internal server error occurred").of(lambda: put_endpoint(client, "dead"))

    assert client.online_endpoints.get("dead").provisioning_state == "Failed"
    bad_request("This endpoint has not been created successfully or is in deleting provisioning state").of(
        lambda: put_deployment(client, "dead", "blue")
    )


def test_a_busy_endpoint(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "busy")
    deployed(cloud, "busy", "blue")
    conflict = Refusal(409, "Conflict", r"ongoing operation on endpoint busy \(state Updating\)")

    with manual(cloud):
        cloud.arm("PUT", "/onlineEndpoints/busy", ENDPOINT)
        conflict.of(lambda: put_endpoint(client, "busy"))
        conflict.of(lambda: put_deployment(client, "busy", "green"))
        conflict.of(lambda: client.online_deployments.begin_delete("blue", "busy"))
        conflict.of(lambda: client.online_endpoints.begin_delete("busy"))


def test_a_deployment_that_has_traffic_is_not_deleted(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "loaded")
    deployed(cloud, "loaded", "blue")
    put_endpoint(client, "loaded", traffic={"blue": 100})

    bad_request(r"\[blue\] has traffic of 100 percent").of(
        lambda: client.online_deployments.begin_delete("blue", "loaded")
    )


def test_what_does_not_exist(cloud: Cloud, client: MLClient) -> None:
    create(cloud, "lonely")
    missing_model = MODEL_ID.replace("refusals", "nothing")

    user_error("Endpoint nothing not found", 404).of(lambda: client.online_endpoints.get("nothing"))
    user_error("Endpoint nothing not found", 404).of(lambda: put_deployment(client, "nothing", "blue"))
    user_error("Deployment blue of endpoint lonely", 404).of(lambda: client.online_deployments.get("blue", "lonely"))
    user_error("Model nothing:1 was not found", 404).of(
        lambda: put_deployment(client, "lonely", "blue", model=missing_model)
    )
    user_error(f"Model {MODEL}:99 was not found in registry azureml", 404).of(
        lambda: put_deployment(
            client, "lonely", "blue", model=f"azureml://registries/azureml/models/{MODEL}/versions/99"
        )
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": 5},
        {"endpoints": -1},
        {"cores": {"family": 1}},
        {"failures": {"a": "Flood"}},
        {"failures": {"(": "LivenessProbe"}},
        {"roles": {"me": ["King"]}},
        {"quota_refusal": "never"},
        {"request_seconds": 0},
    ],
    ids=json.dumps,
)
def test_a_limit_that_makes_no_sense_is_not_taken(cloud: Cloud, wrong: dict[str, Any]) -> None:
    before = cloud.control("GET", "/limits")

    answer = cloud.http.post("/_localcloud/limits", json=wrong)

    assert answer.status_code == 400
    assert cloud.control("GET", "/limits") == before
