"""The real parts as the subject: Azurite, the emulators over HTTP, unmodified SDKs; stand-ins train and score.

Long-running operations take their time on the emulator's clock, which stands still until a test moves it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from localcloud.azureml.runners import ENVIRONMENT_VARIABLE
from localcloud.config import (
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION_ID,
    WORKSPACE,
    CloudConfig,
    Durations,
    RegistryModel,
)
from localcloud.functions.engine import FunctionFailedError
from localcloud.functions.host_json import QueueOptions
from localcloud.functions.message_queue import MessageQueue, ReceivedMessage
from localcloud.functions.queue_listener import QueueListener, poison_queue_name
from localcloud.ports import allot_ports
from localcloud.stack import LocalCloud
from shared import names
from shared.azureml.resources import JobRequest, OnlineEndpoint
from shared.blobs import Blobs
from shared.clock import utc_now
from shared.config import Settings
from shared.lifecycle.topic import Topic
from shared.services import Services
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
from tests.integration.azureml_support import RUNNERS

TOPIC = "lifecycle"
_DATA = "data"
_STEP = 60
_DEADLINE = 30.0


class RealSubject:
    def __init__(self, stack: LocalCloud, services: Services) -> None:
        self._config = stack.config
        self._services = services
        self._credential = services._credential
        self.settings = services.settings
        self.ledger = services._ledger
        self.wake_ups = services._wake_ups
        self.blobs = services._blobs
        self.arm = services._arm
        self.sdk = services._sdk
        self.scoring = services._scoring
        self.metrics = services._metrics

    def close(self) -> None:
        for part in (self._http, self._queue_service, self._blob_service, self.publisher):
            part.close()

    @cached_property
    def publisher(self) -> Topic:
        return self._services._publisher

    @cached_property
    def small_chunks(self) -> Blobs:
        return Blobs(self._blob_service)

    def now(self) -> datetime:
        return utc_now()

    def until(self, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _DEADLINE
        while not (value := look()):
            assert time.monotonic() < deadline, "it never came"
            self.control("POST", "/advance", {"seconds": _STEP})
            time.sleep(0.03)
        return value

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def upload(self, container: str, name: str, content: bytes) -> None:
        self._blob_service.get_blob_client(container, name).upload_blob(content, overwrite=True)

    def remove(self, container: str, name: str) -> None:
        self._blob_service.get_blob_client(container, name).delete_blob()

    def receive(self, queue: str, lease: float = 60) -> list[Received]:
        found = self._queue(queue).receive(32, int(lease))
        return [Received((m.body or "").encode(), m.dequeue_count, (queue, m.id, m.receipt)) for m in found]

    def extend(self, message: Received, seconds: float) -> Received:
        queue, identity, receipt = message.raw
        try:
            fresh = self._queue(queue).extend(identity, receipt, int(seconds))
        except HttpResponseError as error:
            raise _lost(error) from error
        return Received(message.body, message.dequeue_count, (queue, identity, fresh))

    def finish(self, message: Received) -> None:
        queue, identity, receipt = message.raw
        try:
            self._queue(queue).delete(identity, receipt)
        except HttpResponseError as error:
            raise _lost(error) from error

    def put_message(self, queue: str, body: bytes) -> None:
        self._queue(queue).send(body)

    def run_function(self, queue: str, function: Callable[[bytes], None], until: Callable[[], bool]) -> None:
        asyncio.run(self._listen(queue, function, until))

    async def _listen(self, name: str, function: Callable[[bytes], None], until: Callable[[], bool]) -> None:
        async def handle(message: ReceivedMessage) -> None:
            try:
                await asyncio.to_thread(function, (message.body or "").encode())
            except Exception as error:
                raise FunctionFailedError(str(error), "") from error

        poison = poison_queue_name(name)
        listener = QueueListener(
            self._queue(name),
            handle,
            lambda _: self._queue(poison) if poison else None,
            QueueOptions(max_polling_interval=0.1),
            lease=60,
        )
        listener.start()
        try:
            deadline = time.monotonic() + _DEADLINE
            while not await asyncio.to_thread(until):
                assert time.monotonic() < deadline, "it never came"
                await asyncio.sleep(0.05)
        finally:
            listener.stop()
            await listener.drain()

    def job(self, name: str, goes: Goes = Goes.WELL, **changes: Any) -> JobRequest:
        self.upload(_DATA, f"{name}.jsonl", str(goes).encode())
        values: dict[str, Any] = {
            "name": name,
            "display_name": f"display {name}",
            "experiment_name": "twins",
            "component_id": COMPONENT_ID,
            "model_id": MODEL_ID,
            "files": {"train_file_path": f"{self._config.blob_url}/{_DATA}/{name}.jsonl"},
            "inputs": {"num_train_epochs": "2", "learning_rate": "5e-06"},
            "tags": {"droptune-tuning": name},
        }
        return JobRequest(**{**values, **changes})

    def events(self) -> Sequence[SeenEvent]:
        found: list[SeenEvent] = []
        since = 0
        while True:
            page = self.control("GET", f"/events?since={since}")
            if not page["events"]:
                return found
            since = page["next"]
            found += [SeenEvent(e["id"], e["source"], e["eventType"], e["subject"], e["data"]) for e in page["events"]]

    def take_name(self, endpoint: str) -> None:
        taken = self.control("GET", "/limits")["taken_endpoint_names"]
        self.control("POST", "/limits", {"taken_endpoint_names": [*taken, endpoint]})

    def expect_deployment(self, goes: Goes) -> None:
        """The model itself says so."""

    def ask(self, endpoint: OnlineEndpoint, key: str, deployment: str, question: Asked, timeout: float = 20) -> Any:
        messages = [{"role": "user", "content": str(question)}]
        return self.scoring.score(endpoint.scoring_uri, key, deployment, messages, timeout)

    @contextmanager
    def losing_an_answer(self) -> Iterator[None]:
        lost: list[str] = []
        send = RequestsTransport.send

        def losing(transport: RequestsTransport, request: Any, **options: Any) -> Any:
            answer = send(transport, request, **options)
            if lost or request.method == "GET":
                return answer
            lost.append(request.url)
            raise ServiceResponseError("Connection aborted.")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RequestsTransport, "send", losing)
            patch.setattr(HttpTransport, "sleep", lambda *_: None)
            yield
        assert lost, "nothing was written"

    def monitor(self, *, fail: bool = False, omit_minutes: int = 0, lag_minutes: int = 0) -> None:
        body = {"fail": fail, "omit_minutes": omit_minutes, "lag_minutes": lag_minutes}
        self.control("POST", "/monitor", body)

    def control(self, method: str, path: str, body: object = None) -> Any:
        return self._http.request(method, f"/_localcloud{path}", json=body).raise_for_status().json()

    @cached_property
    def _http(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=str(self._config.ca_file))
        return httpx.Client(base_url=self._config.azure_url, verify=trusted, trust_env=False, timeout=30)

    @cached_property
    def _queue_service(self) -> QueueServiceClient:
        return QueueServiceClient(self._config.queue_url, credential=self._credential)

    @cached_property
    def _blob_service(self) -> BlobServiceClient:
        return BlobServiceClient(
            self._config.blob_url,
            credential=self._credential,
            max_single_get_size=SMALL_CHUNK,
            max_chunk_get_size=SMALL_CHUNK,
        )

    def _queue(self, name: str) -> MessageQueue:
        queue = MessageQueue(self._queue_service.get_queue_client(name), base64_bodies=True)
        if name not in names.QUEUES:
            queue.create()
        return queue


def _lost(error: HttpResponseError) -> Exception:
    return LostError() if error.status_code in (400, 404) else error


@contextmanager
def real_subject(state: Path) -> Iterator[RealSubject]:
    config = CloudConfig(
        state_dir=str(state),
        ports=allot_ports(state),
        identity_header="a secret of this test",
        models=(
            RegistryModel("Phi-3-mini-4k-instruct", "12", "base", {}),
            RegistryModel("Phi-3-mini-4k-instruct", "13", "base", {"task": "chat-completion"}),
        ),
        custom_topics=(TOPIC,),
        durations=Durations(endpoint_name_reuse=10 * _STEP),
        fast_training=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT_VARIABLE, json.dumps(asdict(RUNNERS)))
        with LocalCloud(config, persistent=False) as stack:
            stack.create_storage(containers=(*names.CONTAINERS, _DATA), queues=names.QUEUES, tables=names.TABLES)
            for name, value in stack.client_environment().items():
                patch.setenv(name, value)
            subject = RealSubject(stack, Services(_settings(stack.config)))
            subject.control("POST", "/progress", {"mode": "manual"})
            yield subject
            subject.close()
            stack.stop_azure(kill=True)  # it would wait for the stand-ins that hang on purpose


def _settings(config: CloudConfig) -> Settings:
    return Settings(
        azure_subscription_id=SUBSCRIPTION_ID,
        azure_resource_group=RESOURCE_GROUP,
        azureml_workspace=WORKSPACE,
        azure_location=LOCATION,
        storage_blob_uri=config.blob_url,
        storage_queue_uri=config.queue_url,
        storage_table_uri=config.table_url,
        arm_endpoint=config.azure_url,
        registry_discovery_endpoint=f"{config.azure_url}/",
        metrics_endpoint=config.azure_url,
        prices_endpoint=f"{config.azure_url}/api/retail/prices",
        lifecycle_topic_endpoint=f"{config.azure_url}/eventgrid/topics/{TOPIC}/api/events",
    )
