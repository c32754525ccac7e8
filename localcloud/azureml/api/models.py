"""Registered models of the workspace: PUT, GET, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.azureml.api.wire import listing, system_data, workspace_child
from localcloud.http import json_object, null_response
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.models import Models, ModelVersion

_CONTAINER = "Microsoft.MachineLearningServices/workspaces/models"


def routes(arm: Arm, models: Models) -> list[Route]:
    async def put(request: Request) -> Response:
        name, version = request.path_params["model"], request.path_params["version"]
        properties = (await json_object(request)).get("properties") or {}
        model, is_new = models.create_or_update(name, version, properties)
        if not is_new:
            return JSONResponse(_version(model))
        location = workspace_child("models", name, "versions", version)
        api_version = request.query_params.get("api-version", "2023-08-01-preview")
        return JSONResponse(_version(model), 201, {"Location": arm.url(location, api_version)})

    async def get(request: Request) -> Response:
        return JSONResponse(_version(models.get(request.path_params["model"], request.path_params["version"])))

    async def delete(request: Request) -> Response:
        existed = models.delete(request.path_params["model"], request.path_params["version"])
        return null_response(200 if existed else 204)

    async def versions(request: Request) -> Response:
        view = request.query_params.get("listViewType", "ActiveOnly")
        wanted = request.query_params.get("version")
        found = [
            model
            for model in models.versions(request.path_params["model"])
            if _is_in_view(model, view) and wanted in (None, model.version)
        ]
        return JSONResponse(listing(request, found, _version))

    async def container(request: Request) -> Response:
        name: str = request.path_params["model"]
        return JSONResponse(_container(name, models.versions(name)))

    async def containers(request: Request) -> Response:
        names = sorted({model.name for model in models.all()})
        return JSONResponse(listing(request, names, lambda name: _container(name, models.versions(name))))

    async def labelled(request: Request) -> Response:
        name, label = request.path_params["model"], request.path_params["label"]
        if label not in ("latest", "default"):
            raise errors.asset_not_found("Model", name, label)
        return JSONResponse(_version(models.versions(name)[0]))

    return [
        arm.workspace_route("PUT", "/models/{model}/versions/{version}", put),
        arm.workspace_route("GET", "/models/{model}/versions/{version}", get),
        arm.workspace_route("DELETE", "/models/{model}/versions/{version}", delete),
        arm.workspace_route("GET", "/models/{model}/versions", versions),
        arm.workspace_route("GET", "/models/{model}/labels/{label}", labelled),
        arm.workspace_route("GET", "/models/{model}", container),
        arm.workspace_route("GET", "/models", containers),
    ]


def _is_in_view(model: ModelVersion, view: str) -> bool:
    return view == "All" or model.is_archived == (view == "ArchivedOnly")


def _version(model: ModelVersion) -> dict[str, Any]:
    given = model.properties
    return {
        "id": workspace_child("models", model.name, "versions", model.version),
        "name": model.version,
        "type": f"{_CONTAINER}/versions",
        "properties": {
            "description": given.get("description"),
            "tags": model.tags,
            "properties": given.get("properties") or {},
            "isArchived": model.is_archived,
            "isAnonymous": bool(given.get("isAnonymous")),
            "flavors": given.get("flavors") or {},
            "modelType": given.get("modelType") or "custom_model",
            "modelUri": model.uri,
            "jobName": model.job,
            "provisioningState": "Succeeded",
            "stage": given.get("stage"),
        },
        "systemData": system_data(model.created, model.modified),
    }


def _container(name: str, versions: list[ModelVersion]) -> dict[str, Any]:
    latest = versions[0].version
    return {
        "id": workspace_child("models", name),
        "name": name,
        "type": _CONTAINER,
        "properties": {
            "description": None,
            "tags": {},
            "properties": {},
            "isArchived": False,
            "latestVersion": latest,
            "nextVersion": str(int(latest) + 1) if latest.isdigit() else None,
            "provisioningState": "Succeeded",
        },
        "systemData": system_data(versions[-1].created, versions[0].modified),
    }
