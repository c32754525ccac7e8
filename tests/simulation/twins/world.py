"""What the twins ask the world around them: the time, their fate, and whether a call comes through at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from azure.core.exceptions import ServiceResponseError

from shared.errors import TransientError

T = TypeVar("T")


class Happening(StrEnum):
    """What a fate is drawn for."""

    JOB = "job"
    CANCEL = "cancel"
    """Of a job that runs: from CancelRequested to Canceled."""
    COPY = "copy"
    """A server-side copy of a blob."""
    CREATE_ENDPOINT = "create endpoint"
    UPDATE_ENDPOINT = "update endpoint"
    DELETE_ENDPOINT = "delete endpoint"
    CREATE_DEPLOYMENT = "create deployment"
    UPDATE_DEPLOYMENT = "update deployment"
    DELETE_DEPLOYMENT = "delete deployment"
    FORGET_NAME = "forget name"
    """How long the creation of an endpoint under the name of a deleted one is refused with NotFound."""
    SCORE = "score"
    """One request that reaches a deployment's model."""


class Outcome(StrEnum):
    SUCCEED = "succeed"
    FAIL = "fail"
    HANG = "hang"
    """Fails after its seconds, as if the service gave up; without any it never ends by itself."""


@dataclass(frozen=True)
class Step:
    """A child run of a job; `share` of the job's seconds is what it takes."""

    name: str
    share: float


DEFAULT_STEPS = (Step("chat_completion_datapreprocess", 0.1), Step("chat_completion_finetune", 0.8))


@dataclass(frozen=True)
class Fate:
    """How something goes. 0 `seconds`: it is done before the call returns that began it (or, if it hangs, never).

    `code` and `reason` are Azure's words for a failure. Of a score, `seconds` is the latency, `status` the HTTP
    status (0: none came), `text` the generated text (empty: one that fits the question); an answer with status 200
    that fails is garbage. A job that
    fails does so in the last of its `steps`; one that hangs has begun that one.
    """

    outcome: Outcome = Outcome.SUCCEED
    seconds: float = 0.0
    code: str = ""
    reason: str = ""
    steps: tuple[Step, ...] = DEFAULT_STEPS
    status: int = 200
    text: str = ""
    metrics: Mapping[str, float] = field(default_factory=lambda: {"loss": 0.6, "eval_loss": 0.5})
    """Of a job."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with Monitor: it refuses everything, lacks the newest minutes, hears of requests late, or leaves
    endpoints (by name) out of its answer."""

    fail: bool = False
    omit_minutes: int = 0
    lag_minutes: int = 0
    unmentioned: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Event:
    """What Event Grid delivers: `topic` is the ARM id of the workspace or of the storage account.

    `type` is Microsoft.Storage.BlobCreated, Microsoft.Storage.BlobDeleted or one of
    Microsoft.MachineLearningServices.{RunCompleted,RunStatusChanged,ModelRegistered}; `id` is unique.
    """

    id: str
    topic: str
    type: str
    subject: str
    data: Mapping[str, Any]
    at: datetime


SENT_AGAIN = frozenset(
    {
        "ledger.put",
        "wake_ups.tuning",
        "wake_ups.smoke_test",
        "wake_ups.version",
        "blobs.begin_copy",
        "blobs.write_snapshot",
        "blobs.write_report",
        "sdk.submit_job",
        "sdk.register_model",
        "arm.create_endpoint",
        "arm.set_traffic",
        "arm.delete_endpoint",
        "arm.create_deployment",
        "arm.delete_deployment",
    }
)
"""Writes that the SDKs send again by themselves when no answer came; of rows only those that replace one."""


def lose_answer(operation: str, commit: Callable[[], T]) -> T:
    """What the app sees when a write was done and the connection broke before the answer.

    Most SDKs send it again: the caller meets what the service makes of the second one (RaceLostError for a row that
    it replaced itself, two messages, 409 for the operation that it began itself). The others raise. Held against the
    real SDKs by tests/contract/twins/test_lost_answers.py.
    """
    commit()
    if operation in SENT_AGAIN:
        return commit()
    if operation == "publisher.send":
        raise ServiceResponseError("Connection aborted.")
    raise TransientError(f"{operation}: ServiceResponseError")


class World(Protocol):
    def now(self) -> datetime: ...

    def effect(self, operation: str, commit: Callable[[], T], *, writes: bool, of: str = "") -> T:
        """Every public method of a client twin passes through here, `operation` as in "ledger.put", `of` its object.

        The world runs `commit` and returns its result; or raises a fault without having run it; or loses the answer
        (`lose_answer`); or dies (a BaseException) before or after. `commit` may be run twice, as lose_answer does,
        and raises what the service refuses. What was committed lasts, whatever is raised then.
        """
        ...

    def draw(self, what: Happening, of: str) -> Fate: ...

    def trouble(self) -> Trouble:
        """Monitor's, at this moment."""
        ...

    def at(self, when: datetime, what: str, happen: Callable[[], None]) -> None:
        """Something that the cloud does by itself, later. `happen` may find that it is no longer wanted."""
        ...

    def emit(self, event: Event) -> None:
        """The cloud has an event; the world delivers, loses, doubles, delays it."""
        ...
