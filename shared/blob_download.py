"""One blob as one long stream, that goes on where it broke off.

The storage SDK fetches a blob in ranges of a few MiB and copies each several times. One request for all of it, read
into one buffer again and again, takes half of the processor's time and no more memory than the buffer. Every request
carries the ETag of the blob that is meant, so that what was read in two parts is one content.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Any

from shared.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

    from shared.datasets.blocks import Chunk

log = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
API_VERSION = "2021-12-02"
_SCOPE = "https://storage.azure.com/.default"
_FAILURES = 5
_PAUSE_SECONDS = 0.5


class BlobDownload:
    """Raises azure-core's exceptions, and TransientError after 5 failures without a byte in between.

    Time-outs are in seconds, as is what `pause` takes.
    """

    def __init__(
        self,
        credential: TokenCredential,
        *,
        connect_timeout: float,
        read_timeout: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._credential = credential
        self._timeouts = {"connection_timeout": connect_timeout, "read_timeout": read_timeout}
        self._pause = pause

    def chunks(self, url: str, etag: str, *, begin: int = 0, size: int | None = None) -> Iterator[Chunk]:
        """Up to `size` bytes from `begin` on, as they lie there, if the blob has this ETag (in quotes).

        A chunk is overwritten when the next one is asked for. ResourceModifiedError and ResourceNotFoundError say that
        the blob has not this ETag, or has it no more.
        """
        at, end = begin, None if size is None else begin + size
        buffer = bytearray(CHUNK_BYTES)
        failures = 0
        while end is None or at < end:
            try:
                response = self._get(url, etag, at, end)
                if response is None:
                    return
                with response:
                    end = at + int(response.headers["Content-Length"])
                    read = _reader(response)
                    # What was received of a chunk is lost when the connection breaks: then smaller ones get further.
                    with memoryview(buffer)[: CHUNK_BYTES >> 2 * failures] as piece:
                        while got := read(piece):
                            at += got
                            failures = 0
                            yield buffer if got == CHUNK_BYTES else bytes(piece[:got])
                if at < end:
                    raise _BrokenOffError
            except _broken_off() as error:
                failures += 1
                if failures >= _FAILURES:
                    raise TransientError(f"the download broke off {_FAILURES} times at byte {at}") from error
                log.info("a download broke off at byte %d: %s; going on", at, type(error).__name__)
                self._pause(_PAUSE_SECONDS * failures)

    def _get(self, url: str, etag: str, at: int, end: int | None) -> HttpResponse | None:
        """None if nothing lies from there on."""
        from azure.core.exceptions import (
            HttpResponseError,
            ResourceModifiedError,
            ResourceNotFoundError,
            map_error,
        )
        from azure.core.rest import HttpRequest

        headers = {"x-ms-version": API_VERSION, "If-Match": etag, "Accept-Encoding": "identity"}
        if at or end is not None:
            headers["Range"] = f"bytes={at}-" if end is None else f"bytes={at}-{end - 1}"
        request = HttpRequest("GET", url, headers=headers)
        response: HttpResponse = self._client.send_request(request, stream=True, **self._timeouts)
        if response.status_code in (200, 206):
            return response
        with response:
            if response.status_code == 416:
                return None
            response.read()
            map_error(response.status_code, response, {404: ResourceNotFoundError, 412: ResourceModifiedError})
            raise HttpResponseError(response=response)

    @functools.cached_property
    def _client(self) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import (
            BearerTokenCredentialPolicy,
            NetworkTraceLoggingPolicy,
            RequestIdPolicy,
            RetryPolicy,
            UserAgentPolicy,
        )
        from azure.core.pipeline.transport import RequestsTransport

        return PipelineClient(
            "",
            transport=RequestsTransport(**self._timeouts),
            policies=[
                RequestIdPolicy(),
                UserAgentPolicy("droptune"),
                # Connections that fail or break off are counted by `chunks`; here they would multiply.
                RetryPolicy(
                    retry_total=2, retry_connect=0, retry_read=0, retry_status=2, retry_backoff_factor=_PAUSE_SECONDS
                ),
                BearerTokenCredentialPolicy(self._credential, _SCOPE),
                NetworkTraceLoggingPolicy(),
            ],
        )


class _BrokenOffError(Exception):
    """The connection ended in good order before all was sent."""


def _reader(response: HttpResponse) -> Callable[[memoryview], int]:
    """Reads the body into a buffer, filling it unless the body ends; 0 at its end.

    azure-core, requests and urllib3 would each hand on new bytes, which cost as much as decrypting them.
    """
    readinto: Callable[[memoryview], int] = response._internal_response.raw._fp.readinto  # type: ignore[attr-defined]
    return readinto


@functools.cache
def _broken_off() -> tuple[type[Exception], ...]:
    from http.client import HTTPException

    from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError
    from urllib3.exceptions import HTTPError

    # OSError: the socket's, of TLS and of requests.
    return (
        _BrokenOffError,
        IncompleteReadError,
        ServiceRequestError,
        ServiceResponseError,
        HTTPException,
        HTTPError,
        OSError,
    )
