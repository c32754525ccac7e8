"""The endpoint of the metrics batch API, and the form of its answers."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, WORKSPACE_ID
from localcloud.http import ArmRoute, CloudError, json_object, with_token
from localcloud.monitor.metrics import DEPLOYMENTS, ENDPOINTS
from localcloud.monitor.points import Gaps, series
from localcloud.monitor.query import Query, bad_request
from localcloud.monitor.trouble import Trouble
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.usage import Sample, Usage
    from localcloud.monitor.metrics import Metric

AUDIENCE = "https://metrics.monitor.azure.com"
MAX_RESOURCES = 50
"""Of one batch: https://learn.microsoft.com/rest/api/monitor/metrics-batch/batch"""

_RESOURCES = {
    ENDPOINTS.lower(): re.compile(re.escape(WORKSPACE_ID) + r"/onlineEndpoints/(?P<endpoint>[^/]+)$", re.IGNORECASE),
    DEPLOYMENTS.lower(): re.compile(
        re.escape(WORKSPACE_ID) + r"/onlineEndpoints/(?P<endpoint>[^/]+)/deployments/(?P<deployment>[^/]+)$",
        re.IGNORECASE,
    ),
}
_TYPE = re.compile(r"/providers/(?P<provider>[^/]+)(?P<path>(?:/[^/]+/[^/]+)+)$", re.IGNORECASE)
_SUBSCRIPTION = re.compile(r"^/subscriptions/(?P<subscription>[^/]+)/", re.IGNORECASE)
_REGIONAL_HOST = re.compile(r"^(?P<region>[^.]+)\.metrics\.monitor\.")


class Monitor:
    """`existed` says whether there is, or was, an endpoint of a name.

    The region is the one in the host's name (`{region}.metrics.monitor…`) or in the path (`/metrics/{region}`);
    an address without a region is that of the only region that there is.
    """

    def __init__(self, usage: Usage, existed: Callable[[str], bool], wall: Callable[[], float] = time.time) -> None:
        self._usage = usage
        self._existed = existed
        self._wall = wall
        self.trouble = Trouble()
        batch = with_token(self._batch, {AUDIENCE})
        self.routes: list[Route] = [
            ArmRoute(prefix + "/subscriptions/{subscription}/metrics:getBatch", batch, ["POST"])
            for prefix in ("", "/metrics/{region}")
        ]

    async def _batch(self, request: Request) -> Response:
        if refusal := self.trouble.refusal():
            self.trouble = self.trouble.after_refusal()
            raise refusal
        query = Query.parse(request.query_params, self._wall())
        resources = (await json_object(request)).get("resourceids")
        if not isinstance(resources, list) or not resources or not all(isinstance(item, str) for item in resources):
            raise bad_request("resourceids must be a list of at least one resource id.")
        if len(resources) > MAX_RESOURCES:
            raise bad_request(f"A batch has at most {MAX_RESOURCES} resource ids, not {len(resources)}.")
        for resource in resources:
            self._check(resource, request.path_params["subscription"], query.namespace)
        _check_region(request)
        results = [self._result(resource, query) for resource in resources]
        return JSONResponse({"values": [result for result in results if result is not None]})

    def _check(self, resource: str, subscription: str, namespace: str) -> None:
        """All resources of a batch are of one subscription, region and type. Raises CloudError."""
        owner = _SUBSCRIPTION.match(resource)
        of_type = _type_of(resource)
        if owner is None or of_type is None:
            raise bad_request(f"'{resource}' is not a resource id.")
        if owner["subscription"].lower() != subscription.lower():
            raise bad_request(f"The resource '{resource}' is not in subscription '{subscription}'.")
        if of_type.lower() != namespace.lower():
            raise bad_request(f"The resource '{resource}' is of type {of_type}, not {namespace}.")
        match = _RESOURCES[namespace.lower()].match(resource)
        if subscription.lower() != SUBSCRIPTION_ID or match is None or not self._existed(match["endpoint"]):
            raise CloudError(
                404,
                "ResourceNotFound",
                f"The Resource '{resource.partition('/providers/')[2]}' under resource group "
                f"'{RESOURCE_GROUP}' was not found.",
            )

    def _result(self, resource: str, query: Query) -> dict[str, Any] | None:
        match = _RESOURCES[query.namespace.lower()].match(resource)
        assert match is not None
        endpoint, trouble = match["endpoint"], self.trouble
        if endpoint in trouble.omit_resources:
            return None
        samples = self._samples(endpoint, match.groupdict().get("deployment"), query)
        failed = endpoint in trouble.failed_resources
        return {
            "starttime": query.start,
            "endtime": query.stop,
            "interval": query.grain,
            "namespace": query.namespace.lower(),
            "resourceregion": LOCATION,
            "resourceid": resource,
            "value": [self._metric(resource, metric, samples, query, failed) for metric in query.metrics],
        }

    def _metric(
        self, resource: str, metric: Metric, samples: Sequence[Sample], query: Query, failed: bool
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "id": f"{resource}/providers/Microsoft.Insights/metrics/{metric.name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": metric.name, "localizedValue": metric.display_name},
            "displayDescription": metric.description,
            "unit": metric.unit,
        }
        if failed:
            error = {"errorCode": "InternalError", "errorMessage": "The data of this metric could not be read."}
            return {**answer, "timeseries": [], **error}
        return {**answer, "timeseries": series(metric, samples, query, self._gaps()), "errorCode": "Success"}

    def _samples(self, endpoint: str, deployment: str | None, query: Query) -> list[Sample]:
        """The store knows each request; what Monitor has not heard of yet is not there."""
        heard = min(query.end, self._current_minute() + 1 - self.trouble.lag_minutes)
        samples = self._usage.samples(endpoint, query.first, heard)
        if deployment is None:
            return samples
        return [sample for sample in samples if sample.deployment.lower() == deployment.lower()]

    def _gaps(self) -> Gaps:
        trouble = self.trouble
        return Gaps(
            known_until=self._current_minute() + 1 - trouble.omit_minutes,
            minutes=trouble.omitted,
            where_empty=trouble.empty == "absent",
        )

    def _current_minute(self) -> int:
        return int(self._wall() // 60)


def _check_region(request: Request) -> None:
    host = _REGIONAL_HOST.match(request.url.hostname or "")
    region = request.path_params.get("region") or (host["region"] if host else LOCATION)
    if region.lower() != LOCATION:
        raise bad_request(f"The resources are in region '{LOCATION}', not in '{region}', which this endpoint is for.")


def _type_of(resource: str) -> str | None:
    match = _TYPE.search(resource)
    if match is None:
        return None
    segments = match["path"].strip("/").split("/")
    return "/".join([match["provider"], *segments[::2]])
