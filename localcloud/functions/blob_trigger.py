"""Blob triggers with the source Event Grid: webhook → a message in the host's own queue → the function.

The host neither filters by the binding's path nor keeps receipts nor compares ETags with this source: an
event that comes twice runs the function twice, and the function sees the blob as it is then.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import ResourceNotFoundError

from localcloud.functions.app_settings import expand
from localcloud.functions.binding_expressions import path_parameters
from localcloud.functions.typed_data import Binary, BlobReference, InputData, Text, as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobClient, BlobProperties

    from localcloud.functions.connections import Connections
    from localcloud.functions.message_queue import ReceivedMessage
    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.runner import FunctionRunner

log = logging.getLogger(__name__)

POISON_QUEUE = "webjobs-blobtrigger-poison"


def trigger_queue_name(host_id: str) -> str:
    return f"azure-webjobs-blobtrigger-{host_id}"


@dataclass(frozen=True)
class BlobMessage:
    """A message of the host's blob trigger queue."""

    function_id: str
    container: str
    blob: str
    blob_type: str
    etag: str

    def serialise(self) -> bytes:
        return json.dumps(
            {
                "Type": "BlobTrigger",
                "FunctionId": self.function_id,
                "BlobType": self.blob_type,
                "ContainerName": self.container,
                "BlobName": self.blob,
                "ETag": self.etag,
            }
        ).encode()

    @staticmethod
    def parse(body: str) -> BlobMessage:
        """Raises ValueError or KeyError when it is no message of this host."""
        raw = json.loads(body)
        return BlobMessage(raw["FunctionId"], raw["ContainerName"], raw["BlobName"], raw["BlobType"], raw["ETag"])

    @staticmethod
    def of_event(function_id: str, data: Mapping[str, object]) -> BlobMessage:
        """From the data of a storage event. Raises ValueError when it names no blob."""
        container, blob = split_blob_url(str(data.get("url", "")))
        return BlobMessage(
            function_id=function_id,
            container=container,
            blob=blob,
            blob_type=str(data.get("blobType", "BlockBlob")),
            etag=f'"{data.get("eTag", "")}"',
        )


def split_blob_url(url: str) -> tuple[str, str]:
    """(container, blob) of a blob's URL. Raises ValueError.

    Hosts that are an IP address or "localhost" have the account in the path, as the storage SDKs assume.
    """
    parts = urlsplit(url)
    segments = unquote(parts.path).lstrip("/").split("/")
    if _is_path_style(parts.hostname or ""):
        segments = segments[1:]
    if len(segments) < 2 or not segments[0] or not segments[1]:
        raise ValueError(f"the event's url names no blob: {url!r}")
    return segments[0], "/".join(segments[1:])


def _is_path_style(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


class BlobTriggers:
    def __init__(
        self,
        functions: Mapping[str, FunctionMetadata],
        connections: Connections,
        settings: Mapping[str, str],
        runner: FunctionRunner,
    ) -> None:
        """`functions` is by host id (Host.Functions.NAME)."""
        self._functions = functions
        self._connections = connections
        self._settings = settings
        self._runner = runner

    async def handle(self, message: ReceivedMessage) -> None:
        """Raises FunctionFailedError; messages of unknown functions or of blobs that are gone are dropped."""
        blob = BlobMessage.parse(message.body or "")
        function = self._functions.get(blob.function_id)
        if function is None:
            log.warning("a blob trigger message names an unknown function: %s", blob.function_id)
            return
        await self.run(function, blob.container, blob.blob)

    def connection_of(self, message: ReceivedMessage) -> str | None:
        """The connection of the function that the message is for: its account gets the poison message."""
        try:
            function = self._functions.get(BlobMessage.parse(message.body or "").function_id)
        except (ValueError, KeyError):
            return None
        return function.trigger.text("connection") if function is not None else None

    async def run(self, function: FunctionMetadata, container: str, blob: str) -> None:
        """Raises FunctionFailedError."""
        trigger = function.trigger
        connection = trigger.text("connection")
        client = self._connections.blobs(connection).get_blob_client(container, blob)
        path = f"{container}/{blob}"
        try:
            properties = await asyncio.to_thread(client.get_blob_properties)
            data: InputData = (
                BlobReference(connection, container, blob)
                if trigger.name in function.deferred
                else Binary(await asyncio.to_thread(_read, client))
            )
        except ResourceNotFoundError:
            log.info("blob '%s' is gone; the message for '%s' is ignored", path, function.name)
            return
        parameters = path_parameters(expand(trigger.text("path"), self._settings), path)
        metadata = _metadata(path, client.url, properties) | {k: Text(v) for k, v in parameters.items()}
        await self._runner.run(function, {trigger.name: data}, metadata, f"New blob detected: {path}")


def _read(client: BlobClient) -> bytes:
    content: bytes = client.download_blob().readall()
    return content


def _metadata(path: str, url: str, properties: BlobProperties) -> dict[str, InputData]:
    settings = properties.content_settings
    return {
        "BlobTrigger": Text(path),
        "Uri": as_json(url),
        "Metadata": as_json(properties.metadata),
        "Properties": as_json(
            {
                "LastModified": properties.last_modified.isoformat(),
                "CreatedOn": properties.creation_time.isoformat() if properties.creation_time else None,
                "ContentLength": properties.size,
                "ContentType": settings.content_type,
                "ContentEncoding": settings.content_encoding,
                "ETag": properties.etag,
                "Metadata": properties.metadata,
            }
        ),
    }
