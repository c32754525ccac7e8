"""HTTP triggers: routing, keys, and the translation of requests and responses."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from starlette.responses import Response

from localcloud.functions.engine import FunctionFailedError
from localcloud.functions.http_proxy import HttpProxy
from localcloud.functions.routes import Route, parse_route
from localcloud.functions.typed_data import (
    Binary,
    HttpCall,
    HttpReply,
    InputData,
    JsonText,
    OutputData,
    Text,
    as_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from localcloud.functions.keys import AuthLevel, Keys
    from localcloud.functions.metadata import FunctionMetadata
    from localcloud.functions.runner import FunctionRunner

log = logging.getLogger(__name__)

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_REASON = "This function was called via HTTP"
_LONGEST_BODY = 210 * 1024 * 1024


@dataclass(frozen=True)
class HttpEndpoint:
    function: FunctionMetadata
    route: Route
    methods: frozenset[str]
    level: AuthLevel


def endpoint_of(function: FunctionMetadata, prefix: str) -> HttpEndpoint:
    """Raises RouteError."""
    trigger = function.trigger
    methods = trigger.attributes.get("methods")
    return HttpEndpoint(
        function=function,
        route=parse_route(prefix, trigger.text("route", function.name)),
        methods=frozenset(str(m).upper() for m in methods) if isinstance(methods, list) else frozenset(METHODS),
        level=_level(trigger.text("authLevel", "function")),
    )


def _level(text: str) -> AuthLevel:
    """Unknown words are taken for the strictest level."""
    known: Literal["anonymous", "function", "admin"] = "admin"
    return cast("AuthLevel", text.lower()) if text.lower() in ("anonymous", "function") else known


class HttpFunctions:
    """`http_uri`: where the worker wants the calls passed to; empty: it takes them by value."""

    def __init__(
        self, endpoints: Sequence[HttpEndpoint], keys: Keys, runner: FunctionRunner, http_uri: str = ""
    ) -> None:
        self._proxy = HttpProxy(http_uri) if http_uri else None
        self._passed_on: set[asyncio.Future[Any]] = set()
        self._endpoints = sorted(endpoints, key=lambda endpoint: endpoint.route.specificity)
        self._keys = keys
        self._runner = runner

    async def __call__(self, request: Request) -> Response:
        path = str(request.scope["path"]).strip("/")
        for endpoint in self._endpoints:
            params = endpoint.route.match(path) if request.method in endpoint.methods else None
            if params is not None:
                return await self._call(endpoint, request, params)
        return Response(status_code=404)

    async def _call(self, endpoint: HttpEndpoint, request: Request, params: dict[str, str]) -> Response:
        key = request.query_params.get("code") or request.headers.get("x-functions-key", "")
        if not self._keys.opens_function(key, endpoint.level):
            log.info("a call of '%s' has no valid key", endpoint.function.name)
            return Response(status_code=401)
        if int(request.headers.get("content-length") or 0) > _LONGEST_BODY:
            return Response(status_code=413)
        if self._proxy is not None:
            return await self._pass_on(self._proxy, endpoint.function, request, params)
        call = await read_call(request, params)
        metadata: dict[str, InputData] = {name: Text(value) for name, value in params.items()}
        metadata |= {"Query": as_json(dict(call.query)), "Headers": as_json(dict(call.headers))}
        trigger = endpoint.function.trigger
        try:
            outputs = await self._runner.run(endpoint.function, {trigger.name: call}, metadata, _REASON)
        except FunctionFailedError:
            return Response(status_code=500)
        return to_response(endpoint.function, outputs)

    async def _pass_on(
        self, proxy: HttpProxy, function: FunctionMetadata, request: Request, params: dict[str, str]
    ) -> Response:
        """The invocation itself carries the route's parameters and nothing else."""
        invocation_id = self._runner.new_id()
        call = HttpCall(method="", url="", headers={}, query={}, params=params, body=b"")
        running = asyncio.ensure_future(
            self._runner.run(function, {function.trigger.name: call}, {}, _REASON, invocation_id)
        )
        self._passed_on.add(running)
        running.add_done_callback(self._ended)
        return await proxy.forward(request, invocation_id)

    def _ended(self, running: asyncio.Future[Any]) -> None:
        """A failure is logged already, and the worker's server has told the caller."""
        self._passed_on.discard(running)
        if not running.cancelled():
            running.exception()


async def read_call(request: Request, params: Mapping[str, str]) -> HttpCall:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if value:
            query[name] = f"{query[name]},{value}" if name in query else value
    return HttpCall(
        method=request.method,
        url=_url(request),
        headers=headers,
        query=query,
        params=params,
        body=await request.body(),
    )


def _url(request: Request) -> str:
    """As the client sent it; Starlette's own has the path decoded."""
    raw = bytes(request.scope.get("raw_path") or b"").decode("ascii")
    query = bytes(request.scope["query_string"]).decode("ascii")
    return f"{request.url.scheme}://{request.url.netloc}{raw}{'?' if query else ''}{query}"


def to_response(function: FunctionMetadata, outputs: Mapping[str, OutputData]) -> Response:
    """204 when the function has no HTTP output."""
    name = next((binding.name for binding in function.outputs if binding.type == "http"), None)
    match outputs.get(name) if name is not None else None:
        case HttpReply() as reply:
            response = Response(reply.body, reply.status, dict(reply.headers))
            for cookie in reply.cookies:
                response.headers.append("set-cookie", cookie)
            return response
        case Text(text):
            return Response(text, media_type="text/plain")
        case Binary(content):
            return Response(content, media_type="application/octet-stream")
        case JsonText(document):
            return Response(document, media_type="application/json")
    return Response(status_code=204)
