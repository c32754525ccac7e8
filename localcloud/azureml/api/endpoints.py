"""Online endpoints: PUT, GET, list, PATCH, DELETE, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml.api.wire import endpoint_system_data, listing, workspace_child
from localcloud.config import LOCATION, TENANT_ID
from localcloud.http import json_object, null_response
from localcloud.identity import PRINCIPAL_ID
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.endpoints import Endpoint, Endpoints

_TYPE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"


def routes(arm: Arm, endpoints: Endpoints) -> list[Route]:
    def body(endpoint: Endpoint) -> dict[str, Any]:
        return _endpoint(endpoint, endpoints.state(endpoint), arm)

    async def put(request: Request) -> Response:
        endpoint, is_new = endpoints.put(request.path_params["endpoint"], await json_object(request))
        headers = arm.operation_headers(
            request, endpoint.operation, location=workspace_child("onlineEndpoints", endpoint.name)
        )
        if not is_new:
            del headers["Location"]
        answer = {**body(endpoint)}
        # The answer says what was begun, even where the operation takes no time.
        answer["properties"] = {**answer["properties"], "provisioningState": endpoint.pending}
        return JSONResponse(answer, 201 if is_new else 200, headers)

    async def get(request: Request) -> Response:
        return JSONResponse(body(endpoints.get(request.path_params["endpoint"])))

    async def list_endpoints(request: Request) -> Response:
        name = request.query_params.get("name")
        found = [endpoint for endpoint in endpoints.all() if name in (None, endpoint.name)]
        return JSONResponse(listing(request, found, body))

    async def patch(request: Request) -> Response:
        tags = (await json_object(request)).get("tags") or {}
        return JSONResponse(body(endpoints.patch_tags(request.path_params["endpoint"], tags)))

    async def delete(request: Request) -> Response:
        endpoint = endpoints.delete(request.path_params["endpoint"])
        if endpoint is None:
            return null_response(204)
        return null_response(202, arm.operation_headers(request, endpoint.operation))

    async def keys(request: Request) -> Response:
        endpoint = endpoints.get(request.path_params["endpoint"])
        return JSONResponse({"primaryKey": endpoint.primary_key, "secondaryKey": endpoint.secondary_key})

    async def regenerate(request: Request) -> Response:
        key_type = str((await json_object(request)).get("keyType") or "Primary")
        endpoints.regenerate_key(request.path_params["endpoint"], key_type)
        return null_response(200)

    path = "/onlineEndpoints/{endpoint}"
    return [
        arm.workspace_route("PUT", path, put),
        arm.workspace_route("GET", path, get),
        arm.workspace_route("PATCH", path, patch),
        arm.workspace_route("DELETE", path, delete),
        arm.workspace_route("POST", f"{path}/listKeys", keys),
        arm.workspace_route("POST", f"{path}/regenerateKeys", regenerate),
        arm.workspace_route("GET", "/onlineEndpoints", list_endpoints),
    ]


def scoring_url(arm: Arm, endpoint: str) -> str:
    return f"{arm.base_url}/inference/{endpoint}/score"


def _endpoint(endpoint: Endpoint, state: str, arm: Arm) -> dict[str, Any]:
    given = endpoint.properties
    identifier = workspace_child("onlineEndpoints", endpoint.name)
    url = None if state == "Creating" else scoring_url(arm, endpoint.name)
    return {
        "id": identifier,
        "name": endpoint.name,
        "type": _TYPE,
        "properties": {
            "description": given.get("description"),
            "properties": {
                **(given.get("properties") or {}),
                "azureml.onlineendpointid": identifier.lower(),
                "AzureAsyncOperationUri": arm.operation_url(endpoint.operation),
            },
            "scoringUri": url,
            "swaggerUri": url and url.removesuffix("score") + "swagger.json",
            "authMode": "Key",
            "provisioningState": state,
            "compute": given.get("compute"),
            "traffic": endpoint.traffic,
            "mirrorTraffic": given.get("mirrorTraffic") or {},
            "publicNetworkAccess": given.get("publicNetworkAccess") or "Enabled",
        },
        "systemData": endpoint_system_data(endpoint.created, endpoint.modified),
        "tags": endpoint.tags,
        "location": LOCATION,
        "kind": "Managed",
        "identity": {
            "type": endpoint.identity.get("type") or "SystemAssigned",
            "principalId": PRINCIPAL_ID,
            "tenantId": TENANT_ID,
        },
    }
