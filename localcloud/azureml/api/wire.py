"""Pieces that all answers share: resource ids, time stamps, system data, operation headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from localcloud.azureml import access, errors
from localcloud.azureml.clock import iso
from localcloud.azureml.datastore import storage_suffix
from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE, WORKSPACE_ID
from localcloud.http import MANAGEMENT, ArmRoute, CloudError, require_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.limits import CurrentLimits
    from localcloud.azureml.throttle import Throttle
    from localcloud.config import CloudConfig
    from localcloud.http import Handler

T = TypeVar("T")

PROVIDER = "/providers/Microsoft.MachineLearningServices"
WORKSPACE_PATH = "/subscriptions/{subscription}/resourceGroups/{group}" + PROVIDER + "/workspaces/{workspace}"
OPERATIONS = f"/subscriptions/{SUBSCRIPTION_ID}{PROVIDER}/locations/{LOCATION}"

CREATED = 1_700_000_000.0
"""Seconds since the epoch: when everything that was always there was made."""

PAGE = 100
"""Items on a page of a list."""

_AUTHOR = "Local Cloud"


class Arm:
    """Makes the routes of Azure Resource Manager and of the services that take its tokens."""

    def __init__(self, config: CloudConfig, limits: CurrentLimits, throttle: Throttle) -> None:
        port = config.ports.azure
        self.base_url = config.azure_url
        self.storage_suffix = storage_suffix(config)
        self._poll_seconds = config.poll_seconds
        self._audiences = frozenset({config.azure_url, f"https://localhost:{port}", MANAGEMENT})
        self._limits = limits
        self._throttle = throttle

    def route(self, method: str, path: str, handler: Handler) -> Route:
        """Only for who has a valid token and the role, and has not asked too often."""

        async def admitted(request: Request) -> Response:
            caller = require_token(request, self._audiences)
            limits = self._limits.now
            self._throttle.count(caller.object_id, request.method, limits)
            access.authorize(limits.roles, caller, request.method, request.scope["path"])
            return await handler(request)

        return ArmRoute(path, admitted, [method])

    def workspace_route(self, method: str, path: str, handler: Handler) -> Route:
        async def checked(request: Request) -> Response:
            require_api_version(request)
            require_workspace(request, whole=not path)
            return await handler(request)

        return self.route(method, WORKSPACE_PATH + path, checked)

    def url(self, path: str, api_version: str) -> str:
        return f"{self.base_url}{path}?api-version={api_version}"

    def operation_url(self, operation_id: str, api_version: str = "2023-04-01-preview") -> str:
        return self.url(f"{OPERATIONS}/mfeOperationsStatus/{operation_id}", api_version)

    def operation_headers(self, request: Request, operation_id: str, *, location: str | None = None) -> dict[str, str]:
        """`location` is the path of a new resource; None gives the one of the operation's result.

        There is no Retry-After: no recorded answer of an endpoint, a deployment or their operations has one.
        """
        version = request.query_params.get("api-version", "2023-04-01-preview")
        result = location or f"{OPERATIONS}/mfeOperationResults/{operation_id}"
        return {
            "Azure-AsyncOperation": self.operation_url(operation_id, version),
            "Location": self.url(result, version),
            "x-ms-async-operation-timeout": "PT30M",
        }

    def poll_headers(self) -> dict[str, str]:
        """Of the status of an operation that goes on."""
        return {} if self._poll_seconds is None else {"Retry-After": str(self._poll_seconds)}


def require_api_version(request: Request) -> None:
    """Raises Resource Manager's 400."""
    if not request.query_params.get("api-version"):
        raise errors.missing_api_version()


def require_workspace(request: Request, *, whole: bool = False) -> None:
    """Raises the front end's 404, or (`whole`: the workspace itself is asked for) Resource Manager's."""
    given = tuple(request.path_params[name].lower() for name in ("subscription", "group", "workspace"))
    if given == (SUBSCRIPTION_ID.lower(), RESOURCE_GROUP.lower(), WORKSPACE.lower()):
        return
    if whole:
        raise errors.resource_not_found("workspaces", request.path_params["workspace"], request.path_params["group"])
    raise errors.workspace_not_found()


def workspace_child(*segments: str) -> str:
    """The ARM id of something in the workspace."""
    return "/".join((WORKSPACE_ID, *segments))


def system_data(created: float, modified: float | None = None) -> dict[str, Any]:
    return {
        "createdAt": iso(created),
        "createdBy": _AUTHOR,
        "createdByType": "Application",
        "lastModifiedAt": iso(created if modified is None else modified),
        "lastModifiedBy": _AUTHOR,
        "lastModifiedByType": "Application",
    }


def job_system_data(created: float) -> dict[str, Any]:
    """Jobs do not say who touched them last (recording pipeline_job_child_runs)."""
    return {name: value for name, value in system_data(created).items() if name.startswith("created")}


def endpoint_system_data(created: float, modified: float) -> dict[str, Any]:
    """Nor do endpoints and deployments, but when (recording online_endpoint_and_deployment_create_delete)."""
    return {"createdAt": iso(created), "createdBy": _AUTHOR, "lastModifiedAt": iso(modified)}


def top(request: Request) -> int | None:
    """`$top`. Raises CloudError 400 when it is no number."""
    return _number(request, "$top")


def _number(request: Request, name: str) -> int | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    if not given.isdigit():
        raise CloudError(400, "InvalidQueryParameter", f"{name} must be a number, not '{given}'.")
    return int(given)


def page(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"value": list(items)}


def listing(request: Request, items: Sequence[T], body: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """One page of items: `$skip` are left out, `$top` and PAGE bound the rest. Raises CloudError 400.

    `nextLink` is absolute and carries the query on; who asks for the first `$top` gets none.
    """
    skip = _number(request, "$skip") or 0
    limit = top(request)
    end = skip + min(PAGE if limit is None else limit, PAGE)
    found = page([body(item) for item in items[skip:end]])
    if limit is None and end < len(items):
        found["nextLink"] = str(request.url.include_query_params(**{"$skip": end}))
    return found
