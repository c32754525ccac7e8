"""The default datastore: where azure-ai-ml puts the local files of a job, and how a job's URIs lead there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from localcloud.azureml.operations import WORKSPACE_UUID

if TYPE_CHECKING:
    from localcloud.config import CloudConfig

DEFAULT_DATASTORE = "workspaceblobstore"
CONTAINER = f"azureml-blobstore-{WORKSPACE_UUID}"

_PATH = re.compile(
    r"^azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?"
    r"datastores/(?P<datastore>[^/]+)/paths/(?P<path>[^?]+)$",
    re.IGNORECASE,
)


def storage_suffix(config: CloudConfig) -> str:
    """What must stand in the cloud's metadata for azure-ai-ml to upload to this cloud's storage.

    The SDK makes `https://{account}.blob.{suffix}` of it and knows no other way to name a blob service. A host of
    that form is in no name service here; but what stands before an `@` is the name of a user, which no client sends
    without a password. The suffix must not begin with `core.`: azure-storage-blob then leaves out the path.
    """
    blob = urlsplit(config.blob_url)
    return f"localcloud@{blob.netloc}{blob.path}"


def blob_url(config: CloudConfig, uri: str) -> str | None:
    """The blob that `azureml://…/datastores/{name}/paths/{path}` means; None for another form or datastore."""
    match = _PATH.match(uri)
    if match is None or match["datastore"] != DEFAULT_DATASTORE:
        return None
    return f"{config.blob_url}/{CONTAINER}/{quote(match['path'])}"
