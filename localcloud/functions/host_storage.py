"""The host's own container in its storage account, shared by timer status blobs and locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

HOSTS_CONTAINER = "azure-webjobs-hosts"


def ensure_container(service: BlobServiceClient) -> None:
    """Idempotent. Blocks."""
    try:
        service.create_container(HOSTS_CONTAINER)
    except ResourceExistsError:
        return
