"""Endpoints and deployments: rules, one operation at a time, failures with a reason, and the scoring data plane."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.azureml_support import (
    ENDPOINT,
    MODEL,
    Cloud,
    create_endpoint,
    deploy,
    deployment_body,
    score,
    set_traffic,
    state_of,
    until,
)

pytest_plugins = ("tests.integration.azureml_fixtures",)


def operation_of(cloud: Cloud, path: str) -> dict[str, Any]:
    """What the operation URL of a resource's last operation answers."""
    url = cloud.arm("GET", path).json()["properties"]["properties"]["AzureAsyncOperationUri"]
    answer = cloud.http.get(url, headers={"Authorization": f"Bearer {cloud.token()}"})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


@pytest.mark.parametrize("name", ["ab", "1abc", "abc-", "a_b", "a" * 33])
def test_a_name_against_the_rules_is_refused(azureml_cloud: Cloud, name: str) -> None:
    answer = azureml_cloud.arm("PUT", f"/onlineEndpoints/{name}", ENDPOINT)

    assert answer.status_code == 400
    assert "is invalid" in answer.json()["error"]["message"]


def test_what_the_specification_requires_is_required(azureml_cloud: Cloud, served: str, good_model: str) -> None:
    incomplete = deployment_body(good_model)
    del incomplete["properties"]["instanceType"]

    endpoint = azureml_cloud.arm("PUT", "/onlineEndpoints/incomplete", {"properties": {}})
    deployment = azureml_cloud.arm("PUT", f"/onlineEndpoints/{served}/deployments/red", incomplete)

    assert (endpoint.status_code, deployment.status_code) == (400, 400)
    assert "location, authMode is required" in endpoint.json()["error"]["message"]
    assert "instanceType is required" in deployment.json()["error"]["message"]


def test_a_creation_tells_where_to_look_and_goes_through_its_states(fresh_cloud: Cloud) -> None:
    fresh_cloud.control("POST", "/progress", {"mode": "manual"})

    created = fresh_cloud.arm("PUT", "/onlineEndpoints/stateful", ENDPOINT, "2022-02-01-preview")

    assert created.status_code == 201
    assert created.json()["properties"]["provisioningState"] == "Creating"
    assert created.json()["properties"]["scoringUri"] is None
    assert created.headers["x-ms-async-operation-timeout"] == "PT30M"
    assert created.headers["location"].endswith("/onlineEndpoints/stateful?api-version=2022-02-01-preview")
    assert "/mfeOperationsStatus/oeidp:" in created.headers["azure-asyncoperation"]
    assert operation_of(fresh_cloud, "/onlineEndpoints/stateful")["status"] == "Updating"
    fresh_cloud.control("POST", "/advance", {"seconds": 2})
    assert operation_of(fresh_cloud, "/onlineEndpoints/stateful")["status"] == "Succeeded"
    ready = fresh_cloud.arm("GET", "/onlineEndpoints/stateful").json()
    assert ready["properties"]["provisioningState"] == "Succeeded"
    assert ready["properties"]["scoringUri"] == f"{fresh_cloud.config.azure_url}/inference/stateful/score"


def test_while_an_operation_runs_every_other_one_gets_409(fresh_cloud: Cloud) -> None:
    fresh_cloud.control("POST", "/progress", {"mode": "manual"})
    fresh_cloud.arm("PUT", "/onlineEndpoints/busy-one", ENDPOINT)

    answers = [
        fresh_cloud.arm("PUT", "/onlineEndpoints/busy-one", ENDPOINT),
        fresh_cloud.arm("PATCH", "/onlineEndpoints/busy-one", {"tags": {"a": "b"}}),
        fresh_cloud.arm("DELETE", "/onlineEndpoints/busy-one"),
        fresh_cloud.arm(
            "PUT",
            "/onlineEndpoints/busy-one/deployments/blue",
            deployment_body(f"azureml://registries/azureml/models/{MODEL}/versions/13"),
        ),
    ]

    assert [answer.status_code for answer in answers] == [409] * 4
    assert {answer.json()["error"]["code"] for answer in answers} == {"Conflict"}


@pytest.mark.parametrize(
    ("shares", "complaint"),
    [
        ({"blue": 50}, "must sum to 0 or 100"),
        ({"blue": 60, "green": 60}, "must sum to 0 or 100"),
        ({"blue": 101, "green": -1}, "integers from 0 to 100"),
        ({"blue": 50, "red": 50}, "deployments that do not exist: red"),
    ],
)
def test_traffic_that_makes_no_sense_is_refused(
    azureml_cloud: Cloud, served: str, shares: dict[str, int], complaint: str
) -> None:
    answer = set_traffic(azureml_cloud, served, **shares)

    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["details"][0]["message"]


