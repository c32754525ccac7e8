"""What Azure Machine Learning tells us, in frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

SETTLED_STATES = frozenset({"Succeeded", "Failed", "Canceled"})
"""Provisioning states in which nothing is going on."""


@dataclass(frozen=True)
class Job:
    """`status` is Azure ML's: NotStarted, Queued, Preparing, Running, Finalizing, Completed, Failed, Canceled …"""

    name: str
    status: str
    tags: Mapping[str, str]
    error: str = ""
    created_at: datetime | None = None

    @property
    def ended(self) -> bool:
        return self.status in ("Completed", "Failed", "Canceled")


@dataclass(frozen=True)
class OnlineEndpoint:
    id: str
    name: str
    provisioning_state: str
    scoring_uri: str
    traffic: Mapping[str, int]
    tags: Mapping[str, str]
    description: str
    auth_mode: str
    location: str
    created_at: datetime | None
    last_modified_at: datetime | None
    operation_url: str = ""

    @property
    def busy(self) -> bool:
        return self.provisioning_state not in SETTLED_STATES


@dataclass(frozen=True)
class OnlineDeployment:
    name: str
    endpoint: str
    provisioning_state: str
    model: str
    instance_type: str
    instance_count: int
    tags: Mapping[str, str]
    created_at: datetime | None
    operation_url: str = ""

    @property
    def busy(self) -> bool:
        return self.provisioning_state not in SETTLED_STATES


@dataclass(frozen=True)
class MetricPoint:
    """One value that a training logged; `step` counts its optimisation steps."""

    step: int
    value: float
    at: datetime


@dataclass(frozen=True)
class BaseModel:
    id: str
    name: str
    version: str
    tags: Mapping[str, str]
    properties: Mapping[str, str]


@dataclass(frozen=True)
class DeploymentRequest:
    """What a new deployment is made of. Times in seconds."""

    endpoint: str
    name: str
    model_id: str
    instance_type: str
    instance_count: int
    request_timeout: float
    liveness_initial_delay: float
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JobRequest:
    """One fine-tune pipeline job. `inputs` are literals of the component; `files` its uri_file inputs (https URLs)."""

    name: str
    display_name: str
    experiment_name: str
    component_id: str
    model_id: str
    files: Mapping[str, str]
    inputs: Mapping[str, str]
    tags: Mapping[str, str]
