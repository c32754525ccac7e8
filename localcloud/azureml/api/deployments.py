"""Online deployments: PUT, GET, list, DELETE, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml.api.wire import endpoint_system_data, listing, workspace_child
from localcloud.config import LOCATION
from localcloud.http import json_object, null_response
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.endpoints import Deployment, Endpoints
    from localcloud.azureml.serving import Serving

_TYPE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"
_PROBE = {
    "failureThreshold": 30,
    "successThreshold": 1,
    "timeout": "PT2S",
    "period": "PT10S",
    "initialDelay": "PT10S",
}
_REQUESTS = {"maxQueueWait": "PT0S", "requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1}
_DEFAULT_TAIL = 100


def routes(arm: Arm, endpoints: Endpoints, serving: Serving) -> list[Route]:
    def body(deployment: Deployment, state: str) -> dict[str, Any]:
        return _deployment(deployment, state, arm)

    async def put(request: Request) -> Response:
        endpoint, name = request.path_params["endpoint"], request.path_params["deployment"]
        given = await json_object(request)
        endpoints.get(endpoint)
        serving.check_model(str((given.get("properties") or {}).get("model") or ""))
        deployment, is_new = endpoints.put_deployment(endpoint, name, given)
        if endpoints.awaits_worker(deployment):
            serving.bring_up(deployment)
        location = workspace_child("onlineEndpoints", endpoint, "deployments", name)
        headers = arm.operation_headers(request, deployment.operation, location=location)
        if not is_new:
            del headers["Location"]
        return JSONResponse(body(deployment, deployment.pending), 201 if is_new else 200, headers)

    async def get(request: Request) -> Response:
        deployment = _found(request)
        return JSONResponse(body(deployment, endpoints.state(deployment)))

    async def list_deployments(request: Request) -> Response:
        found = endpoints.deployments(request.path_params["endpoint"])
        return JSONResponse(listing(request, found, lambda deployment: body(deployment, endpoints.state(deployment))))

    async def delete(request: Request) -> Response:
        endpoint, name = request.path_params["endpoint"], request.path_params["deployment"]
        deployment = endpoints.delete_deployment(endpoint, name)
        if deployment is None:
            return null_response(204)
        return null_response(202, arm.operation_headers(request, deployment.operation))

    async def logs(request: Request) -> Response:
        deployment = _found(request)
        lines = int((await json_object(request)).get("tail") or _DEFAULT_TAIL)
        return JSONResponse({"content": serving.logs(deployment, lines)})

    def _found(request: Request) -> Deployment:
        return endpoints.get_deployment(request.path_params["endpoint"], request.path_params["deployment"])

    path = "/onlineEndpoints/{endpoint}/deployments"
    return [
        arm.workspace_route("PUT", path + "/{deployment}", put),
        arm.workspace_route("GET", path + "/{deployment}", get),
        arm.workspace_route("DELETE", path + "/{deployment}", delete),
        arm.workspace_route("POST", path + "/{deployment}/getLogs", logs),
        arm.workspace_route("GET", path, list_deployments),
    ]


def _deployment(deployment: Deployment, state: str, arm: Arm) -> dict[str, Any]:
    given = deployment.properties
    is_made = state != deployment.pending or deployment.revision > 1
    return {
        "id": workspace_child("onlineEndpoints", deployment.endpoint, "deployments", deployment.name),
        "name": deployment.name,
        "type": _TYPE,
        "properties": {
            "description": given.get("description"),
            "properties": {
                **(given.get("properties") or {}),
                "AzureAsyncOperationUri": arm.operation_url(deployment.operation),
            },
            "codeConfiguration": given.get("codeConfiguration"),
            "environmentId": given.get("environmentId"),
            "environmentVariables": given.get("environmentVariables") or {},
            "scaleSettings": given.get("scaleSettings") or {"scaleType": "Default"},
            "requestSettings": {**_REQUESTS, **_set(given.get("requestSettings"))},
            "modelMountPath": given.get("modelMountPath"),
            "appInsightsEnabled": bool(given.get("appInsightsEnabled")),
            "livenessProbe": _probe(given.get("livenessProbe"), is_made=is_made),
            "readinessProbe": _probe(given.get("readinessProbe"), is_made=is_made),
            "provisioningState": state,
            "instanceType": given.get("instanceType"),
            "model": deployment.model,
            "egressPublicNetworkAccess": given.get("egressPublicNetworkAccess") or "Enabled",
            "endpointComputeType": "Managed",
        },
        "systemData": endpoint_system_data(deployment.created, deployment.modified),
        "tags": deployment.tags,
        "location": LOCATION,
        "kind": "Managed",
        "sku": deployment.sku,
    }


def _probe(given: dict[str, Any] | None, *, is_made: bool) -> dict[str, Any] | None:
    """The service fills in what was not given once it has made the deployment."""
    if given is None and not is_made:
        return None
    return {**_PROBE, **_set(given)}


def _set(fields: dict[str, Any] | None) -> dict[str, Any]:
    """Without the ones that the client left to the service."""
    return {name: value for name, value in (fields or {}).items() if value is not None}
