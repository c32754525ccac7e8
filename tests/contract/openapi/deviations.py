"""Where an exchange may differ from the documents, and why. Everything else that differs is a bug of somebody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Known:
    """`fault`: who is not as the specification says. `operation` and `message` are regular expressions.

    `status`: only of exchanges that were answered so.
    """

    id: str
    fault: Literal["service", "sdk", "specification"]
    operation: str
    side: Literal["request", "response"]
    message: str
    reason: str
    status: int | None = None

    def explains(self, operation: str, side: str, message: str, status: int) -> bool:
        return (
            side == self.side
            and self.status in (None, status)
            and re.fullmatch(self.operation, operation) is not None
            and re.search(self.message, message) is not None
        )


KNOWN = (
    Known(
        "no-retry-after",
        "service",
        r"Jobs_Cancel|Online(Endpoints|Deployments)_Delete",
        "response",
        r"^header Retry-After is missing$",
        "The service accepts these without Retry-After: recordings online_endpoint_and_deployment_create_delete, "
        "pipeline_job_throttled_429_500. The SDK then polls at its own interval.",
    ),
    Known(
        "workspace-has-more",
        "service",
        r"Workspaces_Get",
        "response",
        r"^body /: unknown property etag$"
        r"|^body /properties: unknown property (EnableSoftwareBillOfMaterials|allowRoleAssignmentOnRG|creationTime"
        r"|enableServiceSideCMKEncryption|ipAllowlist|linkedModelInventoryArmId|networkAcls"
        r"|sasGetterUri|sdkTelemetryAppInsightsKey|softDeleteEnabled)$"
        r"|^body /properties/managedNetwork: unknown property (enableFirewallLog|enableNetworkMonitor)$"
        r"|^body /properties/notebookInfo: unknown property isPrivateLinkEnabled$",
        "The service says more of a workspace than the specification: recordings online_endpoint_e2e_2026-03-03, "
        "pipeline_job_child_runs.",
    ),
    Known(
        "child-run-without-properties",
        "service",
        r"Jobs_Get",
        "response",
        r"^body /: 'properties' is a required property$",
        "A child run of a pipeline is answered with its name only, and the SDK asks the run history: recording "
        "pipeline_job_child_runs.",
    ),
    Known(
        "unknown-compute-without-body",
        "service",
        r"Compute_Get",
        "response",
        r"^body /: None is not of type 'object'$",
        "A compute that does not exist is a 404 with nothing in it: recording pipeline_job_create_invalid_compute.",
    ),
    Known(
        "name-refused",
        "sdk",
        r".*_CreateOrUpdate",
        "request",
        r"^path \w+: .+ does not match",
        "SDKs send the names of jobs and models unchecked; the service refuses them, and so does the local cloud.",
        status=400,
    ),
)


def explained(operation: str, side: str, message: str, status: int) -> Known | None:
    return next((known for known in KNOWN if known.explains(operation, side, message, status)), None)
