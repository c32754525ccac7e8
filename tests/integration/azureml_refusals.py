"""What a refusal by Azure Machine Learning is expected to look like to who uses the SDK."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    map_error,
)
from azure.core.rest import HttpRequest
from azure.identity import ManagedIdentityCredential
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from localcloud.config import WORKSPACE_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.integration.azureml_support import Cloud

KINDS: dict[int, type[HttpResponseError]] = {
    401: ClientAuthenticationError,
    404: ResourceNotFoundError,
    409: ResourceExistsError,
}
"""azure-core's exceptions by status; all others are HttpResponseError itself."""


@dataclass(frozen=True)
class Refusal:
    """`detail` is the code beside the reason, where the reason stands in the details. `message` is a pattern."""

    status: int
    code: str
    message: str
    detail: str = ""

    def of(self, call: Callable[[], object]) -> HttpResponseError:
        """The error with which the SDK raises it. Fails when the call is not refused in just this way."""
        with pytest.raises(HttpResponseError) as raised:
            call()
        error = raised.value
        assert type(error) is KINDS.get(self.status, HttpResponseError)
        assert error.status_code == self.status
        assert error.error is not None
        if self.detail:
            assert (error.error.code, error.error.message) == (self.code, OPAQUE[self.code])
            [inner] = error.error.details
            code, message = inner.code, inner.message
        else:
            code, message = error.error.code, error.error.message
        assert code == (self.detail or self.code)
        assert message is not None
        assert re.search(self.message, message), message
        return error


def header(error: HttpResponseError, name: str) -> str | None:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return headers.get(name)


OPAQUE = {"BadRequest": "The request is invalid.", "NotFound": "The specified resource was not found."}
"""What the front end says where the service behind it refuses."""


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message, "InferencingClientCallFailed")


def bad_deployment(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message, "InferencingClientCreateDeploymentFailed")


def user_error(message: str, status: int = 400) -> Refusal:
    return Refusal(status, "UserError", message)


def through_azure_core(cloud: Cloud, method: str, path: str, body: object) -> object:
    """For what MLClient checks itself: the pipeline that is below it, and its mapping of errors."""
    base = cloud.config.azure_url
    authentication = ARMChallengeAuthenticationPolicy(ManagedIdentityCredential(), f"{base}/.default")
    client: ARMPipelineClient[Any, Any] = ARMPipelineClient(base_url=base, policies=[authentication])
    with client:
        url = f"{base}{WORKSPACE_ID}{path}?api-version=2023-04-01-preview"
        response = client.send_request(HttpRequest(method, url, json=body))
        if response.status_code >= 400:
            map_error(status_code=response.status_code, response=response, error_map=KINDS)
            raise HttpResponseError(response=response)
        return response.json()
