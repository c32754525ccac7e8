"""The app's services on Azurite and the emulator of Azure ML, with threads in the role of the Functions host."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.data.tables import TableServiceClient
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE
from shared import names
from shared.clock import Clock, utc_now
from shared.config import Settings
from shared.lifecycle.queues import parse_tuning_message, parse_version_message
from shared.lifecycle.tuning import Tuning
from shared.services import Services
from tests.integration.azureml_support import MODEL, Cloud

Seen = TypeVar("Seen")

ROW = {"messages": [{"role": "user", "content": "Is there a table for two?"}, {"role": "assistant", "content": "Yes."}]}
FAST = {
    "settle_seconds": 0.0,
    "poll_seconds": 0.2,
    "poll_max_seconds": 1.0,
    "training_look_minutes": 0.02,
    "overdue_seconds": 2.0,
    "base_model": MODEL,
}


def split(note: str, rows: int = 12) -> bytes:
    """A valid split; `note` makes its content its own."""
    first = {"messages": [{"role": "user", "content": note}, {"role": "assistant", "content": "Noted."}]}
    return b"".join(json.dumps(row).encode() + b"\n" for row in [first, *[ROW] * (rows - 1)])


@dataclass
class App:
    """One installation of droptune: several `instances` share its storage and its workspace."""

    cloud: Cloud
    settings: Settings
    queues: QueueServiceClient
    blobs: BlobServiceClient
    failures: list[Exception] = field(default_factory=list)
    clock: Clock = utc_now

    def instance(self) -> Services:
        return Services(self.settings, self.clock)

    def upload(self, blob: str, content: bytes) -> None:
        self.blobs.get_blob_client(names.DATASETS, blob).upload_blob(content, overwrite=True)

    def upload_version(self, dataset: str, version: str = "v1", note: str = "") -> None:
        for name in ("train_sft", "test_sft"):
            self.upload(f"{dataset}/{version}/{name}.jsonl", split(f"{dataset} {version} {name} {note}"))

    def tunings_of(self, dataset: str) -> list[Tuning]:
        found = [row.value for row in self.instance().lifecycle.ledger.tunings()]
        return sorted((item for item in found if item.dataset == dataset), key=lambda item: item.created_at)

    def of_dataset(self, kind: str, dataset: str) -> list[dict[str, Any]]:
        found = self.cloud.control("GET", "/resources")[kind]
        return [item for item in found if item["tags"].get(names.TAG_DATASET) == dataset]

    @contextmanager
    def workers(self, count: int = 4) -> Iterator[None]:
        """`count` instances of the app, each taking one message after the other, as long as the context lasts."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._work, args=(self.instance(), stop)) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert self.failures == []

    def until(self, look: Callable[[], Seen | None], seconds: float = 40) -> Seen:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, self.summary()
            time.sleep(0.2)
        return found

    def waiting_messages(self) -> int:
        """In all of the app's queues, also those that are not visible yet."""
        clients = [self.queues.get_queue_client(name) for name in names.QUEUES]
        return sum(client.get_queue_properties().approximate_message_count or 0 for client in clients)

    def summary(self) -> list[tuple[str, str, str]]:
        rows = [row.value for row in self.instance().lifecycle.ledger.tunings()]
        return [(row.id, str(row.state), row.last_error or row.waiting_for) for row in rows]

    def _work(self, services: Services, stop: threading.Event) -> None:
        handlers: dict[str, Callable[[bytes], None]] = {
            names.DATASET_SETTLED_QUEUE: lambda body: services.intake.version_settled(parse_version_message(body)),
            names.DEPLOYMENT_PROGRESS_QUEUE: lambda body: _advance(services, body),
            names.SMOKE_TEST_QUEUE: lambda body: services.smoke_stage.run(parse_tuning_message(body).tuning_id),
        }
        while not stop.is_set():
            taken = [self._take_one(queue, handle) for queue, handle in handlers.items()]
            if not any(taken):
                stop.wait(0.05)

    def _take_one(self, name: str, handle: Callable[[bytes], None]) -> bool:
        queue = self.queues.get_queue_client(name)
        message = queue.receive_message(visibility_timeout=30)
        if message is None:
            return False
        try:
            handle(base64.b64decode(message.content))
        except Exception as error:  # noqa: BLE001 - the host logs it and goes on, the test fails with it
            self.failures.append(error)
            return True
        try:
            queue.delete_message(message)
        except HttpResponseError as error:
            if getattr(error, "error_code", "") not in ("MessageNotFound", "PopReceiptMismatch"):
                raise  # else it took longer than that, so that somebody else has it now, or had it
        return True


def _advance(services: Services, body: bytes) -> None:
    message = parse_tuning_message(body)
    services.lifecycle.advance(message.tuning_id, message.due)


@contextmanager
def app_on(cloud: Cloud, clock: Clock = utc_now, **changes: Any) -> Iterator[App]:
    """With empty storage. What earlier tests made in Azure ML stays, so each test uses names of its own."""
    config, credential = cloud.config, ManagedIdentityCredential()
    settings = Settings(
        azure_subscription_id=SUBSCRIPTION_ID,
        azure_resource_group=RESOURCE_GROUP,
        azureml_workspace=WORKSPACE,
        azure_location=LOCATION,
        storage_blob_uri=config.blob_url,
        storage_queue_uri=config.queue_url,
        storage_table_uri=config.table_url,
        arm_endpoint=config.azure_url,
        prices_endpoint=f"{config.azure_url}/api/retail/prices",
        **{**FAST, **changes},
    )
    with (
        QueueServiceClient(config.queue_url, credential=credential) as queues,
        BlobServiceClient(config.blob_url, credential=credential) as blobs,
        TableServiceClient(config.table_url, credential=credential) as tables,
    ):
        for container in names.CONTAINERS:
            with suppress(ResourceExistsError):
                blobs.create_container(container)
        for table in names.TABLES:
            with suppress(ResourceExistsError):
                tables.create_table(table)
            client = tables.get_table_client(table)
            for entity in list(client.list_entities(select=["PartitionKey", "RowKey"])):
                client.delete_entity(entity["PartitionKey"], entity["RowKey"])
        uploads = blobs.get_container_client(names.DATASETS)
        for blob in list(uploads.list_blobs()):
            uploads.delete_blob(blob.name)
        for queue in (*names.QUEUES, *map(names.poison_queue, names.QUEUES)):
            with suppress(ResourceExistsError):
                queues.create_queue(queue)
            queues.get_queue_client(queue).clear_messages()
        yield App(cloud, settings, queues, blobs, clock=clock)
