"""The whole lifecycle over the twins on a day on which nothing goes wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import azure.functions as func

from handlers.dataset_settled import dataset_settled
from handlers.deployment_progress import deployment_progress
from handlers.idle_cleanup import idle_cleanup
from handlers.smoke_test import smoke_test
from shared import names
from shared.config import Settings
from shared.lifecycle.job_events import JobEvent
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.twins.calm import Calm
from tests.simulation.twins.cloud import TwinCloud
from tests.simulation.twins.queues import Listener
from tests.simulation.twins.services import TwinServices, lent

SETTINGS = Settings(
    azure_subscription_id="11111111-2222-3333-4444-555555555555",
    azure_resource_group="twins",
    azureml_workspace="w",
    azure_location="eastus",
    storage_blob_uri="https://twin.blob.core.windows.net",
    storage_queue_uri="https://twin.queue.core.windows.net",
    storage_table_uri="https://twin.table.core.windows.net",
    lifecycle_topic_endpoint="https://twin.eastus-1.eventgrid.azure.net/api/events",
    idle_dry_run=False,
    idle_after_minutes=120,
)
FUNCTIONS = {
    names.DATASET_SETTLED_QUEUE: dataset_settled,
    names.DEPLOYMENT_PROGRESS_QUEUE: deployment_progress,
    names.SMOKE_TEST_QUEUE: smoke_test,
}


def split(rows: int) -> bytes:
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    return b"".join(json.dumps({"prompt": "Why?", "messages": turns}).encode() + b"\n" for _ in range(rows))


@dataclass
class Day:
    world: Calm = field(default_factory=Calm)

    def __post_init__(self) -> None:
        self.cloud = TwinCloud(self.world, SETTINGS.workspace_id)
        self.services = TwinServices.of(SETTINGS, self.cloud, self.world)

    def upload(self, dataset: str, version: str) -> None:
        for name, rows in (("train_sft", 20), ("test_sft", 4)):
            self.cloud.blobs.upload(names.DATASETS, f"{dataset}/{version}/{name}.jsonl", split(rows))

    def upload_settings(self, dataset: str, version: str, content: dict[str, object]) -> None:
        self.cloud.blobs.upload(names.DATASETS, f"{dataset}/{version}/tuning.json", json.dumps(content).encode())

    def pass_by(self, minutes: int) -> None:
        """Minute by minute: events arrive, queues are read, and every quarter of an hour the sweep runs."""
        with lent(self.services):
            for minute in range(minutes):
                self._deliver()
                self._read_queues()
                if minute % 15 == 0:
                    idle_cleanup.build().get_user_function()(None)
                self.world.advance(60)

    def _deliver(self) -> None:
        while self.world.events:
            event = self.world.events.pop(0)
            container, _, name = event.subject.removeprefix("/blobServices/default/containers/").partition("/blobs/")
            if container == names.DATASETS:
                self.services.intake.file_uploaded(name)
            elif event.topic == SETTINGS.workspace_id:
                self.services.job_events.received(JobEvent(event.topic, event.type, event.data))

    def _read_queues(self) -> None:
        for queue, function in FUNCTIONS.items():
            listener = Listener(self.cloud.queues, queue)
            for message in listener.take(32):
                function.build().get_user_function()(func.QueueMessage(body=message.body))
                listener.succeeded(message)

    def tuning(self, dataset: str) -> Tuning:
        (found,) = [row.value for row in self.services.clients.ledger.tunings() if row.value.dataset == dataset]
        return found


def test_a_dataset_becomes_a_live_endpoint_that_is_deleted_once_nobody_calls_it() -> None:
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(120)
    tuning = day.tuning("chats")
    assert tuning.state is State.LIVE, tuning
    (endpoint,) = day.cloud.endpoints.visible()
    assert endpoint.traffic == {tuning.deployment: 100}
    assert [job.status for job in day.cloud.jobs.all.values()] == ["Completed"]
    assert [model.job for model in day.cloud.models.all.values()] == [tuning.job]

    day.pass_by(400)
    assert day.tuning("chats").state is State.RETIRED
    assert day.cloud.endpoints.all == {}
    assert day.services.clients.ledger.endpoint("chats").value.status is EndpointStatus.NONE
    order = list(dict.fromkeys(str(event.type).removeprefix("droptune.") for event in day.cloud.topic.published))
    states = ["preparing", "training", "registered", "deploying", "testing", "promoting", "live"]
    marked = ["endpoint.marked", "endpoint.deleting"]
    assert order == [*(f"tuning.{state}" for state in states), *marked, "tuning.cleaning_up", "tuning.retired"]
    (announced,) = [event for event in day.cloud.topic.published if event.type == "droptune.endpoint.marked"]
    (deleting,) = [event for event in day.cloud.topic.published if event.type == "droptune.endpoint.deleting"]
    assert announced.subject == f"endpoints/{endpoint.name}"
    assert announced.data is not None
    deletes_at = datetime.fromisoformat(str(announced.data["deletes_at"]))
    assert deleting.time is not None
    assert deletes_at <= deleting.time <= deletes_at + timedelta(minutes=30)
    assert all(lifetime.ended for lifetime in day.cloud.endpoints.lifetimes)


def test_another_idle_time_of_a_version_counts_without_training_anew() -> None:
    day = Day()
    day.upload_settings("chats", "v1", {"idle": {"after_minutes": 600}})
    day.upload("chats", "v1")
    day.pass_by(120)
    live = day.tuning("chats")
    assert (live.state, live.idle) == (State.LIVE, {"after_minutes": 600})

    day.upload_settings("chats", "v1", {"idle": {"grace_minutes": 15}})
    day.pass_by(60)
    assert day.tuning("chats").idle == {"grace_minutes": 15}
    assert any("idle settings are now: grace_minutes 15" in entry.message for entry in day.tuning("chats").history)
    assert len(day.cloud.jobs.all) == 1

    day.pass_by(240)
    assert day.tuning("chats").state is State.RETIRED


def test_a_malformed_tuning_file_changes_no_idle_settings_of_what_is_live() -> None:
    day = Day()
    day.upload_settings("chats", "v1", {"idle": {"after_minutes": 600}})
    day.upload("chats", "v1")
    day.pass_by(120)

    day.upload_settings("chats", "v1", {"idle": {"after_minutes": -1}})
    day.pass_by(10)
    assert day.tuning("chats").idle == {"after_minutes": 600}


def test_an_endpoint_that_is_called_is_kept() -> None:
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(120)
    (endpoint,) = day.cloud.endpoints.visible()
    for _ in range(8):
        day.cloud.usage.record(endpoint.name)
        day.pass_by(60)
    assert day.tuning("chats").state is State.LIVE
    assert day.world.now() - day.tuning("chats").created_at > timedelta(hours=9)


def test_a_newer_version_takes_the_traffic_and_the_older_one_is_removed() -> None:
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(120)
    day.upload("chats", "v2")
    day.pass_by(110)
    rows = {row.value.version: row.value for row in day.services.clients.ledger.tunings()}
    assert (rows["v1"].state, rows["v2"].state) == (State.SUPERSEDED, State.LIVE)
    (endpoint,) = day.cloud.endpoints.visible()
    assert list(endpoint.deployments) == [rows["v2"].deployment]


def test_an_error_about_a_live_tuning_is_shown_until_the_next_look_at_it_which_follows() -> None:
    """Messages about it are hints; one that its worker died of too often must not stay its last error for ever."""
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(120)
    live = day.tuning("chats")
    message = json.dumps({"tuning_id": live.id}).encode()
    day.services.poison_messages.received(names.DEPLOYMENT_PROGRESS_QUEUE, message)
    shown = day.tuning("chats")
    assert shown.errors == 1
    assert "given up" in shown.last_error
    day.pass_by(5)
    after = day.tuning("chats")
    assert (after.state, after.errors, after.last_error) == (State.LIVE, 0, "")
