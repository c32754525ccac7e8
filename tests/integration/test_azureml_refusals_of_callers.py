"""Who is not let in, who may not, and who asks too often – as the unmodified SDK raises it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.core.credentials import AccessToken
from azure.identity import ManagedIdentityCredential

from localcloud.config import SUBSCRIPTION_ID, WORKSPACE, WORKSPACE_ID
from localcloud.identity import CLIENT_ID, PRINCIPAL_ID, mint_token, object_id_of
from tests.integration.azureml_refusals import Refusal, header, user_error
from tests.integration.azureml_support import ENDPOINT, Cloud, new_config, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.ai.ml import MLClient

OTHER = "00000000-aaaa-bbbb-cccc-000000000000"
"""The client id of a second identity."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(new_config(tmp_path_factory.mktemp("callers"))) as cloud:
        cloud.control("POST", "/progress", {"mode": "immediate"})
        assert cloud.arm("PUT", "/onlineEndpoints/there", ENDPOINT).status_code == 201
        yield cloud


@pytest.fixture(autouse=True)
def unlimited(cloud: Cloud) -> Iterator[None]:
    yield
    cloud.control("DELETE", "/limits")
    cloud.control("POST", "/progress", {"mode": "immediate"})


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> MLClient:
    """It tells at once what it was told."""
    return cloud.ml_client(retry_total=0)


@dataclass(frozen=True)
class OneToken:
    """A credential that always gives the same token."""

    token: str

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self.token, int(time.time()) + 3600)


def create(client: MLClient, name: str) -> Any:
    return client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="key"))


def with_claims(**claims: Any) -> str:
    return mint_token("https://management.azure.com", key="k", **claims)


@pytest.mark.parametrize(
    ("token", "code", "message"),
    [
        ("nonsense", "InvalidAuthenticationToken", "^The access token is invalid.$"),
        (
            with_claims(now=1_700_000_000),
            "ExpiredAuthenticationToken",
            "^The access token expiry UTC time '11/15/2023 10:13:20 PM' is earlier than current UTC time '",
        ),
        (with_claims(now=4_000_000_000), "InvalidAuthenticationToken", "not valid yet"),
        (
            mint_token("https://storage.azure.com", key="k"),
            "InvalidAuthenticationTokenAudience",
            "^The access token has been obtained for wrong audience or resource 'https://storage.azure.com'",
        ),
        (
            with_claims(issuer="https://sts.windows.net/elsewhere/"),
            "InvalidAuthenticationTokenTenant",
            "^The access token is from the wrong issuer 'https://sts.windows.net/elsewhere/'",
        ),
    ],
    ids=["nonsense", "expired", "early", "audience", "tenant"],
)
def test_a_token_that_is_not_good(cloud: Cloud, token: str, code: str, message: str) -> None:
    stranger = cloud.ml_client(OneToken(token))

    error = Refusal(401, code, message).of(lambda: stranger.online_endpoints.get("there"))

    assert str(header(error, "WWW-Authenticate")).startswith("Bearer authorization_uri=")
    assert token not in str(error)


@pytest.mark.parametrize("principal", [PRINCIPAL_ID, CLIENT_ID], ids=["object id", "client id"])
@pytest.mark.parametrize(
    ("role", "may_read", "may_write"),
    [
        ("Reader", True, False),
        ("AzureML Data Scientist", True, True),
        ("Contributor", True, True),
        ("Microsoft.MachineLearningServices/workspaces/read", False, False),
        ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read", True, False),
    ],
)
def test_a_role_allows_what_it_names(
    cloud: Cloud, client: MLClient, principal: str, role: str, may_read: bool, may_write: bool
) -> None:
    cloud.control("POST", "/limits", {"roles": {principal: [role]}})

    read = cloud.arm("GET", "/onlineEndpoints/there").status_code
    written = cloud.arm("PUT", "/onlineEndpoints/there", ENDPOINT).status_code

    assert read == (200 if may_read else 403)
    assert written == (200 if may_write else 403)


