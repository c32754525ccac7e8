"""SdkClient over the twins of registry, jobs and models."""

from __future__ import annotations

from collections.abc import Mapping

from shared.azureml.resources import BaseModel, JobRequest
from shared.azureml.sdk import SdkClient
from shared.errors import PermanentError
from shared.finetuning.parameters import ComponentInput
from tests.simulation.twins.jobs import Jobs
from tests.simulation.twins.models import Models
from tests.simulation.twins.refusals import translated
from tests.simulation.twins.registry import Registry, RegistryModel
from tests.simulation.twins.world import World


class SdkTwin(SdkClient):
    def __init__(self, world: World, registry: Registry, jobs: Jobs, models: Models) -> None:
        self._world = world
        self._models_registry = registry
        self._jobs = jobs
        self._models = models

    def newest_component(self, name: str) -> tuple[str, dict[str, ComponentInput]]:
        def look() -> tuple[str, dict[str, ComponentInput]]:
            with translated(f"read component {name}"):
                return self._models_registry.newest_component(name)

        return self._world.effect("sdk.newest_component", look, writes=False, of=name)

    def base_model(self, name: str, version: str) -> BaseModel:
        def look() -> RegistryModel:
            with translated(f"read base model {name}"):
                return self._models_registry.model(name, version)

        model = self._world.effect("sdk.base_model", look, writes=False, of=name)
        if model.archived:
            raise PermanentError("BaseModelArchived", f"base model {name} version {model.version} is archived")
        return BaseModel(model.id, name, model.version, dict(model.tags), {})

    def submit_job(self, request: JobRequest) -> None:
        def commit() -> None:
            try:
                with translated(f"submit job {request.name}"):
                    self._jobs.submit(request)
            except PermanentError as error:
                if "already exists" not in error.message:
                    raise

        self._world.effect("sdk.submit_job", commit, writes=True, of=request.name)

    def register_model(self, *, name: str, version: str, job: str, description: str, tags: Mapping[str, str]) -> str:
        def commit() -> str:
            with translated(f"register model {name} version {version}"):
                return self._models.register(name, version, job, description, tags)

        return self._world.effect("sdk.register_model", commit, writes=True, of=f"{name}:{version}")
