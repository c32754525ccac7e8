"""The twins in a calm world as the subject of the behaviour tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from shared.azureml.resources import JobRequest, OnlineEndpoint
from shared.config import Settings
from tests.contract.twins.subject import (
    COMPONENT_ID,
    MODEL_ID,
    SMALL_CHUNK,
    Asked,
    Goes,
    LostError,
    Received,
    SeenEvent,
)
from tests.simulation.twins.calm import Calm
from tests.simulation.twins.cloud import Clients, TwinCloud
from tests.simulation.twins.queues import LeaseLostError, Listener
from tests.simulation.twins.world import Fate, Happening, Outcome, Trouble

_STEP = 60.0
_STEPS = 2000

JOB_FATES = {
    Goes.WELL: Fate(seconds=3600),
    Goes.UNLOADABLE: Fate(seconds=3600),
    Goes.BADLY: Fate(Outcome.FAIL, 600, "UserError", "Dataset has 3 rows, at least 10 are needed."),
    Goes.ON: Fate(Outcome.HANG),
}
ANSWERS = {
    Asked.ANSWERS: Fate(seconds=0.1, text="you said so"),
    Asked.FAILS: Fate(Outcome.FAIL, 0.1, "400", status=424),
    Asked.TALKS_NONSENSE: Fate(Outcome.FAIL, 0.1),
    Asked.HANGS: Fate(Outcome.HANG),
}


class TwinSubject:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.world = Calm()
        self.cloud = TwinCloud(self.world, settings.workspace_id)
        clients = Clients(self.cloud, self.world)
        self.ledger = clients.ledger
        self.wake_ups = clients.wake_ups
        self.blobs = clients.blobs
        self.small_chunks = Clients(self.cloud, self.world, SMALL_CHUNK).blobs
        self.arm = clients.arm
        self.sdk = clients.sdk
        self.scoring = clients.scoring
        self.metrics = clients.metrics
        self.publisher = clients.publisher

    def now(self) -> datetime:
        return self.world.now()

    def until(self, look: Callable[[], Any]) -> Any:
        for _ in range(_STEPS):
            if value := look():
                return value
            self.world.advance(_STEP)
        raise AssertionError("it never came")

    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    def upload(self, container: str, name: str, content: bytes) -> None:
        self.cloud.blobs.upload(container, name, content)

    def remove(self, container: str, name: str) -> None:
        self.cloud.blobs.delete(container, name)

    def receive(self, queue: str, lease: float = 60) -> list[Received]:
        return [Received(m.body, m.dequeue_count, m) for m in self.cloud.queues.receive(queue, 32, lease)]

    def extend(self, message: Received, seconds: float) -> Received:
        try:
            changed = self.cloud.queues.extend(message.raw, seconds)
        except LeaseLostError as error:
            raise LostError from error
        return Received(changed.body, changed.dequeue_count, changed)

    def finish(self, message: Received) -> None:
        try:
            self.cloud.queues.delete(message.raw)
        except LeaseLostError as error:
            raise LostError from error

    def put_message(self, queue: str, body: bytes) -> None:
        self.cloud.queues.send(queue, body)

    def run_function(self, queue: str, function: Callable[[bytes], None], until: Callable[[], bool]) -> None:
        listener = Listener(self.cloud.queues, queue)

        def look() -> bool:
            for message in listener.take(16):
                try:
                    function(message.body)
                except Exception:  # noqa: BLE001 - whatever a function raises, the host takes for a failure
                    listener.failed(message)
                else:
                    listener.succeeded(message)
            return until()

        self.until(look)

    def job(self, name: str, goes: Goes = Goes.WELL, **changes: Any) -> JobRequest:
        if name not in self.cloud.jobs.all:
            self.world.fates[Happening.JOB] = [JOB_FATES[goes]]
        values: dict[str, Any] = {
            "name": name,
            "display_name": f"display {name}",
            "experiment_name": "twins",
            "component_id": COMPONENT_ID,
            "model_id": MODEL_ID,
            "files": {"train_file_path": f"https://twin.blob.core.windows.net/data/{name}.jsonl"},
            "inputs": {"num_train_epochs": "2", "learning_rate": "5e-06"},
            "tags": {"droptune-tuning": name},
        }
        return JobRequest(**{**values, **changes})

    def events(self) -> Sequence[SeenEvent]:
        published = [
            SeenEvent(event.id, event.source or "", event.type, event.subject or "", event.data or {})
            for event in self.cloud.topic.published
        ]
        return [SeenEvent(e.id, e.topic, e.type, e.subject, e.data) for e in self.world.events] + published

    def take_name(self, endpoint: str) -> None:
        self.cloud.endpoints.taken_elsewhere.add(endpoint)

    def expect_deployment(self, goes: Goes) -> None:
        failing = Fate(Outcome.FAIL, 300, "ResourceNotReady", "User container has crashed or terminated.")
        usual = Fate(seconds=900)
        fate = failing if goes is Goes.UNLOADABLE else usual
        for what in (Happening.CREATE_DEPLOYMENT, Happening.UPDATE_DEPLOYMENT):
            self.world.fates[what] = [fate]

    def ask(self, endpoint: OnlineEndpoint, key: str, deployment: str, question: Asked, timeout: float = 20) -> Any:
        self.world.fates[Happening.SCORE] = [ANSWERS[question]]
        messages = [{"role": "user", "content": str(question)}]
        return self.scoring.score(endpoint.scoring_uri, key, deployment, messages, timeout)

    @contextmanager
    def losing_an_answer(self) -> Iterator[None]:
        self.world.loses_answer = True
        yield
        assert not self.world.loses_answer, "nothing was written"

    def monitor(self, *, fail: bool = False, omit_minutes: int = 0, lag_minutes: int = 0) -> None:
        self.world.monitor = Trouble(fail, omit_minutes, lag_minutes)
