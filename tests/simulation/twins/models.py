"""Registered models of the workspace: where a version comes from can not be changed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.simulation.twins.jobs import Jobs
from tests.simulation.twins.refusals import invalid
from tests.simulation.twins.world import Event, World

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass
class ModelVersion:
    """`job` is what trained it. `requests` counts registrations, the refused ones included."""

    id: str
    name: str
    version: str
    job: str
    description: str
    tags: Mapping[str, str]
    created_at: datetime
    requests: int = 1


@dataclass
class Models:
    world: World
    workspace_id: str
    jobs: Jobs
    all: dict[str, ModelVersion] = field(default_factory=dict)
    """By ARM id."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def register(self, name: str, version: str, job: str, description: str, tags: Mapping[str, str]) -> str:
        """The model's id. Raises RefusedError."""
        identity = f"{self.workspace_id}/models/{name}/versions/{version}"
        existing = self.all.get(identity)
        if existing is not None:
            existing.requests += 1
            if existing.job != job:
                raise invalid("Asset paths cannot be updated.")
            existing.description, existing.tags = description, dict(tags)
            return identity
        if not _NAME.fullmatch(name):
            raise invalid(f"The model name {name} is invalid.")
        source = self.jobs.all.get(job)
        if source is None or source.status != "Completed":
            state = "does not exist" if source is None else f"is {source.status}"
            raise invalid(f"The path azureml://jobs/{job}/outputs/trained_model is not available: the job {state}.")
        now = self.world.now()
        self.all[identity] = ModelVersion(identity, name, version, job, description, dict(tags), now)
        data = {"ModelName": name, "ModelVersion": version, "ModelTags": dict(tags), "ModelProperties": {}}
        kind = "Microsoft.MachineLearningServices.ModelRegistered"
        number = next(self._numbers)
        self.world.emit(Event(f"model-{number}", self.workspace_id, kind, f"models/{name}:{version}", data, now))
        return identity

    def exists(self, identity: str) -> bool:
        return identity in self.all
