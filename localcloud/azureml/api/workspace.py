"""The workspace, its discovery, ARM's cloud metadata, and the state of long-running operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from localcloud.azureml import errors
from localcloud.azureml.api.wire import CREATED, PROVIDER, system_data
from localcloud.azureml.clock import iso
from localcloud.azureml.operations import WORKSPACE_UUID
from localcloud.config import (
    LOCATION,
    RESOURCE_GROUP,
    STORAGE_ACCOUNT_ID,
    SUBSCRIPTION_ID,
    TENANT_ID,
    WORKSPACE,
    WORKSPACE_ID,
)
from localcloud.identity import PRINCIPAL_ID
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.jobs import Jobs
    from localcloud.azureml.operations import Operation, Operations

CLOUD_NAME = "LocalCloud"
"""What AZUREML_CURRENT_CLOUD must be when ARM_CLOUD_METADATA_URL points at this cloud."""

_LOCATION_PATH = "/subscriptions/{subscription}" + PROVIDER + "/locations/{location}"
_UNKNOWN_END = "0001-01-01T00:00:00+00:00"


def routes(arm: Arm, operations: Operations, jobs: Jobs) -> list[Route]:
    async def workspace(_: Request) -> Response:
        return JSONResponse(_workspace(arm))

    async def discovery(_: Request) -> Response:
        return JSONResponse(
            {
                "api": arm.base_url,
                "catalog": "https://catalog.cortanaanalytics.com",
                "experimentation": arm.base_url,
                "gallery": "https://gallery.cortanaintelligence.com/project",
                "history": arm.base_url,
                "hyperdrive": arm.base_url,
                "labeling": arm.base_url,
                "modelmanagement": arm.base_url,
                "pipelines": arm.base_url,
                "quota-manager": arm.base_url,
                "studio": "https://ml.azure.com",
            }
        )

    async def metadata(_: Request) -> Response:
        return JSONResponse([_cloud(arm)])

    async def status(request: Request) -> Response:
        operation = _required(operations, request.path_params["operation"])
        headers = arm.poll_headers() if operation.ended is None else None
        return JSONResponse(_operation(operation, request.url.path), headers=headers)

    async def result(request: Request) -> Response:
        identifier: str = request.path_params["operation"]
        if identifier.startswith("jc:"):
            return _cancellation(jobs.get(identifier.rpartition(":")[2]).is_terminal, request)
        operation = _required(operations, identifier)
        if operation.ended is None:
            return JSONResponse({}, 202, {"Location": str(request.url)})
        if operation.error_code is not None:
            raise errors.UserError(operation.error_message, operation.error_code)
        return Response(status_code=200)

    return [
        arm.workspace_route("GET", "", workspace),
        arm.route("GET", _LOCATION_PATH + "/mfeOperationsStatus/{operation}", status),
        arm.route("GET", _LOCATION_PATH + "/mfeOperationResults/{operation}", result),
        Route("/discovery", discovery),
        Route("/metadata/endpoints", metadata),
    ]


def _required(operations: Operations, identifier: str) -> Operation:
    operation = operations.look(identifier)
    if operation is None:
        raise errors.UserError(f"Operation {identifier} not found.", "NotFound", status=404)
    return operation


def _cancellation(done: bool, request: Request) -> Response:
    return Response(status_code=200) if done else JSONResponse({}, 202, {"Location": str(request.url)})


def _operation(operation: Operation, path: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": path,
        "name": operation.id,
        "startTime": iso(operation.started),
        "endTime": iso(operation.ended) or _UNKNOWN_END,
        "percentComplete": 0.0 if operation.ended is None else 100.0,
        "status": operation.status,
    }
    if operation.status in ("Failed", "Canceled"):
        body["error"] = {
            "code": operation.error_code,
            "message": operation.error_message,
            "target": operation.target,
            "details": [],
        }
    return body


def _workspace(arm: Arm) -> dict[str, Any]:
    return {
        "id": WORKSPACE_ID,
        "name": WORKSPACE,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": LOCATION,
        "tags": {},
        "etag": None,
        "kind": "Default",
        "identity": {"type": "SystemAssigned", "principalId": PRINCIPAL_ID, "tenantId": TENANT_ID},
        "sku": {"name": "Basic", "tier": "Basic"},
        "properties": {
            "friendlyName": WORKSPACE,
            "description": "",
            "storageAccount": STORAGE_ACCOUNT_ID,
            "keyVault": _neighbour("Microsoft.Keyvault/vaults"),
            "applicationInsights": _neighbour("Microsoft.insights/components"),
            "hbiWorkspace": False,
            "tenantId": TENANT_ID,
            "imageBuildCompute": None,
            "provisioningState": "Succeeded",
            "managedNetwork": {
                "changeableIsolationModes": ["AllowInternetOutbound", "AllowOnlyApprovedOutbound"],
                "isolationMode": "Disabled",
                "enableNetworkMonitor": False,
                "enableFirewallLog": False,
            },
            "allowRoleAssignmentOnRG": True,
            "v1LegacyMode": False,
            "softDeleteEnabled": False,
            "containerRegistry": _neighbour("Microsoft.ContainerRegistry/registries"),
            "creationTime": iso(CREATED),
            "notebookInfo": {
                "resourceId": WORKSPACE_UUID.replace("-", ""),
                "fqdn": f"{WORKSPACE}-{LOCATION}-{WORKSPACE_UUID}.{LOCATION}.notebooks.azure.net",
                "isPrivateLinkEnabled": False,
                "notebookPreparationError": None,
            },
            "storageHnsEnabled": False,
            "workspaceId": WORKSPACE_UUID,
            "linkedModelInventoryArmId": None,
            "privateLinkCount": 0,
            "publicNetworkAccess": "Enabled",
            "ipAllowlist": [],
            "networkAcls": {"defaultAction": "Allow", "bypass": "", "ipRules": [], "resourceAccessRules": []},
            "serverlessComputeSettings": None,
            "EnableSoftwareBillOfMaterials": False,
            "sdkTelemetryAppInsightsKey": "00000000-0000-0000-0000-000000000000",
            "enableDataIsolation": False,
            "systemDatastoresAuthMode": "identity",
            "enableServiceSideCMKEncryption": False,
            "discoveryUrl": f"{arm.base_url}/discovery",
            "mlFlowTrackingUri": f"azureml://{arm.base_url.removeprefix('https://')}/mlflow/v1.0{WORKSPACE_ID}",
        },
        "systemData": system_data(CREATED),
    }


def _neighbour(kind: str) -> str:
    """Of what a workspace is always made with, though nothing answers for it here."""
    return f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers/{kind}/{WORKSPACE}"


def _cloud(arm: Arm) -> dict[str, Any]:
    """`portal` stays Azure's: the SDK derives the audience of its second token from it (https://ml.azure.com)."""
    return {
        "name": CLOUD_NAME,
        "portal": "https://portal.azure.com/",
        "authentication": {
            "loginEndpoint": f"{arm.base_url}/login/",
            "audiences": [f"{arm.base_url}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"{arm.base_url}/",
        "suffixes": {"storage": arm.storage_suffix, "keyVaultDns": "vault.azure.net"},
    }