def test_traffic_is_split_and_a_header_pins_a_deployment(azureml_cloud: Cloud, served: str) -> None:
    assert set_traffic(azureml_cloud, served, blue=50, green=50).status_code == 200
    key = azureml_cloud.arm("POST", f"/onlineEndpoints/{served}/listKeys").json()["secondaryKey"]

    answers = [score(azureml_cloud, served, "hi", key=key) for _ in range(30)]
    pinned = [score(azureml_cloud, served, "hi", key=key, deployment="blue") for _ in range(5)]

    routed = Counter(answer.headers["azureml-model-deployment"] for answer in answers)
    assert set(routed) == {"blue", "green"}
    assert {answer.headers["azureml-model-deployment"] for answer in pinned} == {"blue"}
    assert {answer.json()["output"] for answer in answers} == {"you said hi"}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 30
    assert set_traffic(azureml_cloud, served).status_code == 200


def test_what_cannot_be_scored_is_answered_as_the_service_does(azureml_cloud: Cloud, served: str) -> None:
    wrong_key = score(azureml_cloud, served, "hi", key="wrong", deployment="blue")
    no_traffic = score(azureml_cloud, served, "hi")
    no_deployment = score(azureml_cloud, served, "hi", deployment="red")
    no_endpoint = score(azureml_cloud, "nothing", "hi", key="any")
    failing = score(azureml_cloud, served, "fail", deployment="blue")
    slow = score(azureml_cloud, served, "sleep", deployment="blue")

    assert (wrong_key.status_code, wrong_key.text) == (401, "key_auth_access_denied")
    assert no_traffic.status_code == 404
    assert "any valid deployment with positive weight" in no_traffic.text
    assert no_deployment.status_code == no_endpoint.status_code == 404
    assert (failing.status_code, failing.json()) == (424, {"error": "no such thing"})
    assert failing.headers["ms-azureml-model-error-statuscode"] == "400"
    assert slow.status_code == 408


def test_a_worker_that_dies_costs_one_request_and_is_started_again(azureml_cloud: Cloud, served: str) -> None:
    before = score(azureml_cloud, served, "hi", deployment="green").json()["pid"]

    dying = score(azureml_cloud, served, "die", deployment="green")
    after = score(azureml_cloud, served, "hi", deployment="green")

    assert dying.status_code == 502
    assert after.status_code == 200
    assert after.json()["pid"] != before


def test_a_model_that_does_not_load_fails_its_deployment_with_the_reason(
    azureml_cloud: Cloud, broken_model: str
) -> None:
    create_endpoint(azureml_cloud, "broken")
    path = "/onlineEndpoints/broken/deployments/blue"

    assert deploy(azureml_cloud, "broken", "blue", broken_model) == "Failed"

    operation = operation_of(azureml_cloud, path)
    assert (operation["status"], operation["error"]["code"]) == ("Failed", "ResourceNotReady")
    assert "the weights are of another shape" in operation["error"]["message"]
    logs = azureml_cloud.arm("POST", f"{path}/getLogs", {"tail": 1}).json()["content"]
    assert logs == "ValueError: the weights are of another shape"
    assert score(azureml_cloud, "broken", "hi", deployment="blue").status_code == 404


def test_a_failed_replacement_leaves_the_old_deployment_serving(
    azureml_cloud: Cloud, good_model: str, broken_model: str
) -> None:
    create_endpoint(azureml_cloud, "replaced")

    assert deploy(azureml_cloud, "replaced", "blue", good_model) == "Succeeded"
    assert score(azureml_cloud, "replaced", "hi", deployment="blue").status_code == 200
    assert deploy(azureml_cloud, "replaced", "blue", broken_model) == "Failed"

    assert score(azureml_cloud, "replaced", "hi", deployment="blue").status_code == 200


def test_a_model_whose_files_are_gone_fails_its_deployment(azureml_cloud: Cloud) -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/somewhere"
    answer = azureml_cloud.arm("PUT", "/models/elsewhere/versions/1", {"properties": {"modelUri": uri}})
    create_endpoint(azureml_cloud, "elsewhere")

    assert deploy(azureml_cloud, "elsewhere", "blue", answer.json()["id"]) == "Failed"

    error = operation_of(azureml_cloud, "/onlineEndpoints/elsewhere/deployments/blue")["error"]
    assert error["code"] == "BadArgument"
    assert "Unable to download user model" in error["message"]


