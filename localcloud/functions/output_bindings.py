"""Writes what a function returned through its queue and blob output bindings."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from localcloud.functions.app_settings import expand
from localcloud.functions.binding_expressions import fill
from localcloud.functions.message_queue import MessageQueue
from localcloud.functions.typed_data import Binary, HttpReply, JsonText, Metadata, OutputData, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.storage.blob import BlobServiceClient

    from localcloud.functions.connections import Connections
    from localcloud.functions.metadata import Binding, FunctionMetadata

SUPPORTED = frozenset({"queue", "blob", "http"})


class OutputBindings:
    """`sent` is called with the URL of each queue that got a message, so that its listener need not wait."""

    def __init__(
        self,
        connections: Connections,
        settings: Mapping[str, str],
        base64_queues: bool,
        sent: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._settings = settings
        self._base64 = base64_queues
        self._sent = sent

    async def write(self, function: FunctionMetadata, outputs: Mapping[str, OutputData], metadata: Metadata) -> None:
        """Raises AzureError, UnresolvedExpressionError, MissingConnectionError: the invocation failed."""
        for binding in function.outputs:
            data = outputs.get(binding.name)
            if data is None or isinstance(data, HttpReply):
                continue
            if binding.type == "queue":
                await self._enqueue(binding, data, metadata)
            elif binding.type == "blob":
                await self._upload(binding, data, metadata)

    async def _enqueue(self, binding: Binding, data: Text | Binary | JsonText, metadata: Metadata) -> None:
        name = self._resolve(binding.text("queueName"), metadata)
        client = self._connections.queues(binding.text("connection")).get_queue_client(name)
        queue = MessageQueue(client, base64_bodies=self._base64)
        for body in queue_bodies(data):
            await asyncio.to_thread(queue.send, body)
        self._sent(queue.url)

    async def _upload(self, binding: Binding, data: Text | Binary | JsonText, metadata: Metadata) -> None:
        container, _, blob = self._resolve(binding.text("path"), metadata).partition("/")
        service = self._connections.blobs(binding.text("connection"))
        content = data.value if isinstance(data, Binary) else data.value.encode()
        await asyncio.to_thread(_upload_blob, service, container, blob, content)

    def _resolve(self, template: str, metadata: Metadata) -> str:
        return fill(expand(template, self._settings), metadata)


def queue_bodies(data: Text | Binary | JsonText) -> list[bytes]:
    """A JSON array is one message per element; its strings are sent without quotes."""
    if isinstance(data, Binary):
        return [data.value]
    if isinstance(data, Text):
        return [data.value.encode()]
    document = json.loads(data.value)
    items = document if isinstance(document, list) else [document]
    return [(item if isinstance(item, str) else json.dumps(item)).encode() for item in items]


def _upload_blob(service: BlobServiceClient, container: str, blob: str, content: bytes) -> None:
    client = service.get_blob_client(container, blob)
    try:
        client.upload_blob(content, overwrite=True)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            service.create_container(container)
        client.upload_blob(content, overwrite=True)
