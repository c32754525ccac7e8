"""Computes and datastores of the workspace: read only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.azureml.api.wire import CREATED, listing, page, system_data, workspace_child
from localcloud.azureml.clock import iso
from localcloud.azureml.datastore import CONTAINER, DEFAULT_DATASTORE
from localcloud.config import LOCATION, STORAGE_ACCOUNT
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.computes import Computes
    from localcloud.config import Compute


def routes(arm: Arm, computes: Computes) -> list[Route]:
    async def list_computes(request: Request) -> Response:
        return JSONResponse(listing(request, computes.all(), _compute))

    async def compute(request: Request) -> Response:
        return JSONResponse(_compute(computes.get(request.path_params["compute"])))

    async def datastores(request: Request) -> Response:
        only_others = request.query_params.get("isDefault", "").lower() == "false"
        return JSONResponse(page([] if only_others else [_datastore()]))

    async def datastore(request: Request) -> Response:
        name: str = request.path_params["datastore"]
        if name != DEFAULT_DATASTORE:
            raise errors.datastore_not_found(name)
        return JSONResponse(_datastore())

    return [
        arm.workspace_route("GET", "/computes", list_computes),
        arm.workspace_route("GET", "/computes/{compute}", compute),
        arm.workspace_route("GET", "/datastores", datastores),
        arm.workspace_route("GET", "/datastores/{datastore}", datastore),
    ]


def _compute(compute: Compute) -> dict[str, Any]:
    return {
        "id": workspace_child("computes", compute.name),
        "name": compute.name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": LOCATION,
        "tags": {},
        "properties": {
            "createdOn": iso(CREATED),
            "modifiedOn": iso(CREATED),
            "disableLocalAuth": True,
            "description": None,
            "resourceId": None,
            "computeType": "AmlCompute",
            "computeLocation": LOCATION,
            "provisioningState": "Succeeded",
            "provisioningErrors": None,
            "isAttachedCompute": False,
            "properties": {
                "vmSize": compute.vm_size,
                "vmPriority": "Dedicated",
                "scaleSettings": {
                    "maxNodeCount": compute.max_nodes,
                    "minNodeCount": 0,
                    "nodeIdleTimeBeforeScaleDown": "PT2M",
                },
                "subnet": None,
                "currentNodeCount": 0,
                "targetNodeCount": 0,
                "nodeStateCounts": {
                    "preparingNodeCount": 0,
                    "runningNodeCount": 0,
                    "idleNodeCount": 0,
                    "unusableNodeCount": 0,
                    "leavingNodeCount": 0,
                    "preemptedNodeCount": 0,
                },
                "allocationState": "Steady",
                "allocationStateTransitionTime": iso(CREATED),
                "errors": None,
                "remoteLoginPortPublicAccess": "Enabled",
                "osType": "Linux",
                "virtualMachineImage": None,
                "isolatedNetwork": False,
                "propertyBag": {},
            },
        },
    }


def _datastore() -> dict[str, Any]:
    """It has no credentials: who uses it brings a token of his own."""
    return {
        "id": workspace_child("datastores", DEFAULT_DATASTORE),
        "name": DEFAULT_DATASTORE,
        "type": "Microsoft.MachineLearningServices/workspaces/datastores",
        "properties": {
            "description": None,
            "tags": None,
            "properties": None,
            "isDefault": True,
            "credentials": {"credentialsType": "None"},
            "datastoreType": "AzureBlob",
            "accountName": STORAGE_ACCOUNT,
            "containerName": CONTAINER,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "serviceDataAccessAuthIdentity": "None",
        },
        "systemData": system_data(CREATED),
    }
