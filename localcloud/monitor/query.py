"""What is asked of the metrics batch API, checked as Monitor checks it."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcloud.http import CloudError
from localcloud.monitor.metrics import NAMESPACES

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from localcloud.monitor.metrics import Metric

MAX_METRICS = 20
"""Of one query: https://learn.microsoft.com/azure/azure-monitor/essentials/rest-api-walkthrough"""

FULL = "FULL"
"""One point for the whole time asked for."""

_API_VERSIONS = ("2023-10-01", "2024-02-01")
_GRAINS = {"PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440}
_CLAUSE = re.compile(r"\s*(?P<dimension>\w+)\s+eq\s+'(?P<value>[^']*)'\s*$", re.IGNORECASE)
_ORDER = re.compile(r"\s*(?P<aggregation>\w+)(?:\s+(?P<direction>asc|desc))?\s*$", re.IGNORECASE)
_DEFAULT_TOP = "10"
_DEFAULT_SPAN = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Query:
    """Minutes since the epoch, [first, end); `start` and `stop` as they were asked for, for the answer.

    `filters`: dimension → wanted values in lower case, "*" for any. `top` limits the series of a filtered query,
    in the order of their values: `descending`, ascending, or as they come (None).
    """

    namespace: str
    metrics: tuple[Metric, ...]
    first: int
    end: int
    start: str
    stop: str
    grain: str
    filters: dict[str, frozenset[str]]
    rolled_up: frozenset[str]
    top: int
    descending: bool | None

    @property
    def grain_minutes(self) -> int:
        return self.end - self.first if self.grain == FULL else _GRAINS[self.grain]

    @staticmethod
    def parse(parameters: QueryParams, now: float) -> Query:
        """Raises CloudError 400."""
        _check_version(parameters.get("api-version"))
        namespace = parameters.get("metricnamespace", "")
        known = NAMESPACES.get(namespace.lower())
        if known is None:
            raise bad_request(f"Metric namespace '{namespace}' is not supported.")
        metrics = _metrics(namespace, known, parameters.get("metricnames", ""))
        _check_aggregations(metrics, parameters.get("aggregation", ""))
        grain = parameters.get("interval", "PT1M").upper()
        if grain not in (*_GRAINS, FULL):
            raise bad_request(f"Detected invalid time grain input '{grain}': use one of {', '.join(_GRAINS)}, {FULL}.")
        start, stop = _span(parameters, now)
        step = 1 if grain == FULL else _GRAINS[grain]
        filters = _filters(metrics, parameters.get("filter", ""))
        return Query(
            namespace=namespace,
            metrics=metrics,
            first=int(start.timestamp() // (step * 60)) * step,
            end=-int(-stop.timestamp() // 60),
            start=_stamp(start),
            stop=_stamp(stop),
            grain=grain,
            filters=filters,
            rolled_up=_rolled_up(filters, parameters.get("rollupby", "")),
            top=_top(parameters.get("top", _DEFAULT_TOP)),
            descending=_descending(parameters.get("orderby", "")),
        )


def bad_request(message: str) -> CloudError:
    return CloudError(400, "BadRequest", message)


def _check_version(version: str | None) -> None:
    if not version:
        raise CloudError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if version not in _API_VERSIONS and not version.endswith("-preview"):
        raise CloudError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. The supported versions are '{','.join(_API_VERSIONS)}'.",
        )


def _metrics(namespace: str, known: tuple[Metric, ...], names: str) -> tuple[Metric, ...]:
    by_name = {metric.name.lower(): metric for metric in known}
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name.lower() not in by_name]
    if unknown:
        provider, _, resource_type = namespace.partition("/")
        valid = ",".join(metric.name for metric in known)
        raise bad_request(
            f"Failed to find metric configuration for provider: {provider}, resource Type: {resource_type}, "
            f"metric: {','.join(unknown)}, Valid metrics: {valid}"
        )
    if len(wanted) > MAX_METRICS:
        raise bad_request(f"A query has at most {MAX_METRICS} metrics, not {len(wanted)}.")
    return tuple(by_name[name.lower()] for name in wanted)


def _check_aggregations(metrics: tuple[Metric, ...], text: str) -> None:
    for name in filter(None, (part.strip() for part in text.split(","))):
        for metric in metrics:
            if name.lower() not in (aggregation.lower() for aggregation in metric.aggregations):
                supported = ",".join(metric.aggregations)
                raise bad_request(
                    f"Metric: {metric.name} does not support requested aggregation: {name}, "
                    f"supported ones are: {supported}"
                )


def _span(parameters: QueryParams, now: float) -> tuple[dt.datetime, dt.datetime]:
    start, stop = _time(parameters.get("starttime")), _time(parameters.get("endtime"))
    if stop is not None and start is None:
        raise bad_request("The parameter starttime is required when endtime is given.")
    stop = stop or dt.datetime.fromtimestamp(now, dt.UTC)
    start = start or stop - _DEFAULT_SPAN
    if start >= stop:
        raise bad_request("The start time must be before the end time.")
    return start, stop


def _filters(metrics: tuple[Metric, ...], text: str) -> dict[str, frozenset[str]]:
    """`A eq 'a' or A eq 'b' and B eq '*'`: alternatives of one dimension, then the next."""
    if not text.strip():
        return {}
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    before = ""
    for clause in re.split(r"\s+(?=(?:and|or)\s)", text.strip(), flags=re.IGNORECASE):
        joined, _, rest = clause.partition(" ") if before else ("and", "", clause)
        match = _CLAUSE.match(rest)
        if match is None:
            raise bad_request(f"The filter '{text}' cannot be read.")
        dimension = _dimension(metrics, match["dimension"])
        if joined.lower() == "or" and dimension != before:
            raise bad_request(f"The filter '{text}' is invalid: 'or' cannot separate two different metadata names.")
        wanted[dimension].add(match["value"].lower())
        before = dimension
    return {dimension: frozenset(values) for dimension, values in wanted.items()}


def _dimension(metrics: tuple[Metric, ...], name: str) -> str:
    found = ""
    for metric in metrics:
        known = {dimension.lower(): dimension for dimension in metric.dimensions}
        if name.lower() not in known:
            raise bad_request(
                f"Metric: {metric.name} does not support requested dimension combination: {name}, "
                f"supported ones are: {','.join(metric.dimensions)}"
            )
        found = known[name.lower()]
    return found


def _rolled_up(filters: dict[str, frozenset[str]], text: str) -> frozenset[str]:
    names = {name.strip().lower() for name in text.split(",") if name.strip()}
    unknown = names - {dimension.lower() for dimension in filters}
    if unknown:
        raise bad_request(f"rollupby names {', '.join(sorted(unknown))}, which is not in the filter.")
    return frozenset(dimension for dimension in filters if dimension.lower() in names)


def _top(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise bad_request(f"top must be a positive number, not '{text}'.")
    return int(text)


def _descending(text: str) -> bool | None:
    if not text:
        return None
    match = _ORDER.match(text)
    if match is None:
        raise bad_request(f"orderby '{text}' cannot be read.")
    return (match["direction"] or "asc").lower() == "desc"


def _time(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f"'{text}' is not a time.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _stamp(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
