"""The HTTP client towards endpoints: connections that stay open, one request each time, nothing tried again.

httpcore, because it tells a connection that could not be made from one that broke after something was sent, streams
both ways without a thread, and adds less to a call than any client on top of it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.gateway.headers import Headers, to_endpoint

if TYPE_CHECKING:
    import httpcore

    from shared.gateway.body import Body

_CONNECTIONS = 500
_IDLE_CONNECTIONS = 50
_IDLE_SECONDS = 30
"""Less than front ends keep an idle connection open."""
CONNECT_SECONDS = 5.0


class NotConnectedError(Exception):
    """No connection could be made: nothing was sent."""


class BrokenOffError(Exception):
    """The connection broke: the endpoint may have had the request."""


class SlowAnswerError(Exception):
    """No answer, or no next piece of it, in time."""


@dataclass(frozen=True)
class Target:
    """The endpoint that is live for a dataset."""

    dataset: str
    endpoint: str
    tuning: str
    scoring_uri: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """`chunks` must be read to its end, or closed by `aclose`."""

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]
    aclose: Any = field(repr=False)


class Upstream:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def send(self, target: Target, headers: Headers, body: Body, seconds: float) -> Answer:
        """The answer as soon as it has begun, within `seconds`; each piece of it may take that long again."""
        import httpcore

        parts = urlsplit(target.scoring_uri)
        url = httpcore.URL(
            scheme=parts.scheme.encode(),
            host=str(parts.hostname).encode(),
            port=parts.port,
            target=((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode(),
        )
        timeout = {"connect": CONNECT_SECONDS, "read": seconds, "write": seconds, "pool": CONNECT_SECONDS}
        request = httpcore.Request(
            "POST",
            url,
            headers=[*to_endpoint(headers, target.key, parts.netloc.rpartition("@")[2]), body.length_header],
            content=body,
            extensions={"timeout": timeout},
        )
        try:
            async with asyncio.timeout(seconds):
                response = await self._connections().handle_async_request(request)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            raise NotConnectedError(type(error).__name__) from error
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise SlowAnswerError from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise BrokenOffError(type(error).__name__) from error
        return Answer(response.status, response.headers, _chunks(response), response.aclose)

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            import httpcore

            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=_trust(os.environ),
                max_connections=_CONNECTIONS,
                max_keepalive_connections=_IDLE_CONNECTIONS,
                keepalive_expiry=_IDLE_SECONDS,
            )
        return self._pool


async def _chunks(response: httpcore.Response) -> AsyncIterator[bytes]:
    import httpcore

    try:
        async for chunk in response.aiter_stream():
            yield chunk
    except httpcore.TimeoutException as error:
        raise SlowAnswerError from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise BrokenOffError(type(error).__name__) from error
    finally:
        await response.aclose()


def _trust(environment: Mapping[str, str]) -> ssl.SSLContext:
    """As the Azure SDKs do: certifi's authorities, or those of REQUESTS_CA_BUNDLE."""
    import certifi

    return ssl.create_default_context(cafile=environment.get("REQUESTS_CA_BUNDLE") or certifi.where())
