"""What the behaviour tests are run on: the twins, or the real parts, with the same hands for users and operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from azure.core.messaging import CloudEvent

from shared.azureml.arm import ArmClient
from shared.azureml.resources import DeploymentRequest, JobRequest, OnlineDeployment, OnlineEndpoint
from shared.azureml.sdk import SdkClient
from shared.blobs import Blobs
from shared.config import Settings
from shared.errors import PermanentError
from shared.idle.metrics import RequestMetrics
from shared.lifecycle.ledger import Ledger
from shared.lifecycle.queues import WakeUps
from shared.serving.scoring import ScoringClient

COMPONENT_ID = "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"
MODEL_ID = "azureml://registries/azureml/models/Phi-3-mini-4k-instruct/versions/13"
SMALL_CHUNK = 1024
"""Bytes of a chunk of Subject.small_chunks."""


class Goes(StrEnum):
    """How a job goes."""

    WELL = "fine"
    BADLY = "bad data"
    ON = "wait"
    """Until it is canceled."""
    UNLOADABLE = "unloadable"
    """Well, but the deployments of its model fail."""


class Asked(StrEnum):
    """What a model does with a question."""

    ANSWERS = "How are you?"
    FAILS = "fail"
    TALKS_NONSENSE = "garbage"
    HANGS = "sleep"


class LostError(Exception):
    """The receipt of a queue message is an old one."""


@dataclass(frozen=True)
class Received:
    """A queue message; `raw` is the subject's own. `body` is decoded."""

    body: bytes
    dequeue_count: int
    raw: Any


@dataclass(frozen=True)
class SeenEvent:
    id: str
    topic: str
    type: str
    subject: str
    data: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The type without its prefix; of RunStatusChanged the status."""
        return str(self.data.get("runStatus") or self.type.rpartition(".")[2])


class Publisher(Protocol):
    def send(self, events: list[CloudEvent[dict[str, Any]]], /) -> None: ...


class Subject(Protocol):
    """All tests share one; each uses names of its own, which `fresh` makes."""

    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def wake_ups(self) -> WakeUps: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def small_chunks(self) -> Blobs: ...
    @property
    def arm(self) -> ArmClient: ...
    @property
    def sdk(self) -> SdkClient: ...
    @property
    def scoring(self) -> ScoringClient: ...
    @property
    def metrics(self) -> RequestMetrics: ...
    @property
    def publisher(self) -> Publisher: ...

    def now(self) -> datetime:
        """Of storage and of Monitor."""
        ...

    def until(self, look: Callable[[], Any]) -> Any:
        """Let time go by until it is true; its value then. AssertionError if it never is."""
        ...

    def wait(self, seconds: float) -> None:
        """As seen by storage."""
        ...

    def upload(self, container: str, name: str, content: bytes) -> None: ...

    def remove(self, container: str, name: str) -> None: ...

    def receive(self, queue: str, lease: float = 60) -> list[Received]: ...

    def extend(self, message: Received, seconds: float) -> Received:
        """Raises LostError."""
        ...

    def finish(self, message: Received) -> None:
        """Delete it. Raises LostError."""
        ...

    def put_message(self, queue: str, body: bytes) -> None: ...

    def run_function(self, queue: str, function: Callable[[bytes], None], until: Callable[[], bool]) -> None:
        """As the Functions host does with a queue trigger; what the function raises is a failure."""
        ...

    def job(self, name: str, goes: Goes = Goes.WELL, **changes: Any) -> JobRequest:
        """A request whose job will go like that, if it is the first of its name."""
        ...

    def events(self) -> Sequence[SeenEvent]:
        """All so far."""
        ...

    def take_name(self, endpoint: str) -> None:
        """Another workspace of the region has an endpoint of this name."""
        ...

    def expect_deployment(self, goes: Goes) -> None:
        """Of a model of a job that went like that."""
        ...

    def ask(self, endpoint: OnlineEndpoint, key: str, deployment: str, question: Asked, timeout: float = 20) -> Any:
        """Of the scoring client."""
        ...

    def losing_an_answer(self) -> AbstractContextManager[None]:
        """In here the first write is done, and then the connection breaks before its answer."""
        ...

    def monitor(self, *, fail: bool = False, omit_minutes: int = 0, lag_minutes: int = 0) -> None: ...


def ended(cloud: Subject, job: str) -> str:
    """The status of a job once it is over."""

    def look() -> str:
        found = cloud.arm.get_job(job)
        return found.status if found and found.ended else ""

    return str(cloud.until(look))


def running(cloud: Subject, job: str) -> None:
    cloud.until(lambda: any(e.subject.endswith(f"/{job}") and e.kind == "Running" for e in cloud.events()))


def settled(cloud: Subject, endpoint: str) -> OnlineEndpoint:
    """The endpoint once nothing is going on with it or its deployments."""

    def look() -> OnlineEndpoint | None:
        found = cloud.arm.get_endpoint(endpoint)
        busy = found is None or found.busy or any(item.busy for item in cloud.arm.list_deployments(endpoint))
        return None if busy else found

    found: OnlineEndpoint = cloud.until(look)
    return found


def gone(cloud: Subject, endpoint: str) -> None:
    cloud.until(lambda: cloud.arm.get_endpoint(endpoint) is None)


def once_its_name_is_free(cloud: Subject, act: Callable[[], None]) -> None:
    """Do it when the name of a deleted endpoint is free again, which it is not at once."""

    def tried() -> bool:
        try:
            act()
        except PermanentError as error:
            if error.code != "NotFound":
                raise
            return False
        return True

    assert not tried(), "the name was free at once"
    cloud.until(tried)


def trained(cloud: Subject, name: str, goes: Goes = Goes.WELL) -> str:
    """The id of a registered model of a job that went like that."""
    cloud.sdk.submit_job(cloud.job(name, goes))
    assert ended(cloud, name) == "Completed"
    return cloud.sdk.register_model(name=name, version="1", job=name, description="d", tags={})


def deployment(endpoint: str, name: str, model: str, **changes: Any) -> DeploymentRequest:
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "name": name,
        "model_id": model,
        "instance_type": "Standard_NC24ads_A100_v4",
        "instance_count": 2,
        "request_timeout": 90,
        "liveness_initial_delay": 10,
        "tags": {"of": name},
    }
    return DeploymentRequest(**{**values, **changes})


def deployed(cloud: Subject, endpoint: str, name: str, model: str, goes: Goes = Goes.WELL) -> OnlineDeployment:
    """A deployment once its creation is over."""
    cloud.expect_deployment(goes)
    cloud.arm.create_deployment(deployment(endpoint, name, model))
    settled(cloud, endpoint)
    found = cloud.arm.get_deployment(endpoint, name)
    assert found is not None
    return found
