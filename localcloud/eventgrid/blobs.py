"""Event Grid's own access to the storage account: it reads blob properties and writes dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcloud.identity import mint_token

if TYPE_CHECKING:
    import httpx

    from localcloud.config import CloudConfig

_API_VERSION = "2025-11-05"
_AUDIENCE = "https://storage.azure.com"


class StorageUnavailableError(Exception):
    """The storage account answered with an error that a later try may not meet."""


class ContainerMissingError(Exception):
    """There is no container of that name: Event Grid makes none."""


@dataclass(frozen=True)
class BlobProperties:
    etag: str
    content_type: str
    content_length: int
    blob_type: str


class Blobs:
    """httpx errors pass through; they and StorageUnavailableError mean "later".

    Its tokens are minted here, not fetched: faults of managed identity are no business of Event Grid.
    """

    def __init__(self, config: CloudConfig, client: httpx.AsyncClient) -> None:
        self._base = config.blob_url
        self._client = client
        self._token_key = config.identity_header

    def url(self, container: str, blob: str) -> str:
        return f"{self._base}/{container}/{quote(blob, safe='/~')}"

    async def properties(self, container: str, blob: str) -> BlobProperties | None:
        """None when it is gone."""
        answer = await self._client.head(self.url(container, blob), headers=self._headers())
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise StorageUnavailableError(f"HEAD {container}/{blob}: HTTP {answer.status_code}")
        return BlobProperties(
            etag=answer.headers["etag"].strip('"'),
            content_type=answer.headers.get("content-type", "application/octet-stream"),
            content_length=int(answer.headers["content-length"]),
            blob_type=answer.headers.get("x-ms-blob-type", "BlockBlob"),
        )

    async def put(self, container: str, blob: str, content: bytes) -> None:
        """Write a JSON blob. Raises ContainerMissingError."""
        headers = {**self._headers(), "x-ms-blob-type": "BlockBlob", "content-type": "application/json"}
        answer = await self._client.put(self.url(container, blob), headers=headers, content=content)
        if answer.status_code == 404:
            raise ContainerMissingError(container)
        if answer.status_code != 201:
            raise StorageUnavailableError(f"PUT {container}/{blob}: HTTP {answer.status_code}")

    def _headers(self) -> dict[str, str]:
        token = mint_token(_AUDIENCE, key=self._token_key)
        return {"authorization": f"Bearer {token}", "x-ms-version": _API_VERSION}