def test_a_deployment_of_an_unknown_model_is_refused(azureml_cloud: Cloud, served: str) -> None:
    model = (
        azureml_cloud.arm("GET", f"/onlineEndpoints/{served}")
        .json()["id"]
        .replace(f"onlineEndpoints/{served}", "models/nothing/versions/1")
    )

    answer = azureml_cloud.arm("PUT", f"/onlineEndpoints/{served}/deployments/red", deployment_body(model))

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "UserError")
    assert azureml_cloud.arm("GET", f"/onlineEndpoints/{served}/deployments/red").status_code == 404


def test_a_registry_model_can_be_deployed_as_it_is(azureml_cloud: Cloud) -> None:
    create_endpoint(azureml_cloud, "base-model")

    state = deploy(azureml_cloud, "base-model", "blue", f"azureml://registries/azureml/models/{MODEL}/versions/13")

    assert state == "Succeeded"
    assert Path(azureml_cloud.config.state_dir, "base", "config.json").exists()


def test_a_deployment_with_traffic_is_not_deleted(azureml_cloud: Cloud, good_model: str) -> None:
    create_endpoint(azureml_cloud, "kept")
    deploy(azureml_cloud, "kept", "blue", good_model)
    set_traffic(azureml_cloud, "kept", blue=100)
    path = "/onlineEndpoints/kept/deployments/blue"

    refused = azureml_cloud.arm("DELETE", path)
    set_traffic(azureml_cloud, "kept", blue=0)
    accepted = azureml_cloud.arm("DELETE", path)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")
    assert (accepted.status_code, accepted.text) == (202, "null")
    until(lambda: azureml_cloud.arm("GET", path).status_code == 404)
    assert azureml_cloud.arm("DELETE", path).status_code == 204


def test_deleting_an_endpoint_takes_its_deployments_and_their_workers_along(
    azureml_cloud: Cloud, good_model: str
) -> None:
    create_endpoint(azureml_cloud, "doomed")
    deploy(azureml_cloud, "doomed", "blue", good_model)
    worker = score(azureml_cloud, "doomed", "hi", deployment="blue").json()["pid"]

    assert azureml_cloud.arm("DELETE", "/onlineEndpoints/doomed").status_code == 202

    until(lambda: azureml_cloud.arm("GET", "/onlineEndpoints/doomed").status_code == 404)
    assert azureml_cloud.arm("DELETE", "/onlineEndpoints/doomed").status_code == 204
    until(lambda: not Path(f"/proc/{worker}").exists())
    found = azureml_cloud.control("GET", "/resources")
    [endpoint] = [item for item in found["endpoints"] if item["name"] == "doomed"]
    [deployment] = [item for item in found["deployments"] if item["endpoint"] == "doomed"]
    assert endpoint["state"] == deployment["state"] == "Deleted"
    assert endpoint["created"] < endpoint["deleted"]
    assert deployment["deleted"] == endpoint["deleted"]


def test_tags_are_patched_without_touching_anything_else(azureml_cloud: Cloud) -> None:
    create_endpoint(azureml_cloud, "tagged")
    before = azureml_cloud.arm("GET", "/onlineEndpoints/tagged").json()

    answer = azureml_cloud.arm("PATCH", "/onlineEndpoints/tagged", {"tags": {"mark": "1", "owner": None}})

    after = azureml_cloud.arm("GET", "/onlineEndpoints/tagged").json()
    assert answer.status_code == 200
    assert answer.json()["tags"] == after["tags"] == {"mark": "1"}
    assert after["properties"] == before["properties"]


def test_a_key_can_be_regenerated(azureml_cloud: Cloud) -> None:
    create_endpoint(azureml_cloud, "rekeyed")
    before = azureml_cloud.arm("POST", "/onlineEndpoints/rekeyed/listKeys").json()

    azureml_cloud.arm("POST", "/onlineEndpoints/rekeyed/regenerateKeys", {"keyType": "Primary"})

    after = azureml_cloud.arm("POST", "/onlineEndpoints/rekeyed/listKeys").json()
    assert after["primaryKey"] != before["primaryKey"]
    assert after["secondaryKey"] == before["secondaryKey"]


def test_in_immediate_mode_operations_are_done_at_the_first_look(fresh_cloud: Cloud) -> None:
    fresh_cloud.control("POST", "/progress", {"mode": "immediate"})

    fresh_cloud.arm("PUT", "/onlineEndpoints/instant", ENDPOINT)

    assert state_of(fresh_cloud, "/onlineEndpoints/instant") == "Succeeded"
