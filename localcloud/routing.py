"""Finds the route of a request by its method and number of segments, and names its operation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route, Router

from localcloud.operation_names import operation_name

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class CloudRouter(Router):
    """For routes whose parameters are single segments: dozens of patterns need not be tried one by one."""

    def __init__(self, routes: Sequence[Route]) -> None:
        super().__init__(routes)
        self._index: defaultdict[tuple[str, int], list[tuple[Route, Operation]]] = defaultdict(list)
        for route in routes:
            for method in sorted(route.methods or ()):
                operation = Operation(operation_name(method, route.path), method, route.path)
                self._index[method, route.path.count("/")].append((route, operation))

    def find(self, scope: Scope) -> Operation | None:
        """The operation of a request; None when there is none. Remembered for `app`."""
        path: str = scope["path"]
        for route, operation in self._index.get((scope["method"], path.count("/")), ()):
            match = route.path_regex.match(path)
            if match is not None:
                scope[_FOUND] = route
                scope["path_params"] = match.groupdict()
                return operation
        return None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: Any = scope.get(_FOUND)
        if route is None and scope["type"] == "http" and self.find(scope) is not None:
            route = scope[_FOUND]
        if route is None:
            await super().app(scope, receive, send)
            return
        scope["endpoint"] = route.endpoint
        await route.handle(scope, receive, send)
