"""Azure Monitor's metrics batch API over the requests that the deployments really received.

Contract: `MetricsClient.query_resources` of azure-monitor-querymetrics; metric names, dimensions and grain:
https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-machinelearningservices-workspaces-onlineendpoints-metrics
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from localcloud.config import LOCATION, RESOURCE_GROUP, WORKSPACE_ID
from localcloud.http import ArmRoute, CloudError, json_object, with_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.usage import Sample, Usage

log = logging.getLogger(__name__)

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
METRIC = "RequestsPerMinute"
AUDIENCE = "https://metrics.monitor.azure.com"
MAX_RESOURCES = 50
"""Of one batch: https://learn.microsoft.com/rest/api/monitor/metrics-batch/batch"""

_GRAINS = {"PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440}
_DIMENSIONS = {name.lower(): name for name in ("deployment", "statusCode", "statusCodeClass", "modelStatusCode")}
_Group = tuple[tuple[str, str], ...]
"""Dimensions and their values."""

_ENDPOINT_ID = re.compile(re.escape(WORKSPACE_ID) + r"/onlineEndpoints/(?P<name>[^/]+)$", re.IGNORECASE)
_CLAUSE = re.compile(r"\s*(?P<dimension>\w+)\s+eq\s+'(?P<value>[^']*)'\s*$", re.IGNORECASE)
_DEFAULT_TOP = "10"
_DEFAULT_SPAN = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Trouble:
    """What tests can make it do: refuse everything, lack the newest minutes, know of requests late."""

    fail: bool = False
    omit_minutes: int = 0
    lag_minutes: int = 0


@dataclass(frozen=True)
class Query:
    """Minutes since the epoch, [first, end). `filters`: dimension → wanted values, "*" for any.

    `top` limits the series of a filtered query.
    """

    first: int
    end: int
    grain: str
    filters: dict[str, frozenset[str]]
    top: int

    @staticmethod
    def parse(parameters: QueryParams, now: float) -> Query:
        """Raises CloudError 400."""
        if parameters.get("metricnamespace", "").lower() != NAMESPACE.lower():
            raise _bad_request(f"Metric namespace '{parameters.get('metricnamespace')}' is not supported.")
        unknown = [name for name in parameters.get("metricnames", "").split(",") if name != METRIC]
        if unknown:
            raise _bad_request(
                "Failed to find metric configuration for provider: Microsoft.MachineLearningServices, resource "
                f"Type: workspaces/onlineEndpoints, metric: {', '.join(unknown)}, Valid metrics: {METRIC}"
            )
        aggregation = parameters.get("aggregation", "average")
        if aggregation.lower() != "average":
            raise _bad_request(f"Aggregation '{aggregation}' is not supported by {METRIC}: it has Average.")
        grain = parameters.get("interval", "PT1M").upper()
        if grain not in _GRAINS:
            raise _bad_request(f"Detected invalid time grain input '{grain}': use one of {', '.join(_GRAINS)}.")
        top = parameters.get("top", _DEFAULT_TOP)
        if not top.isdigit():
            raise _bad_request(f"top must be a number, not '{top}'.")
        end = _time(parameters.get("endtime")) or dt.datetime.fromtimestamp(now, dt.UTC)
        start = _time(parameters.get("starttime")) or end - _DEFAULT_SPAN
        if start >= end:
            raise _bad_request("The start time must be before the end time.")
        step = _GRAINS[grain] * 60
        return Query(
            first=int(start.timestamp() // step) * _GRAINS[grain],
            end=-int(-end.timestamp() // 60),
            grain=grain,
            filters=_filters(parameters.get("filter", "")),
            top=int(top),
        )


class Monitor:
    """`existed` says whether there is, or was, an endpoint of a name."""

    def __init__(self, usage: Usage, existed: Callable[[str], bool], wall: Callable[[], float] = time.time) -> None:
        self._usage = usage
        self._existed = existed
        self._wall = wall
        self.trouble = Trouble()
        self.routes: list[Route] = [
            ArmRoute(
                "/subscriptions/{subscription}/metrics:getBatch",
                with_token(self._batch, {AUDIENCE}),
                ["POST"],
            )
        ]

    async def _batch(self, request: Request) -> Response:
        if self.trouble.fail:
            raise CloudError(503, "ServiceUnavailable", "The metrics service is unavailable.")
        resources = (await json_object(request)).get("resourceids")
        if not isinstance(resources, list) or not resources:
            raise _bad_request("resourceids must be a list of at least one resource id.")
        if len(resources) > MAX_RESOURCES:
            raise _bad_request(f"A batch has at most {MAX_RESOURCES} resource ids, not {len(resources)}.")
        query = Query.parse(request.query_params, self._wall())
        return JSONResponse({"values": [self._result(str(resource), query) for resource in resources]})

    def _result(self, resource: str, query: Query) -> dict[str, Any]:
        match = _ENDPOINT_ID.match(resource)
        if match is None or not self._existed(match["name"]):
            raise CloudError(
                404,
                "ResourceNotFound",
                f"The Resource '{resource.partition('/providers/')[2]}' under resource group "
                f"'{RESOURCE_GROUP}' was not found.",
            )
        # The store knows each request; what Monitor has not heard of yet is not there.
        heard = min(query.end, self._current_minute() + 1 - self.trouble.lag_minutes)
        samples = self._usage.samples(match["name"], query.first, heard)
        return {
            "starttime": _iso(query.first),
            "endtime": _iso(query.end),
            "interval": query.grain,
            "namespace": NAMESPACE,
            "resourceregion": LOCATION,
            "resourceid": resource,
            "value": [
                {
                    "id": f"{resource}/providers/Microsoft.Insights/metrics/{METRIC}",
                    "type": "Microsoft.Insights/metrics",
                    "name": {"value": METRIC, "localizedValue": METRIC},
                    "displayDescription": "The number of requests sent to online endpoint within a minute",
                    "unit": "Count",
                    "timeseries": [
                        {"metadatavalues": _metadata(group), "data": self._points(members, query)}
                        for group, members in _series(samples, query)
                    ],
                    "errorCode": "Success",
                }
            ],
        }

    def _points(self, samples: list[Sample], query: Query) -> list[dict[str, Any]]:
        """An average per grain; a minute without requests counts as 0, one to be omitted has no value."""
        counts: defaultdict[int, int] = defaultdict(int)
        for sample in samples:
            counts[sample.minute] += sample.count
        size = _GRAINS[query.grain]
        known = min(query.end, self._current_minute() + 1 - self.trouble.omit_minutes)
        points: list[dict[str, Any]] = []
        for begin in range(query.first, query.end, size):
            minutes = range(begin, min(begin + size, query.end))
            point: dict[str, Any] = {"timeStamp": _iso(begin)}
            if minutes[-1] < known:
                point["average"] = sum(counts[minute] for minute in minutes) / len(minutes)
            points.append(point)
        return points

    def _current_minute(self) -> int:
        return int(self._wall() // 60)


def _series(samples: list[Sample], query: Query) -> list[tuple[_Group, list[Sample]]]:
    """Without a filter one series of everything; with one, a series for each combination that occurs."""
    if not query.filters:
        return [((), samples)]
    groups: defaultdict[_Group, list[Sample]] = defaultdict(list)
    for sample in samples:
        group = tuple((name, sample.dimension(name)) for name in query.filters)
        if all("*" in query.filters[name] or value.lower() in query.filters[name] for name, value in group):
            groups[group].append(sample)
    return list(groups.items())[: query.top]


def _metadata(group: _Group) -> list[dict[str, Any]]:
    return [{"name": {"value": name, "localizedValue": name}, "value": value} for name, value in group]


def _filters(text: str) -> dict[str, frozenset[str]]:
    """`A eq 'a' or A eq 'b' and B eq '*'`. Raises CloudError 400."""
    if not text.strip():
        return {}
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for clause in re.split(r"\s+(?:and|or)\s+", text.strip(), flags=re.IGNORECASE):
        match = _CLAUSE.match(clause)
        if match is None:
            raise _bad_request(f"The filter '{text}' cannot be read.")
        if match["dimension"].lower() not in _DIMENSIONS:
            raise _bad_request(
                f"Metric: {METRIC} does not support requested dimension combination: {match['dimension']}, "
                f"supported ones are: {', '.join(_DIMENSIONS.values())}"
            )
        wanted[_DIMENSIONS[match["dimension"].lower()]].add(match["value"].lower())
    return {dimension: frozenset(values) for dimension, values in wanted.items()}


def _time(text: str | None) -> dt.datetime | None:
    """Raises CloudError 400."""
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad_request(f"'{text}' is not a time.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _iso(minute: int) -> str:
    return dt.datetime.fromtimestamp(minute * 60, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bad_request(message: str) -> CloudError:
    return CloudError(400, "BadRequest", message)
