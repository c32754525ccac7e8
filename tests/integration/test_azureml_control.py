"""Identity, who is let in, and the control API: faults, the request log, the clock."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from localcloud.config import TENANT_ID, WORKSPACE_ID
from localcloud.identity import mint_token
from tests.integration.azureml_support import ENDPOINT, Cloud, environment, new_config, running, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ("tests.integration.azureml_fixtures",)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Without storage."""
    with running(new_config(tmp_path_factory.mktemp("control"))) as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def as_before(cloud: Cloud) -> Iterator[None]:
    with environment(cloud.config):
        yield
    cloud.control("DELETE", "/faults")
    cloud.control("POST", "/progress", {"mode": "scaled"})


def get_workspace(cloud: Cloud, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return cloud.http.get(f"{WORKSPACE_ID}?api-version=2024-10-01-preview", headers=headers)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


@pytest.mark.parametrize("credential", [ManagedIdentityCredential, DefaultAzureCredential])
def test_azure_identity_gets_a_token_for_the_audience_that_it_asks_for(cloud: Cloud, credential: Any) -> None:
    token = credential().get_token("https://storage.azure.com/.default")

    claims = claims_of(token.token)
    assert claims["aud"] == "https://storage.azure.com"
    assert claims["iss"] == f"https://sts.windows.net/{TENANT_ID}/"
    assert claims["nbf"] <= time.time() < claims["exp"] == token.expires_on


def test_the_identity_endpoint_refuses_who_does_not_know_the_header(cloud: Cloud) -> None:
    url = cloud.config.identity_url
    known = {"X-IDENTITY-HEADER": cloud.config.identity_header}

    unknown = httpx.get(url, params={"resource": "https://x"}, trust_env=False)
    nothing = httpx.get(url, headers=known, trust_env=False)

    assert (unknown.status_code, nothing.status_code) == (401, 400)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("own", [True, False])
def test_resource_manager_takes_tokens_for_itself(cloud: Cloud, own: bool, slash: str) -> None:
    audience = cloud.config.azure_url if own else "https://management.azure.com"

    assert get_workspace(cloud, cloud.token(audience + slash)).status_code == 200


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "AuthenticationFailed"),
        ("nonsense", "InvalidAuthenticationToken"),
        (mint_token("https://storage.azure.com", key="k"), "InvalidAuthenticationTokenAudience"),
        (mint_token("https://management.azure.com", key="k", now=0), "ExpiredAuthenticationToken"),
    ],
    ids=["none", "nonsense", "of another audience", "expired"],
)
def test_resource_manager_refuses_all_others(cloud: Cloud, token: str | None, code: str) -> None:
    answer = get_workspace(cloud, token)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_paths_are_compared_without_case_and_other_workspaces_do_not_exist(cloud: Cloud) -> None:
    headers = {"Authorization": f"Bearer {cloud.token()}"}
    version = "?api-version=2024-01-01-preview"
    lower = cloud.http.get(WORKSPACE_ID.lower() + version, headers=headers)
    other = cloud.http.get(f"{WORKSPACE_ID}x{version}", headers=headers)
    child = cloud.http.get(f"{WORKSPACE_ID}x/jobs/j{version}", headers=headers)

    assert lower.status_code == 200
    assert (other.status_code, other.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert (child.status_code, child.json()["error"]["message"]) == (404, "Workspace not found.")


def test_a_request_without_an_api_version_is_refused(cloud: Cloud) -> None:
    answer = cloud.http.get(WORKSPACE_ID, headers={"Authorization": f"Bearer {cloud.token()}"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MissingApiVersionParameter")


def test_what_is_not_emulated_is_said_to_be(cloud: Cloud) -> None:
    unknown = cloud.arm("GET", "/schedules")
    not_allowed = cloud.arm("PATCH", "/jobs/j")

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NotFound")
    assert (not_allowed.status_code, not_allowed.json()["error"]["code"]) == (405, "MethodNotAllowed")


def test_a_fault_answers_instead_of_the_service_as_often_as_it_was_told(cloud: Cloud) -> None:
    fault = {
        "method": "GET",
        "path": "/onlineEndpoints$",
        "status": 429,
        "headers": {"Retry-After": "7"},
        "body": {"error": {"code": "TooManyRequests", "message": "later"}},
        "times": 2,
    }
    cloud.control("POST", "/faults", [fault])

    answers = [cloud.arm("GET", "/onlineEndpoints") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[0].json()["error"]["code"] == "TooManyRequests"


def test_after_commit_only_the_answer_is_lost(cloud: Cloud) -> None:
    cloud.control(
        "POST", "/faults", [{"method": "PUT", "path": "/onlineEndpoints/", "status": 503, "after_commit": True}]
    )
    body = ENDPOINT

    answer = cloud.arm("PUT", "/onlineEndpoints/committed", body)

    assert answer.status_code == 503
    assert state_of(cloud, "/onlineEndpoints/committed") in ("Creating", "Succeeded")


def test_a_dropped_connection_has_no_answer_at_all(cloud: Cloud) -> None:
    cloud.control("POST", "/faults", [{"path": "/onlineEndpoints$", "drop": True}])

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        cloud.arm("GET", "/onlineEndpoints")

    assert cloud.arm("GET", "/onlineEndpoints").status_code == 200


def test_the_sdk_retries_what_is_injected(cloud: Cloud) -> None:
    cloud.control("POST", "/faults", [{"path": "/onlineEndpoints$", "status": 503, "headers": {"Retry-After": "0"}}])

    assert list(cloud.ml_client().online_endpoints.list()) is not None

    numbers = cloud.control("GET", "/requests")
    assert [line["status"] for line in numbers if line["path"].endswith("/onlineEndpoints")][-2:] == [503, 200]


def test_a_fault_that_is_no_fault_is_refused(cloud: Cloud) -> None:
    misspelt = cloud.http.post("/_localcloud/faults", json=[{"pth": "x"}])
    no_regex = cloud.http.post("/_localcloud/faults", json=[{"path": "("}])

    assert (misspelt.status_code, no_regex.status_code) == (400, 400)


def test_the_request_log_says_what_was_asked_but_not_with_which_words(cloud: Cloud) -> None:
    since = cloud.control("GET", "/requests")[-1]["number"] if cloud.control("GET", "/requests") else 0

    cloud.arm("GET", "/onlineEndpoints/logged")

    [line] = cloud.control("GET", f"/requests?since={since}")
    assert set(line) == {"number", "time", "operation", "method", "path", "query", "status", "ms", "fault"}
    assert (line["method"], line["status"]) == ("GET", 404)
    assert line["path"].endswith("/onlineEndpoints/logged")
    assert line["query"] == "api-version=2023-04-01-preview"


def test_the_clock_can_only_be_advanced_in_manual_mode(cloud: Cloud) -> None:
    refused = cloud.http.post("/_localcloud/advance", json={"seconds": 1})
    cloud.control("POST", "/progress", {"mode": "manual"})
    first = cloud.control("GET", "/health")["now"]
    second = cloud.control("POST", "/advance", {"seconds": 3600})["now"]

    assert refused.status_code == 409
    assert second == first + 3600
    cloud.control("POST", "/progress", {"mode": "scaled"})
    assert cloud.control("GET", "/health")["now"] >= second
