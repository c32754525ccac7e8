"""The exact codes, messages and statuses with which Azure Machine Learning refuses.

Forms from recordings of the real service (azure-sdk-assets, azure-ai-ml), except where it says "unverified".
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

from localcloud.config import LOCATION, SUBSCRIPTION_ID
from localcloud.http import CloudError

if TYPE_CHECKING:
    from collections.abc import Sequence


class FrontEndError(CloudError):
    """The management front end's envelope: the codes from general to particular stand in `additionalInfo`."""

    says_code_in_header = False

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        inner: Sequence[str] = (),
        details: Sequence[dict[str, Any]] = (),
        form: tuple[str, dict[str, str]] | None = None,
    ) -> None:
        """`form`: the message with names for what is particular, and what those are."""
        super().__init__(status, code, message)
        self.inner = tuple(inner)
        self.details = list(details)
        self.form = form

    def body(self) -> dict[str, Any]:
        correlation = {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]}
        information: dict[str, Any] = {
            "ComponentName": "managementfrontend",
            "Correlation": correlation,
            "Environment": LOCATION,
            "Location": LOCATION,
            "Time": dt.datetime.now(dt.UTC).isoformat(),
        }
        inner: dict[str, Any] | None = None
        for code in reversed(self.inner):
            inner = {"code": code, "innerError": inner}
        if inner is not None:
            information["InnerError"] = inner
        if self.form is not None:
            information["MessageFormat"], information["MessageParameters"] = self.form
        additional = [{"type": name, "info": {"value": value}} for name, value in information.items()]
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "additionalInfo": additional,
            }
        }


class UserError(FrontEndError):
    """What the front end itself refuses."""

    def __init__(
        self, message: str, *inner: str, status: int = 400, form: tuple[str, dict[str, str]] | None = None
    ) -> None:
        super().__init__(status, "UserError", message, inner, form=form)


def resource_not_found(kind: str, name: str, resource_group: str) -> CloudError:
    """Azure Resource Manager's own 404."""
    return CloudError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.MachineLearningServices/{kind}/{name}' under resource group "
        f"'{resource_group}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def missing_api_version() -> CloudError:
    """Azure Resource Manager's, as in azure-sdk-for-go issue 22571 and MicrosoftDocs/feedback issue 2279."""
    return CloudError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def workspace_not_found() -> UserError:
    return UserError("Workspace not found.", "NotFound", "WorkspaceNotFound", status=404)


def job_not_found(name: str) -> UserError:
    form = ("Job {jobId} not found.", {"jobId": name})
    return UserError(f"Job {name} not found.", "NotFound", "JobNotFound", status=404, form=form)


def job_immutable(properties: list[str]) -> UserError:
    """azure-docs issue 122250, azure-sdk-for-python pull request 47389; the status 400 is unverified."""
    return UserError(
        "A job with this name already exists. If you are trying to create a new job, use a different name. "
        "If you are trying to update an existing job, the existing job's "
        f"{', '.join(name[:1].upper() + name[1:] for name in properties)} cannot be changed. "
        "Only description, tags, displayName, properties, and isArchived can be updated.",
        "Immutable",
        "JobPropertyImmutable",
    )


def job_in_terminal_status(name: str) -> UserError:
    return UserError(
        f"The pipeline run {name} is in terminal status, it can't be canceled.",
        "BadArgument",
        "ArgumentInvalid",
        "CancelPipelineRunInTerminalStatus",
    )


def asset_not_found(kind: str, name: str, version: str | None, registry: str | None = None) -> UserError:
    """Unverified wording."""
    asset = name if version is None else f"{name}:{version}"
    place = "" if registry is None else f" in registry {registry}"
    return UserError(f"{kind} {asset} was not found{place}.", "NotFound", f"{kind}NotFound", status=404)


def asset_path_immutable() -> UserError:
    """The message is a constant of azure-ai-ml."""
    return UserError("Asset paths cannot be updated.", "Immutable", "AssetPathImmutable")


def invalid_name(kind: str, name: str, others: str = "'-' and '_'") -> UserError:
    """The rule is the specification's pattern, the wording unverified."""
    return UserError(
        f"{kind} name '{name}' is invalid: it must begin with a letter or digit and have at most 255 characters, "
        f"which are letters, digits, {others}.",
        "BadArgument",
        "ArgumentInvalid",
    )


def compute_not_found() -> CloudError:
    """A recording has no body at all, which is what an empty code stands for."""
    return CloudError(404, "", "")


def datastore_not_found(name: str) -> UserError:
    return UserError(f"Could not find datastore: {name}.", "NotFoundError", status=404)


def unknown_compute(name: str) -> UserError:
    """Message: AML-Kubernetes issue 118; the inner codes are unverified."""
    return UserError(f"Unknown compute target '{name}'.", "BadArgument", "ArgumentInvalid")


def authorization_failed(client: str, principal: str, action: str, scope: str) -> CloudError:
    """Azure Resource Manager's, as in mlops-template-for-azureml-sdk-v2 issue 9."""
    return CloudError(
        403,
        "AuthorizationFailed",
        f"The client '{client}' with object id '{principal}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials.",
    )


def throttled(seconds: int) -> UserError:
    """Azure ML says in words when to come back, and has no Retry-After."""
    return UserError(
        f"Received too many requests in a short amount of time. Retry again after {seconds} seconds.",
        "QuotaExceeded",
        "TooManyRequests",
        status=429,
    )


def throttled_by_resource_manager(principal: str, method: str, seconds: int) -> CloudError:
    """https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling"""
    kind = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(method, "write")
    return CloudError(
        429,
        "SubscriptionRequestsThrottled",
        f"Number of '{kind}' requests for subscription '{SUBSCRIPTION_ID}' actor '{principal}' exceeded. Please try "
        f"again after '{seconds}' seconds after additional tokens are available. Refer to "
        "https://aka.ms/arm-throttling for additional information.",
        {"Retry-After": str(seconds)},
    )


def invalid_argument(message: str) -> UserError:
    return UserError(message, "BadArgument", "ArgumentInvalid")


def endpoint_not_found(name: str) -> UserError:
    """Unverified wording."""
    return UserError(f"Endpoint {name} not found.", "NotFound", "EndpointNotFound", status=404)


def deployment_not_found(endpoint: str, name: str) -> UserError:
    """Unverified wording."""
    return UserError(
        f"Deployment {name} of endpoint {endpoint} not found.", "NotFound", "DeploymentNotFound", status=404
    )


def operation_in_progress(endpoint: str, state: str) -> CloudError:
    """Documented for Kubernetes endpoints, unverified for managed ones; unverified wording."""
    return CloudError(
        409,
        "Conflict",
        f"There is already an ongoing operation on endpoint {endpoint} (state {state}). "
        "Wait for it to complete and try again.",
    )