@pytest.mark.parametrize(
    ("doing", "action", "scope"),
    [
        ("delete", "onlineEndpoints/delete", "onlineEndpoints/there"),
        ("keys", "onlineEndpoints/listKeys/action", "onlineEndpoints/there/listKeys"),
        ("logs", "onlineEndpoints/deployments/getLogs/action", "onlineEndpoints/there/deployments/blue/getLogs"),
        ("cancel", "jobs/cancel/action", "jobs/j/cancel"),
        ("create", "onlineEndpoints/write", "onlineEndpoints/new"),
    ],
)
def test_a_missing_role(cloud: Cloud, client: MLClient, doing: str, action: str, scope: str) -> None:
    cloud.control("POST", "/limits", {"roles": {PRINCIPAL_ID: ["Reader"]}})
    provider = "Microsoft.MachineLearningServices/workspaces"
    call = {
        "delete": lambda: client.online_endpoints.begin_delete("there"),
        "keys": lambda: client.online_endpoints.get_keys("there"),
        "logs": lambda: client.online_deployments.get_logs("blue", "there", lines=1),
        "cancel": lambda: client.jobs.begin_cancel("j"),
        "create": lambda: create(client, "new"),
    }[doing]

    Refusal(
        403,
        "AuthorizationFailed",
        f"^The client '{CLIENT_ID}' with object id '{PRINCIPAL_ID}' does not have authorization to perform action "
        f"'{provider}/{action}' over scope '{WORKSPACE_ID}/{scope}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials.$",
    ).of(call)


def test_another_identity_has_roles_of_its_own(cloud: Cloud, client: MLClient) -> None:
    other = cloud.ml_client(ManagedIdentityCredential(client_id=OTHER))

    cloud.control("POST", "/limits", {"roles": {OTHER: []}})

    Refusal(403, "AuthorizationFailed", f"object id '{object_id_of(OTHER)}'.*workspaces/read' over scope").of(
        lambda: other.workspaces.get(WORKSPACE)
    )
    assert client.workspaces.get(WORKSPACE).name == WORKSPACE


def test_a_request_too_many_in_the_words_of_azure_ml(cloud: Cloud, client: MLClient) -> None:
    cloud.control("POST", "/progress", {"mode": "manual"})
    cloud.control("POST", "/limits", {"requests": 3, "request_seconds": 20})
    for _ in range(3):
        assert cloud.arm("GET", "/onlineEndpoints/there").status_code == 200
    cloud.control("POST", "/advance", {"seconds": 2.5})

    error = user_error("^Received too many requests in a short amount of time. Retry again after 18 seconds.$", 429).of(
        lambda: client.online_endpoints.get("there")
    )

    assert header(error, "Retry-After") is None
    assert error.response is not None
    assert "TooManyRequests" in error.response.text()
    cloud.control("POST", "/advance", {"seconds": 17.5})
    assert client.online_endpoints.get("there").name == "there"


def test_a_request_too_many_in_the_words_of_resource_manager(cloud: Cloud, client: MLClient) -> None:
    cloud.control("POST", "/progress", {"mode": "manual"})
    cloud.control("POST", "/limits", {"requests": 0, "request_seconds": 6, "retry_after": True})

    error = Refusal(
        429,
        "SubscriptionRequestsThrottled",
        f"^Number of 'read' requests for subscription '{SUBSCRIPTION_ID}' actor '{PRINCIPAL_ID}' exceeded. Please try "
        "again after '6' seconds after additional tokens are available.",
    ).of(lambda: client.online_endpoints.get("there"))

    assert header(error, "Retry-After") == "6"


def test_the_sdk_waits_as_long_as_it_is_told(cloud: Cloud) -> None:
    patient = cloud.ml_client()
    cloud.control("POST", "/progress", {"mode": "scaled"})
    cloud.control("POST", "/limits", {"requests": 1, "request_seconds": 1, "retry_after": True})
    assert cloud.arm("GET", "/onlineEndpoints/there").status_code == 200

    assert patient.online_endpoints.get_keys("there").primary_key

    statuses = [line["status"] for line in cloud.control("GET", "/requests") if "onlineEndpoints/there" in line["path"]]
    assert 429 in statuses
