"""The worker's side of HTTP streams: its own HTTP server, and which request belongs to which invocation.

An app has them when it imports a web extension, a module with subclasses of azurefunctions.extensions.base's WebApp and
WebServer. All HTTP functions of the app then get the extension's request type.
"""

from __future__ import annotations

import asyncio
import importlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from localcloud.functions.http_proxy import INVOCATION_HEADER, unused_port
from localcloud.functions.sdk_converters import web_extension

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.functions.worker_thread import WorkerThread

_ADDRESS = "127.0.0.1"


class _Exchange:
    def __init__(self) -> None:
        self.request: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class WorkerHttpServer:
    """All methods but `start` run on the worker's loop."""

    def __init__(self, base: Any, uri: str) -> None:
        self._base = base
        self._exchanges: defaultdict[str, _Exchange] = defaultdict(_Exchange)
        self.uri = uri

    @staticmethod
    def start(worker: WorkerThread) -> WorkerHttpServer | None:
        """None if the app has no web extension."""
        base = web_extension()
        if base is None:
            return None
        extension = importlib.import_module(base.ModuleTrackerMeta.get_module())
        port = unused_port(_ADDRESS)
        server = WorkerHttpServer(base, f"http://{_ADDRESS}:{port}")
        web_app = extension.WebApp()
        request_type = base.RequestTrackerMeta.get_request_type()

        async def catch_all(request: Any) -> Any:
            return await server.passed_on(request)

        catch_all.__annotations__["request"] = request_type  # FastAPI's extension looks at it
        web_app.route(catch_all)
        worker.run_in_background(extension.WebServer(_ADDRESS, port, web_app).serve())
        return server

    async def passed_on(self, request: Any) -> Any:
        """The answer of the function; raises what it raised."""
        invocation_id = request.headers[INVOCATION_HEADER]
        exchange = self._exchanges[invocation_id]
        exchange.request.set_result(request)
        try:
            return await exchange.answer
        finally:
            self._exchanges.pop(invocation_id, None)

    async def request(self, invocation_id: str, params: Mapping[str, str]) -> Any:
        """The request of an invocation, once it has arrived, with its route parameters."""
        request = await self._exchanges[invocation_id].request
        self._base.RequestTrackerMeta.get_synchronizer().sync_route_params(request, dict(params))
        return request

    def answer(self, invocation_id: str, answer: Any) -> None:
        """A response of the extension's types, or the exception that the function raised."""
        exchange = self._exchanges[invocation_id]
        if isinstance(answer, BaseException):
            exchange.answer.set_exception(answer)
            exchange.answer.exception()  # looked at, whether the request still waits or not
        else:
            exchange.answer.set_result(answer)
