"""Refusals of the service behind the front end that runs endpoints and deployments.

The front end passes them on as a detail, and its own message says nothing. Forms from errors that users reported
(named where they are raised), except where it says "unverified".
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from localcloud.azureml.errors import FrontEndError
from localcloud.azureml.failures import GUIDE
from localcloud.config import SUBSCRIPTION_ID

if TYPE_CHECKING:
    from localcloud.azureml.skus import Sku

_CALL = "InferencingClientCallFailed"
_CREATE_DEPLOYMENT = "InferencingClientCreateDeploymentFailed"


def endpoint_quota_reached(used: int, limit: int) -> FrontEndError:
    """azureml-examples pull request 1635; the status is unverified."""
    text = (
        f"Endpoint Quota reached for subscription {SUBSCRIPTION_ID}.Current usage/limit: {used}/{limit}."
        "Please clean up existing endpoints and try again"
    )
    return FrontEndError(400, _CALL, json.dumps(text))


def endpoint_name_taken() -> FrontEndError:
    """azureml-examples pull request 1931."""
    return _invalid(
        "There is already an endpoint with this name, Endpoint name needs to be unique within a region. "
        "Try some other name."
    )


def endpoint_name_not_yet_free() -> FrontEndError:
    """What the name of a deleted endpoint answers for a while: azure-cli-extensions issues 7107 and 7660."""
    return FrontEndError(
        404, "NotFound", "The specified resource was not found.", details=[_detail(_CALL, '{{"title":"Not Found"}}')]
    )


def endpoint_not_usable() -> FrontEndError:
    """A deployment for an endpoint that failed or is being deleted; wording as a user wrote it down in 2026."""
    return _invalid(
        "This endpoint has not been created successfully or is in deleting provisioning state. "
        "Please recreate endpoint and then try again to create deployment."
    )


def deployment_not_recoverable(name: str) -> FrontEndError:
    """An update of a deployment whose creation failed; reported by many."""
    return _invalid(
        f"Specified deployment [{name}] failed during initial provisioning and is in an unrecoverable state. "
        "Delete and re-create."
    )


def too_many_deployments(endpoint: str, limit: int) -> FrontEndError:
    """Unverified wording."""
    return _invalid(f"Endpoint [{endpoint}] has reached its limit of {limit} deployments.")


def deployment_has_traffic(name: str, share: int) -> FrontEndError:
    """Unverified wording."""
    return _invalid(f"Specified deployment [{name}] has traffic of {share} percent. Set it to 0 before deleting it.")


def invalid_traffic(message: str) -> FrontEndError:
    """Unverified wording, whatever it is."""
    return _invalid(message, "Traffic")


def unsupported_size(name: str) -> FrontEndError:
    """Unverified wording."""
    return _invalid_deployment("VmSize", f"The VM size {name} is not supported for managed online deployments.")


def not_enough_quota(size: str, used: int, limit: int, needed: int) -> FrontEndError:
    """mslearn-azure-ml issue 30, azure-realtime-fraud-detection issue 2."""
    return _invalid_deployment(
        "VmSize",
        f"Not enough quota available for {size} in SubscriptionId {SUBSCRIPTION_ID}. "
        f"Current usage/limit: {used}/{limit}. Additional needed: {needed} {GUIDE}outofquota",
    )


def out_of_quota(sku: Sku, instances: int) -> tuple[str, str]:
    """Code and message of the operation: users report the literal [N/A], and the cores with the reserve."""
    return (
        "OutOfQuota",
        f"Not enough subscription CPU quota. The amount of CPU quota requested is {sku.reserved_cores(instances)} "
        f"and your maximum amount of quota is [N/A]. {GUIDE}outofquota",
    )


def _invalid(message: str, field: str = "") -> FrontEndError:
    problems = {"errors": {field: [message]}, "title": "One or more validation errors occurred."}
    return _bad_request(_detail(_CALL, json.dumps(problems, separators=(",", ":"))))


def _invalid_deployment(field: str, message: str) -> FrontEndError:
    problems = {
        "errors": {field: [message]},
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "traceId": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
    }
    text = f"InferencingClient HttpRequest error, error detail: {json.dumps(problems, separators=(',', ':'))}"
    return _bad_request(_detail(_CREATE_DEPLOYMENT, text))


def _bad_request(detail: dict[str, Any]) -> FrontEndError:
    return FrontEndError(400, "BadRequest", "The request is invalid.", details=[detail])


def _detail(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "details": [], "additionalInfo": []}
