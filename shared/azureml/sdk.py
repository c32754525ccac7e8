"""Registry, jobs and models through azure-ai-ml, which is imported at first use (1 s, 100 MiB)."""

from __future__ import annotations

import functools
import io
import json
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.azureml.resources import BaseModel, JobRequest
from shared.azureml.translate import translated
from shared.errors import PermanentError
from shared.finetuning.parameters import ComponentInput
from shared.names import TRAINED_MODEL_OUTPUT, digest

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.config import Settings

_construction = threading.Lock()


class SdkClient:
    """Raises TransientError, PermanentError or DroptuneError."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        self._settings = settings
        self._credential = credential

    def newest_component(self, name: str) -> tuple[str, dict[str, ComponentInput]]:
        """The registry id of a component's newest version, and its declared inputs."""
        with translated(f"read component {name}"):
            component = self._registry.components.get(name=name, label="latest")
        return component.id, {key: _component_input(key, value) for key, value in component.inputs.items()}

    def base_model(self, name: str, version: str) -> BaseModel:
        """`version` empty: the newest. Raises PermanentError for a model that the registry does not have."""
        with translated(f"read base model {name}"):
            model = (
                self._registry.models.get(name, version=version)
                if version
                else self._registry.models.get(name, label="latest")
            )
        if str(getattr(model, "stage", "") or "").lower() == "archived":
            raise PermanentError("BaseModelArchived", f"base model {name} version {model.version} is archived")
        properties = {**(getattr(model, "system_metadata", None) or {}), **(model.properties or {})}
        return BaseModel(
            id=model.id,
            name=name,
            version=str(model.version),
            tags={str(k): str(v) for k, v in (model.tags or {}).items()},
            properties={str(k): str(v) for k, v in properties.items()},
        )

    def submit_job(self, request: JobRequest) -> None:
        """Submit a pipeline job under its deterministic name; one that exists already is the same job.

        The job is loaded from a specification rather than built with `@pipeline`, whose builder stack is a
        module global and mixes up the inputs of jobs that are built on two threads.
        """
        from azure.ai.ml import load_job

        job = load_job(io.StringIO(json.dumps(pipeline_specification(request))))
        try:
            with translated(f"submit job {request.name}"):
                self._workspace.jobs.create_or_update(job, skip_validation=True)
        except PermanentError as error:
            if "already exists" not in error.message:
                raise

    def register_model(self, *, name: str, version: str, job: str, description: str, tags: Mapping[str, str]) -> str:
        """Register the trained model of a job as an MLflow model; doing it twice is doing it once. Returns its id."""
        from azure.ai.ml.constants import AssetTypes
        from azure.ai.ml.entities import Model

        model = Model(
            path=f"azureml://jobs/{job}/outputs/{TRAINED_MODEL_OUTPUT}",
            type=AssetTypes.MLFLOW_MODEL,
            name=name,
            version=version,
            description=description,
            tags=dict(tags),
        )
        with translated(f"register model {name} version {version}"):
            registered = self._workspace.models.create_or_update(model)
        return str(registered.id)

    @functools.cached_property
    def _workspace(self) -> Any:
        return self._client(
            subscription_id=self._settings.azure_subscription_id,
            resource_group_name=self._settings.azure_resource_group,
            workspace_name=self._settings.azureml_workspace,
        )

    @functools.cached_property
    def _registry(self) -> Any:
        with translated(f"discover registry {self._settings.registry}"):
            return self._client(registry_name=self._settings.registry)

    def _client(self, **scope: str) -> Any:
        from azure.ai.ml import MLClient

        # azure-ai-ml writes AZUREML_CURRENT_CLOUD to the environment and keeps its own stderr handlers.
        with _construction:
            client = MLClient(
                self._credential,
                **scope,
                **_cloud(self._settings),
                **self._settings.timeouts.options(),
                retry_total=2,
                retry_status=0,
                show_progress=False,
            )
            logger = logging.getLogger("azure.ai.ml")
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.WARNING)
            return client


def pipeline_specification(request: JobRequest) -> dict[str, Any]:
    """The pipeline job as azure-ai-ml's YAML schema has it: one node, the component of the registry."""
    inputs: dict[str, Any] = dict(request.inputs)
    inputs["mlflow_model_path"] = {"type": "mlflow_model", "path": request.model_id}
    for name, url in request.files.items():
        inputs[name] = {"type": "uri_file", "path": url}
    return {
        "type": "pipeline",
        "name": request.name,
        "display_name": request.display_name,
        "experiment_name": request.experiment_name,
        "tags": dict(request.tags),
        "settings": {"force_rerun": True, "continue_on_step_failure": False},
        "outputs": {TRAINED_MODEL_OUTPUT: {"type": "mlflow_model", "mode": "rw_mount"}},
        "jobs": {
            "finetune": {
                "type": "pipeline",
                "component": request.component_id,
                "inputs": inputs,
                "outputs": {"mlflow_model_folder": "${{parent.outputs." + TRAINED_MODEL_OUTPUT + "}}"},
            }
        },
    }


def _component_input(name: str, value: Any) -> ComponentInput:
    return ComponentInput(
        name=name,
        type=str(value.type),
        optional=bool(value.optional),
        default=None if value.default is None else str(value.default),
        enum=tuple(str(item) for item in value.enum) if value.enum else None,
        minimum=None if value.min is None else float(value.min),
        maximum=None if value.max is None else float(value.max),
    )


def _cloud(settings: Settings) -> dict[str, Any]:
    """The keyword arguments that point azure-ai-ml at another cloud; none for the public one."""
    if settings.is_public_cloud:
        return {}
    base = settings.arm_endpoint.rstrip("/") + "/"
    return {
        # azure-ai-ml remembers clouds by name for the life of the process.
        "cloud": f"Cloud{digest(base, length=8)}",
        "cloud_metadata": {
            "azure_portal": "https://portal.azure.com/",
            "resource_manager": base,
            "active_directory": f"{base}login/",
            "aml_resource_id": settings.azureml_audience.rstrip("/") + "/",
            "storage_endpoint": "core.windows.net",
            "registry_discovery_endpoint": settings.registry_discovery_endpoint or base,
        },
    }
