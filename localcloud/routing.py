"""From a request to its answer: finds the route by method and number of segments, names its operation, answers.

Starlette's routes, requests and responses without its application: that passes an answer through a dozen layers,
which together took longer than the handlers.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from starlette.datastructures import QueryParams
from starlette.requests import Request

from localcloud.azureml.service_headers import door_of
from localcloud.http import CloudError, error_response, unknown_operation
from localcloud.operation_names import operation_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send

CONTROL_PREFIX = "/_localcloud"
_FOUND = "localcloud.route"


@dataclass(frozen=True)
class Operation:
    """What a request asks for. `template` is the path of its route."""

    name: str
    method: str
    template: str


def operations_of(routes: Sequence[Route]) -> list[Operation]:
    """Without HEAD, which comes with every GET, and without the control API."""
    return [
        Operation(operation_name(method, route.path), method, route.path)
        for route in routes
        for method in sorted(route.methods or ())
        if method != "HEAD" and not route.path.startswith(CONTROL_PREFIX)
    ]


class _Request(Request):
    """Clients send the same few queries again and again."""

    @property
    def query_params(self) -> QueryParams:
        return _parsed(self.scope["query_string"])


@lru_cache(maxsize=1024)
def _parsed(query: bytes) -> QueryParams:
    return QueryParams(query)


class CloudApp:
    """ASGI application for routes whose handlers are asynchronous and whose parameters are single segments.

    `commit` is called before an answer is sent: what it tells of is durable. What a handler raises but CloudError is
    left to the web server, which logs it and answers 500.
    """

    def __init__(self, routes: Sequence[Route], commit: Callable[[], None]) -> None:
        self._commit = commit
        self._methods: set[str] = set()
        self._index: defaultdict[tuple[str, int], list[tuple[Route, Operation]]] = defaultdict(list)
        for route in routes:
            for method in sorted(route.methods or ()):
                operation = Operation(operation_name(method, route.path), method, route.path)
                self._index[method, route.path.count("/")].append((route, operation))
                self._methods.add(method)

    def find(self, scope: Scope) -> Operation | None:
        """The operation of a request; None when there is none. Remembered for the call."""
        path: str = scope["path"]
        for route, operation in self._index.get((scope["method"], path.count("/")), ()):
            match = route.path_regex.match(path)
            if match is not None:
                scope[_FOUND] = route
                scope["path_params"] = match.groupdict()
                return operation
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        if _FOUND not in scope:
            self.find(scope)
        route: Route | None = scope.get(_FOUND)
        response = await self._answer(route, _Request(scope, receive))
        door = door_of(scope["path"] if route is None else route.path)
        if door is not None:
            door.put_headers(response, scope["method"], time.perf_counter() - begun)
        self._commit()
        await response(scope, receive, send)

    async def _answer(self, route: Route | None, request: Request) -> Response:
        if route is None:
            return unknown_operation(request, is_path_known=self._is_known(request.scope))
        try:
            answer: Response = await route.endpoint(request)
        except CloudError as error:
            return error_response(error)
        return answer

    def _is_known(self, scope: Scope) -> bool:
        """Whether another method could be asked for there."""
        return any(self.find({**scope, "method": method}) for method in self._methods)
