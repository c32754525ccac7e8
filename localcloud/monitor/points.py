"""From requests to the points of time series."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from localcloud.azureml.usage import Sample
    from localcloud.monitor.metrics import Metric
    from localcloud.monitor.query import Query

_Group = tuple[tuple[str, str], ...]
"""Dimensions and their values."""


@dataclass(frozen=True)
class Gaps:
    """Where values are missing: from the minute `known_until` on (the future, at least), in `minutes`, and (if so)
    where nothing was.
    """

    known_until: int
    minutes: frozenset[int]
    where_empty: bool


def series(metric: Metric, samples: Sequence[Sample], query: Query, gaps: Gaps) -> list[dict[str, Any]]:
    """Without a filter one series of everything; with one, a series for each combination that occurs."""
    found = [
        {"metadatavalues": _metadata(group), "data": _points(metric, members, query, gaps)}
        for group, members in _groups(samples, query)
    ]
    if query.descending is not None:
        found.sort(key=_sum, reverse=query.descending)
    return found[: query.top] if query.filters else found


def _groups(samples: Sequence[Sample], query: Query) -> list[tuple[_Group, Sequence[Sample]]]:
    if not query.filters:
        return [((), samples)]
    groups: defaultdict[_Group, list[Sample]] = defaultdict(list)
    for sample in samples:
        values = {name: sample.dimension(name) for name in query.filters}
        if all("*" in wanted or values[name].lower() in wanted for name, wanted in query.filters.items()):
            groups[tuple((name, value) for name, value in values.items() if name not in query.rolled_up)].append(sample)
    return list(groups.items())


def _points(metric: Metric, samples: Sequence[Sample], query: Query, gaps: Gaps) -> list[dict[str, Any]]:
    """The average of the values of a grain's minutes. What has no value is only a time stamp."""
    by_minute: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_minute[sample.minute].append(sample)
    points = []
    for begin in range(query.first, query.end, query.grain_minutes):
        minutes = range(begin, min(begin + query.grain_minutes, query.end))
        point: dict[str, Any] = {"timeStamp": _iso(begin)}
        average = _average(metric, by_minute, minutes, gaps)
        if average is not None:
            point["average"] = average
        points.append(point)
    return points


def _average(metric: Metric, samples: Mapping[int, Sequence[Sample]], minutes: range, gaps: Gaps) -> float | None:
    """None also when a minute of a grain is not known yet: the average would change."""
    if minutes[-1] >= gaps.known_until:
        return None
    values = [_value(metric, samples.get(minute, ()), gaps) for minute in minutes if minute not in gaps.minutes]
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _value(metric: Metric, samples: Sequence[Sample], gaps: Gaps) -> float | None:
    if samples:
        return metric.value(samples)
    return None if gaps.where_empty else metric.empty


def _sum(of_series: Mapping[str, Any]) -> float:
    return float(sum(point.get("average", 0.0) for point in of_series["data"]))


def _metadata(group: _Group) -> list[dict[str, Any]]:
    return [{"name": {"value": name, "localizedValue": name}, "value": value} for name, value in group]


def _iso(minute: int) -> str:
    return dt.datetime.fromtimestamp(minute * 60, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
