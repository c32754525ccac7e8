"""Starts Azurite and Functions hosts as processes, and reads what the sample app recorded."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[3]
SAMPLE_APP = Path(__file__).parent / "app"
KEYS = {
    "_master": "master-key",
    "default": "default-key",
    "partner": "partner-key",
    "eventgrid_extension": "event-key",
    "blobs_extension": "blobs-key",
}
_ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Azurite:
    """In memory; `stop` ends it."""

    def __init__(self, log: Path) -> None:
        self.blob_port, self.queue_port, table_port = free_port(), free_port(), free_port()
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [
                    str(ROOT / "node_modules/.bin/azurite"),
                    *("--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"),
                    *("--blobPort", str(self.blob_port), "--queuePort", str(self.queue_port)),
                    *("--tablePort", str(table_port)),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.blobs = BlobServiceClient.from_connection_string(self.connection_string)
        self._queues = QueueServiceClient.from_connection_string(self.connection_string)
        eventually(lambda: _accepts(self.blob_port) and _accepts(self.queue_port), "Azurite listens", 30)

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_ACCOUNT_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{self.blob_port}/devstoreaccount1;"
            f"QueueEndpoint=http://127.0.0.1:{self.queue_port}/devstoreaccount1;"
        )

    def queue(self, name: str) -> QueueClient:
        return self._queues.get_queue_client(
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )

    def has_queue(self, name: str) -> bool:
        return any(queue.name == name for queue in self._queues.list_queues(name_starts_with=name))

    def upload(self, container: str, blob: str, content: bytes) -> str:
        """Returns the blob's URL."""
        service = self.blobs.get_container_client(container)
        if not service.exists():
            service.create_container()
        client = service.upload_blob(blob, content, overwrite=True)
        return str(client.url)

    def peek(self, queue: str) -> list[str]:
        """Bodies of the visible messages; none while the queue does not exist."""
        client = self.queue(queue)
        try:
            return [str(message.content) for message in client.peek_messages(32)]
        except ResourceNotFoundError:
            return []

    def stop(self) -> None:
        self.blobs.close()
        self._queues.close()
        self._process.terminate()
        self._process.wait(10)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class FunctionsHost:
    """One host process. `directory` holds its files; hosts of one app share `record`, not `directory`."""

    directory: Path
    settings: Mapping[str, str]
    record: Path
    app: Path = SAMPLE_APP
    options: tuple[str, ...] = ()
    python: str = sys.executable
    port: int = field(default_factory=free_port)

    def start(self) -> FunctionsHost:
        self.launch()
        return self.start_waiting()

    def start_waiting(self) -> FunctionsHost:
        eventually(self._is_ready, "the host answers", 30)
        return self

    def launch(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write("settings.json", {**self.settings, "RECORD": str(self.record)})
        self._write("keys.json", KEYS)
        with self._log_file.open("a") as output:
            self.process = subprocess.Popen(
                [
                    *(self.python, "-m", "localcloud.functions", "--app", str(self.app), "--port", str(self.port)),
                    *("--settings", str(self.directory / "settings.json")),
                    *("--keys", str(self.directory / "keys.json"), "--state", str(self.directory / "state")),
                    *self.options,
                ],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                stderr=output,
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def _log_file(self) -> Path:
        return self.directory / "host.log"

    def _write(self, name: str, document: Mapping[str, str]) -> None:
        (self.directory / name).write_text(json.dumps(document))

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        try:
            return httpx.get(f"{self.url}/admin/host/status").status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        return self._log_file.read_text() if self._log_file.exists() else ""

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=20, **arguments)

    def send_events(
        self, extension: str, function: str, events: object, key: str | None = None, kind: str = "Notification"
    ) -> httpx.Response:
        default = {"eventgrid": KEYS["eventgrid_extension"], "blobs": KEYS["blobs_extension"]}.get(extension, "")
        return self.call(
            "POST",
            f"/runtime/webhooks/{extension}",
            params={"functionName": function, "code": default if key is None else key},
            headers={"aeg-event-type": kind},
            json=events,
        )

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def records(file: Path, function: str, **fields: object) -> list[dict[str, Any]]:
    """What `function` recorded, oldest first, as far as it has these fields."""
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    wanted = {"function": function, **fields}
    return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]


def storage_event(url: str, event_id: str = "event-1") -> dict[str, object]:
    """Microsoft.Storage.BlobCreated in the Event Grid schema, as Azure sends it."""
    return {
        "id": event_id,
        "topic": "/subscriptions/s/resourceGroups/r/providers/Microsoft.Storage/storageAccounts/a",
        "subject": "/blobServices/default/containers/c/blobs/b",
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-11-22T10:00:00.0000000Z",
        "dataVersion": "",
        "metadataVersion": "1",
        "data": {
            "api": "PutBlob",
            "contentType": "text/plain",
            "contentLength": 1,
            "blobType": "BlockBlob",
            "eTag": "0x8D4",
            "url": url,
        },
    }
