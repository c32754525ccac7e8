"""The exact codes, messages and statuses with which Azure Machine Learning refuses.

Forms from recordings of the real service (azure-sdk-assets, azure-ai-ml), except where it says "unverified".
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from localcloud.config import LOCATION
from localcloud.http import CloudError


class UserError(CloudError):
    """The management front end's envelope: the codes from general to particular stand in `additionalInfo`."""

    says_code_in_header = False

    def __init__(
        self, message: str, *inner: str, status: int = 400, form: tuple[str, dict[str, str]] | None = None
    ) -> None:
        """`form`: the message with names for what is particular, and what those are."""
        super().__init__(status, "UserError", message)
        self.inner = inner
        self.form = form

    def body(self) -> dict[str, Any]:
        inner: dict[str, Any] | None = None
        for code in reversed(self.inner):
            inner = {"code": code, "innerError": inner}
        correlation = {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]}
        information: dict[str, Any] = {
            "ComponentName": "managementfrontend",
            "Correlation": correlation,
            "Environment": LOCATION,
            "Location": LOCATION,
            "Time": dt.datetime.now(dt.UTC).isoformat(),
            "InnerError": inner,
        }
        if self.form is not None:
            information["MessageFormat"], information["MessageParameters"] = self.form
        additional = [{"type": name, "info": {"value": value}} for name, value in information.items()]
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": [],
                "additionalInfo": additional,
            }
        }


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
