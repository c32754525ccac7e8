"""Storage clients of a connection name, by connection string or by identity, with the real host's rules.

`NAME` (or `AzureWebJobsNAME`) is a connection string; else `NAME__blobServiceUri` and
`NAME__queueServiceUri`, or `NAME__serviceUri`, or (only for AzureWebJobsStorage) `NAME__accountName`, with
the managed identity `NAME__clientId` or the system-assigned one.
Reference:
https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST_STORAGE = "AzureWebJobsStorage"
_PREFIX = "AzureWebJobs"
_TRANSPORT: dict[str, Any] = {
    # A call of the host is repeated by its own loops; the SDK's default waits up to a minute before it fails.
    "retry_total": 1,
    "initial_backoff": 1,
    "increment_base": 2,
    "connection_timeout": 5,
    "read_timeout": 60,
}
Service = Literal["blob", "queue"]


class MissingConnectionError(Exception):
    """No app setting defines the connection."""


@dataclass(frozen=True)
class Endpoint:
    """Either a connection string, or a service URL with an identity's client id ("": system-assigned)."""

    connection_string: str = ""
    url: str = ""
    client_id: str = ""


def find_endpoint(name: str, service: Service, settings: Mapping[str, str]) -> Endpoint:
    """Raises MissingConnectionError."""
    for setting in (name, _PREFIX + name):
        if settings.get(setting):
            return Endpoint(connection_string=settings[setting])
    for prefix in (name, _PREFIX + name):
        client_id = settings.get(f"{prefix}__clientId", "")
        url = settings.get(f"{prefix}__{service}ServiceUri") or settings.get(f"{prefix}__serviceUri")
        account = settings.get(f"{prefix}__accountName")
        if url:
            return Endpoint(url=url, client_id=client_id)
        if account and prefix == HOST_STORAGE:
            return Endpoint(url=f"https://{account}.{service}.core.windows.net", client_id=client_id)
    raise MissingConnectionError(
        f"the storage connection '{name}' does not exist: set {name}, or {name}__{service}ServiceUri"
    )


class Connections:
    """Clients are made once per connection and shared; thread-safe."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._blobs: dict[Endpoint, BlobServiceClient] = {}
        self._queues: dict[Endpoint, QueueServiceClient] = {}

    def blobs(self, name: str) -> BlobServiceClient:
        """Raises MissingConnectionError."""
        endpoint = find_endpoint(name, "blob", self._settings)
        with self._lock:
            if endpoint not in self._blobs:
                self._blobs[endpoint] = (
                    BlobServiceClient.from_connection_string(endpoint.connection_string, **_TRANSPORT)
                    if endpoint.connection_string
                    else BlobServiceClient(endpoint.url, credential=_identity(endpoint), **_TRANSPORT)
                )
            return self._blobs[endpoint]

    def queues(self, name: str) -> QueueServiceClient:
        """Raises MissingConnectionError."""
        endpoint = find_endpoint(name, "queue", self._settings)
        with self._lock:
            if endpoint not in self._queues:
                self._queues[endpoint] = (
                    QueueServiceClient.from_connection_string(endpoint.connection_string, **_TRANSPORT)
                    if endpoint.connection_string
                    else QueueServiceClient(endpoint.url, credential=_identity(endpoint), **_TRANSPORT)
                )
            return self._queues[endpoint]


def _identity(endpoint: Endpoint) -> ManagedIdentityCredential:
    if endpoint.client_id:
        return ManagedIdentityCredential(client_id=endpoint.client_id)
    return ManagedIdentityCredential()
