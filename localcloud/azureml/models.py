"""Registered models of the workspace: their path is immutable, everything else can be updated."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.config import WORKSPACE_ID
from localcloud.store import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azureml.clock import Clock
    from localcloud.azureml.jobs import Jobs
    from localcloud.events import EventSink
    from localcloud.store import Store

log = logging.getLogger(__name__)

_JOB_OUTPUT = re.compile(r"^azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths/?)?/?$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")


@dataclass(frozen=True)
class ModelVersion:
    """`folder` is where the model lies on this machine; None when the emulator does not have it."""

    name: str
    version: str
    properties: dict[str, Any]
    created: float
    modified: float
    job: str | None
    folder: str | None

    @property
    def uri(self) -> str:
        return str(self.properties.get("modelUri") or "")

    @property
    def tags(self) -> dict[str, str]:
        return self.properties.get("tags") or {}

    @property
    def is_archived(self) -> bool:
        return bool(self.properties.get("isArchived"))


class Models:
    def __init__(self, store: Store, clock: Clock, jobs: Jobs, events: EventSink) -> None:
        self._models = Collection(store, "models", ModelVersion)
        self._clock = clock
        self._jobs = jobs
        self._events = events

    def get(self, name: str, version: str) -> ModelVersion:
        """Raises UserError 404."""
        model = self._models.get(f"{name}/{version}")
        if model is None:
            raise errors.asset_not_found("Model", name, version)
        return model

    def versions(self, name: str) -> list[ModelVersion]:
        """Newest first. Raises UserError 404 when the model has none."""
        found = self._models.all(f"{name}/")
        if not found:
            raise errors.asset_not_found("Model", name, None)
        return sorted(found, key=lambda model: model.created, reverse=True)

    def all(self) -> list[ModelVersion]:
        return self._models.all()

    def create_or_update(self, name: str, version: str, properties: Mapping[str, Any]) -> tuple[ModelVersion, bool]:
        """Also says whether it is new. Raises UserError."""
        existing = self._models.get(f"{name}/{version}")
        if existing is not None:
            return self._update(existing, properties), False
        if not _NAME.match(name):
            raise errors.invalid_name("Model", name, "'-', '_' and '.'")
        uri = str(properties.get("modelUri") or "")
        if not uri:
            raise errors.invalid_argument("modelUri is required.")
        job, folder = self._source(uri)
        now = self._clock.now()
        model = ModelVersion(name, version, dict(properties), now, now, job, folder)
        self._models.put(f"{name}/{version}", model)
        log.info("model %s:%s: registered", name, version)
        self._publish(model)
        return model, True

    def delete(self, name: str, version: str) -> bool:
        existed = self._models.get(f"{name}/{version}") is not None
        self._models.delete(f"{name}/{version}")
        return existed

    def _update(self, existing: ModelVersion, properties: Mapping[str, Any]) -> ModelVersion:
        if str(properties.get("modelUri") or existing.uri) != existing.uri:
            raise errors.asset_path_immutable()
        given = {key: value for key, value in properties.items() if value is not None}
        updated = replace(existing, properties={**existing.properties, **given}, modified=self._clock.now())
        self._models.put(f"{existing.name}/{existing.version}", updated)
        return updated

    def _source(self, uri: str) -> tuple[str | None, str | None]:
        """The job that a model comes from, and its folder."""
        match = _JOB_OUTPUT.match(uri)
        if match is None:
            return None, None
        job = self._jobs.find(match["job"])
        if job is None or job.status != "Completed":
            state = "does not exist" if job is None else f"is {job.status}"
            raise errors.invalid_argument(f"The path {uri} is not available: the job {state}.")
        folder = self._jobs.output_folder(job, match["output"])
        if folder is None:
            raise errors.invalid_argument(f"The path {uri} is not available: the job has no such output.")
        return job.name, str(folder)

    def _publish(self, model: ModelVersion) -> None:
        """The field names of the documentation's sample; the specification writes them in camel case."""
        self._events.publish(
            WORKSPACE_ID,
            "Microsoft.MachineLearningServices.ModelRegistered",
            f"models/{model.name}:{model.version}",
            {
                "ModelName": model.name,
                "ModelVersion": model.version,
                "ModelTags": model.tags,
                "ModelProperties": model.properties.get("properties") or {},
            },
        )
