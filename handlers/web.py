"""The app's HTTP server, registered with the Functions worker, so that HTTP functions can stream.

A worker with a web extension gives *all* HTTP functions of its app the extension's types, and the Functions host passes
their calls through to the worker's own HTTP server ("HTTP streams"). This is such an extension, made of Starlette's
types: Microsoft's ready one brings FastAPI and pydantic, which double the import time of the app (docs/gateway.md).
The worker finds the classes by their metaclasses, and `WebApp` and `WebServer` by their names in this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import azurefunctions.extensions.base as base
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_KEEP_ALIVE_SECONDS = 600
"""Longer than the host keeps an idle connection: who closes first must be the one that sends requests."""


class _RouteParameters(base.RequestSynchronizer):  # type: ignore[misc]  # the package has no types
    def sync_route_params(self, request: Request, path_params: Mapping[str, str]) -> None:
        """The host has matched the route; the worker's server has none."""
        request.scope["path_params"] = dict(path_params)


class RequestType(metaclass=base.RequestTrackerMeta):  # type: ignore[metaclass]
    request_type = Request
    synchronizer = _RouteParameters()


class ResponseType(metaclass=base.ResponseTrackerMeta):  # type: ignore[metaclass]
    label = base.ResponseLabels.STANDARD
    response_type = Response
    """With all of its subclasses."""


class WebApp(base.WebApp):  # type: ignore[misc]
    """One route: the worker's, which hands each request to the invocation that its header names."""

    def route(self, func: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Any]]:
        self._answer = func
        return func

    def get_app(self) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                response = await self._answer(Request(scope, receive))
            except Exception:  # noqa: BLE001 - of the function; the worker has logged it
                response = Response(status_code=500)
            await response(scope, receive, send)

        return app


class WebServer(base.WebServer):  # type: ignore[misc]
    async def serve(self) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            @contextmanager
            def capture_signals(self) -> Iterator[None]:
                """How the process ends is the worker's affair."""
                yield

        config = uvicorn.Config(
            self.web_app,
            host=self.hostname,
            port=self.port,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        await Server(config).serve()
