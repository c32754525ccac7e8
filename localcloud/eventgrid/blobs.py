"""Event Grid's own access to the storage account: it reads blob properties and writes dead letters."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcloud.config import TENANT_ID

if TYPE_CHECKING:
    import httpx

    from localcloud.config import CloudConfig

_API_VERSION = "2025-11-05"
_TOKEN_LIFETIME = 3600


class StorageUnavailableError(Exception):
    """The storage account answered with an error that a later try may not meet."""


@dataclass(frozen=True)
class BlobProperties:
    etag: str
    content_type: str
    content_length: int
    blob_type: str


class Blobs:
    """httpx errors pass through; they and StorageUnavailableError mean "later"."""

    def __init__(self, config: CloudConfig, client: httpx.AsyncClient) -> None:
        self._base = config.blob_url
        self._client = client

    def url(self, container: str, blob: str) -> str:
        return f"{self._base}/{container}/{quote(blob, safe='/~')}"

    async def properties(self, container: str, blob: str) -> BlobProperties | None:
        """None when it is gone."""
        answer = await self._client.head(self.url(container, blob), headers=_headers())
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
        """Write a JSON blob; makes the container when it is missing."""
        headers = {**_headers(), "x-ms-blob-type": "BlockBlob", "content-type": "application/json"}
        answer = await self._client.put(self.url(container, blob), headers=headers, content=content)
        if answer.status_code == 404:
            await self._client.put(f"{self._base}/{container}?restype=container", headers=_headers())
            answer = await self._client.put(self.url(container, blob), headers=headers, content=content)
        if answer.status_code != 201:
            raise StorageUnavailableError(f"PUT {container}/{blob}: HTTP {answer.status_code}")


def _headers() -> dict[str, str]:
    return {"authorization": f"Bearer {_service_token()}", "x-ms-version": _API_VERSION}


def _service_token() -> str:
    """An unsigned token of the Event Grid service itself, so that faults of managed identity do not touch it.

    Azurite's `--oauth basic` checks nbf, exp, iat, the issuer's prefix and the audience, and no signature.
    """
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{TENANT_ID}/",
        "appid": "4962773b-9cdb-44cf-a8bf-237846a00ab7",  # Microsoft.EventGrid
        "iat": now,
        "nbf": now - 60,
        "exp": now + _TOKEN_LIFETIME,
    }
    return f"{_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment(claims)}."


def _segment(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
