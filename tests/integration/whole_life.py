"""Tunings from drop to live through the app's own functions, in this process, against Azurite and the emulators.

A function gets its messages as soon as they are sent, and finds at its next look that what it began has ended: the
emulator's clock is moved meanwhile. So every life takes the same steps, however busy the machine is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import azure.functions as func

from handlers.dataset_settled import dataset_settled
from handlers.dataset_uploaded import dataset_uploaded
from handlers.deployment_progress import deployment_progress
from handlers.job_completed import job_completed
from handlers.smoke_test import smoke_test
from shared import names
from shared.lifecycle.job_events import RUN_COMPLETED, RUN_STATUS_CHANGED
from shared.lifecycle.tuning import State, Tuning
from shared.services import Services
from tests.contract.twins.real_subject import RealSubject

_QUEUES: dict[str, tuple[str, Any]] = {
    names.DATASET_SETTLED_QUEUE: ("dataset_settled", dataset_settled),
    names.DEPLOYMENT_PROGRESS_QUEUE: ("deployment_progress", deployment_progress),
    names.SMOKE_TEST_QUEUE: ("smoke_test", smoke_test),
}
_MAX_ROUNDS = 100

Running = Callable[[str], AbstractContextManager[None]]
"""Wraps each call of a function, whose name it is given."""


def at_once(subject: RealSubject) -> Services:
    """The app's own services, whose messages come without delay."""
    return Services(replace(subject.settings, settle_seconds=0, poll_seconds=0, poll_max_seconds=0))


@dataclass
class Life:
    subject: RealSubject
    services: Services
    running: Running = field(default=lambda _: nullcontext())

    def drop(self, dataset: str, version: str = "v1", *, until: State = State.LIVE) -> Tuning:
        """Upload a version, and let the app do everything up to a state."""
        with patch("shared.services.services", lambda: self.services):
            self._upload(dataset, version)
            for _ in range(_MAX_ROUNDS):
                tuning = self.tuning(dataset, version)
                if tuning is not None and (tuning.state is until or tuning.ended):
                    return tuning
                if tuning is not None and tuning.state is State.TRAINING:
                    self._end_of(tuning.job)
                self._read_queues()
        raise AssertionError(f"{dataset} never became {until}: {self.tuning(dataset, version)}")

    def tuning(self, dataset: str, version: str) -> Tuning | None:
        rows = (row.value for row in self.subject.ledger.tunings())
        return next((row for row in rows if (row.dataset, row.version) == (dataset, version)), None)

    def _upload(self, dataset: str, version: str) -> None:
        blobs = []
        for split, count in (("train_sft", 20), ("test_sft", 5)):
            name = names.uploaded_blob(dataset, version, f"{split}.jsonl")
            self.subject.upload(names.DATASETS, name, chats(count, split))
            blobs.append(name)
        for name in blobs:
            client = self.subject._blob_service.get_blob_client(names.DATASETS, name)
            with self.running("dataset_uploaded"):
                _call(dataset_uploaded, client)

    def _end_of(self, job: str) -> None:
        """The job ends; its last event and that of a step come."""
        self.subject.until(lambda: self.subject.control("GET", f"/jobs/{job}")["status"] == "Completed")
        step = {"runId": f"{job}-step", "runStatus": "Completed", "runType": "azureml.StepRun"}
        for kind, data in ((RUN_STATUS_CHANGED, step), (RUN_COMPLETED, {"runId": job, "runStatus": "Completed"})):
            with self.running("job_completed"):
                _call(job_completed, run_event(self.services.settings.workspace_id, kind, data))

    def _read_queues(self) -> None:
        for queue, (name, function) in _QUEUES.items():
            for message in self.subject.receive(queue):
                with self.running(name):
                    _call(function, func.QueueMessage(body=message.body))
                self.subject.finish(message)
                self.subject.until(self._is_quiet)

    def _is_quiet(self) -> bool:
        resources = self.subject.control("GET", "/resources")
        states = [item["state"] for kind in ("endpoints", "deployments") for item in resources[kind]]
        return not {"Creating", "Updating", "Deleting"}.intersection(states)


def run_event(workspace_id: str, kind: str, data: dict[str, Any]) -> func.EventGridEvent:
    return func.EventGridEvent(
        id="an id",
        data=data,
        topic=workspace_id,
        subject="experiments/droptune/runs",
        event_type=kind,
        event_time=None,
        data_version="1",
    )


def chats(count: int, split: str) -> bytes:
    rows = []
    for number in range(count):
        turns = [{"role": "user", "content": f"{split} {number}?"}, {"role": "assistant", "content": "Yes."}]
        rows.append(json.dumps({"messages": turns}).encode() + b"\n")
    return b"".join(rows)


def _call(function: Any, argument: object) -> None:
    function.build().get_user_function()(argument)
