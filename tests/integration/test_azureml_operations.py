"""Long-running operations: their states, headers, results and reasons, stepped by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.config import LOCATION, SUBSCRIPTION_ID, WORKSPACE_ID
from tests.integration.azureml_support import ENDPOINT, Cloud, deployment_body, new_config, running, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

MODEL_ID = f"{WORKSPACE_ID}/models/operations/versions/1"
PROVIDER = f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.MachineLearningServices/locations/{LOCATION}"
VERSION = "?api-version=2023-04-01-preview"
BLUE = "/deployments/blue"
DOCUMENT = {"id", "name", "startTime", "endTime", "percentComplete", "status"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Deployments here only ever fail to come up, so that there are no containers to wait for."""
    with running(new_config(tmp_path_factory.mktemp("operations"))) as cloud:
        cloud.control("POST", "/progress", {"mode": "manual"})
        body = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/nowhere"}}
        assert cloud.arm("PUT", "/models/operations/versions/1", body).status_code == 201
        yield cloud


@pytest.fixture(autouse=True)
def by_hand(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.control("DELETE", "/limits")
    cloud.control("POST", "/progress", {"mode": "manual"})


def endpoint(cloud: Cloud, name: str) -> str:
    """Gives the path of one that is there."""
    path = f"/onlineEndpoints/{name}"
    assert cloud.arm("PUT", path, ENDPOINT).status_code == 201
    advance(cloud, cloud.config.durations.endpoint_create)
    return path


def advance(cloud: Cloud, seconds: float) -> None:
    cloud.control("POST", "/advance", {"seconds": seconds})


def follow(cloud: Cloud, url: str) -> httpx.Response:
    return cloud.http.get(url, headers={"Authorization": f"Bearer {cloud.token()}"})


def document(cloud: Cloud, answer: httpx.Response) -> dict[str, Any]:
    """What the operation of an answer is at now."""
    found: dict[str, Any] = follow(cloud, answer.headers["azure-asyncoperation"]).raise_for_status().json()
    return found


@pytest.mark.parametrize(
    ("method", "child", "status", "prefix", "pending", "location"),
    [
        ("PUT", "-new", 201, "oeidp", "Creating", "resource"),
        ("PUT", "", 200, "oeidp", "Updating", None),
        ("DELETE", "", 202, "oeidp", "Deleting", "result"),
        ("PUT", BLUE, 201, "odidp", "Updating", "resource"),
    ],
    ids=["create endpoint", "update endpoint", "delete endpoint", "create deployment"],
)
def test_an_accepted_operation_tells_where_to_look(
    cloud: Cloud, method: str, child: str, status: int, prefix: str, pending: str, location: str | None
) -> None:
    path = endpoint(cloud, f"{method.lower()}-{status}-{prefix}") + child
    body = deployment_body(MODEL_ID) if child == BLUE else ENDPOINT

    answer = cloud.arm(method, path, None if method == "DELETE" else body)

    operation = answer.headers["azure-asyncoperation"].removeprefix(cloud.config.azure_url)
    assert answer.status_code == status
    assert operation.startswith(f"{PROVIDER}/mfeOperationsStatus/{prefix}:")
    assert operation.endswith(VERSION)
    assert answer.headers["x-ms-async-operation-timeout"] == "PT30M"
    assert "retry-after" not in answer.headers
    expected = {
        "resource": f"{cloud.config.azure_url}{WORKSPACE_ID}{path}{VERSION}",
        "result": answer.headers["azure-asyncoperation"].replace("mfeOperationsStatus", "mfeOperationResults"),
        None: None,
    }
    assert answer.headers.get("location") == expected[location]
    if method == "PUT":
        assert answer.json()["properties"]["provisioningState"] == pending
    assert state_of(cloud, path) == pending
    assert (document(cloud, answer)["status"], set(document(cloud, answer))) == ("Updating", DOCUMENT)


def test_a_deletion_goes_through_its_states_and_takes_the_deployments_along(cloud: Cloud) -> None:
    cloud.control("POST", "/limits", {"failures": {"cascade/blue": "OutOfCapacity"}})
    path = endpoint(cloud, "cascade")
    cloud.arm("PUT", path + BLUE, deployment_body(MODEL_ID))
    advance(cloud, cloud.config.durations.deployment_create)

    answer = cloud.arm("DELETE", path)

    assert state_of(cloud, path) == state_of(cloud, path + BLUE) == "Deleting"
    result = follow(cloud, answer.headers["location"])
    assert (result.status_code, result.headers["location"]) == (202, answer.headers["location"])
    advance(cloud, cloud.config.durations.endpoint_delete)
    assert cloud.arm("GET", path).status_code == cloud.arm("GET", path + BLUE).status_code == 404
    assert document(cloud, answer)["status"] == "Succeeded"
    assert follow(cloud, answer.headers["location"]).text == ""


@pytest.mark.parametrize(
    ("kind", "state"), [("OutOfCapacity", "Failed"), ("OperationCanceled", "Canceled")], ids=["failed", "canceled"]
)
def test_an_operation_that_fails_takes_its_time_and_then_tells_why(cloud: Cloud, kind: str, state: str) -> None:
    cloud.control("POST", "/limits", {"failures": {f"reason-{state.lower()}/.*": kind}})
    path = endpoint(cloud, f"reason-{state.lower()}")
    answer = cloud.arm("PUT", path + BLUE, deployment_body(MODEL_ID))

    before = document(cloud, answer)
    advance(cloud, cloud.config.durations.deployment_create)
    after = document(cloud, answer)

    assert (before["status"], before["percentComplete"], "error" in before) == ("Updating", 0.0, False)
    assert (after["status"], after["percentComplete"], after["error"]["code"]) == (state, 100.0, kind)
    assert state_of(cloud, path + BLUE) == state
    result = follow(cloud, answer.headers["azure-asyncoperation"].replace("mfeOperationsStatus", "mfeOperationResults"))
    assert (result.status_code, result.json()["error"]["message"]) == (400, after["error"]["message"])
    assert state_of(cloud, path) == "Succeeded"


def test_progress_can_be_switched_while_an_operation_runs(cloud: Cloud) -> None:
    path = "/onlineEndpoints/switched"
    cloud.arm("PUT", path, ENDPOINT)
    states = [state_of(cloud, path)]

    cloud.control("POST", "/progress", {"mode": "immediate"})
    states.append(state_of(cloud, path))
    cloud.control("POST", "/progress", {"mode": "manual"})
    cloud.arm("PUT", path, ENDPOINT)
    states.append(state_of(cloud, path))
    advance(cloud, cloud.config.durations.endpoint_update)
    states.append(state_of(cloud, path))

    assert states == ["Creating", "Succeeded", "Updating", "Succeeded"]


def test_a_client_can_be_told_to_look_again_soon_while_an_operation_goes_on(tmp_path: Path) -> None:
    with running(replace(new_config(tmp_path), poll_seconds=1)) as cloud:
        cloud.control("POST", "/progress", {"mode": "manual"})
        answer = cloud.arm("PUT", "/onlineEndpoints/watched", ENDPOINT)
        before = follow(cloud, answer.headers["azure-asyncoperation"])
        advance(cloud, cloud.config.durations.endpoint_create)
        after = follow(cloud, answer.headers["azure-asyncoperation"])

    assert (before.json()["status"], before.headers["retry-after"]) == ("Updating", "1")
    assert (after.json()["status"], "retry-after" in after.headers) == ("Succeeded", False)
