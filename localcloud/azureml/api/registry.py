"""Registry discovery and its data plane (components and models), as azure-ai-ml reads them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.azureml.api.wire import CREATED, PROVIDER, page, system_data, top
from localcloud.azureml.registry import AssetId
from localcloud.config import LOCATION, REGISTRY, TENANT_ID
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.registry import Component, ComponentInput, Registry
    from localcloud.config import RegistryModel

_SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
_GROUP = "registry-builtin-prod-eastus-01"
_PATH = (
    "/mferp/managementfrontend/subscriptions/{subscription}/resourceGroups/{group}"
    + PROVIDER
    + "/registries/{registry}"
)
_LABELS = ("latest", "default")


def routes(arm: Arm, registry: Registry) -> list[Route]:
    async def discovery(request: Request) -> Response:
        registry.require(request.path_params["registry"])
        return JSONResponse(_discovery(arm))

    async def component_versions(request: Request) -> Response:
        registry.require(request.path_params["registry"])
        found = registry.components(request.path_params["name"])
        return JSONResponse(page([_component(component) for component in found[: top(request)]]))

    async def component(request: Request) -> Response:
        registry.require(request.path_params["registry"])
        name, version = request.path_params["name"], request.path_params["version"]
        found = (
            registry.components(name)[0]
            if _is_label(request) and version in _LABELS
            else registry.component(name, version)
        )
        return JSONResponse(_component(found))

    async def model_versions(request: Request) -> Response:
        registry.require(request.path_params["registry"])
        view = request.query_params.get("listViewType", "ActiveOnly")
        found = [model for model in registry.models(request.path_params["name"]) if _is_in_view(model, view)]
        return JSONResponse(page([body(model) for model in found[: top(request)]]))

    async def model(request: Request) -> Response:
        registry.require(request.path_params["registry"])
        name, version = request.path_params["name"], request.path_params["version"]
        if not (_is_label(request) and version in _LABELS):
            return JSONResponse(body(registry.model(name, version)))
        active = [found for found in registry.models(name) if not registry.is_archived(found)]
        if not active:
            raise errors.asset_not_found("Model", name, version, REGISTRY)
        return JSONResponse(body(active[0]))

    def body(model: RegistryModel) -> dict[str, Any]:
        return _model(model, archived=registry.is_archived(model))

    def _is_in_view(model: RegistryModel, view: str) -> bool:
        return view == "All" or registry.is_archived(model) == (view == "ArchivedOnly")

    return [
        arm.route("GET", "/registrymanagement/v1.0/registries/{registry}/discovery", discovery),
        arm.route("GET", _PATH + "/components/{name}/versions", component_versions),
        arm.route("GET", _PATH + "/components/{name}/versions/{version}", component),
        arm.route("GET", _PATH + "/components/{name}/labels/{version}", component),
        arm.route("GET", _PATH + "/models/{name}/versions", model_versions),
        arm.route("GET", _PATH + "/models/{name}/versions/{version}", model),
        arm.route("GET", _PATH + "/models/{name}/labels/{version}", model),
    ]


def _is_label(request: Request) -> bool:
    return "/labels/" in request.url.path.lower()


def _discovery(arm: Arm) -> dict[str, Any]:
    """The SDK glues `mferp/...` to primaryRegionResourceProviderUri, which therefore ends with a slash."""
    return {
        "registryId": str(uuid.uuid5(uuid.NAMESPACE_URL, REGISTRY)),
        "registryName": REGISTRY,
        "tenantId": TENANT_ID,
        "primaryRegion": LOCATION,
        "regions": [LOCATION],
        "subscriptionId": _SUBSCRIPTION,
        "resourceGroup": _GROUP,
        "workspaceName": None,
        "primaryRegionResourceProviderUri": f"{arm.base_url}/",
        "registryFqdns": {LOCATION: {"uri": arm.base_url}},
    }


def _component(component: Component) -> dict[str, Any]:
    asset = AssetId(REGISTRY, "components", component.name, component.version)
    return {
        "id": str(asset),
        "name": component.version,
        "properties": {
            "description": "Pipeline component to fine-tune a model for chat completion.",
            "tags": {},
            "properties": {},
            "isArchived": False,
            "isAnonymous": False,
            "componentSpec": {
                "$schema": "https://azuremlschemas.azureedge.net/development/pipelineComponent.schema.json",
                "name": component.name,
                "version": component.version,
                "display_name": "Chat Completion Pipeline",
                "is_deterministic": "False",
                "type": "pipeline",
                "description": "Pipeline component to fine-tune a model for chat completion.",
                "inputs": {name: _input(spec) for name, spec in component.inputs.items()},
                "outputs": component.outputs,
            },
        },
        "systemData": system_data(CREATED),
    }


def _input(spec: ComponentInput) -> dict[str, Any]:
    """The service writes truth values and defaults as strings."""
    fields = {
        "type": spec.type,
        "optional": str(spec.optional),
        "default": spec.default,
        "enum": list(spec.enum) or None,
        "min": None if spec.min is None else f"{spec.min:g}",
        "mode": spec.mode,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _model(model: RegistryModel, *, archived: bool) -> dict[str, Any]:
    asset = AssetId(REGISTRY, "models", model.name, model.version)
    return {
        "id": str(asset),
        "name": model.version,
        "type": "Microsoft.MachineLearningServices/registries/models/versions",
        "properties": {
            "description": model.name,
            "tags": model.tags,
            "properties": {},
            "isArchived": archived,
            "isAnonymous": False,
            "flavors": {},
            "modelType": "mlflow_model",
            "modelUri": f"{asset}/mlflow_model_folder",
            "provisioningState": "Succeeded",
            "stage": "Archived" if archived else "Production",
        },
        "systemData": system_data(CREATED),
    }
