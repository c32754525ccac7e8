"""The metrics that can be computed from real requests. Monitor knows no other here, and says so.

Names, units, aggregations and dimensions:
https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-machinelearningservices-workspaces-onlineendpoints-metrics
(…-onlineendpoints-deployments-metrics). Utilisation, connections, bytes on the wire, capacity and data collection
are left out: nothing here measures them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from localcloud.azureml.usage import Sample

ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
DEPLOYMENTS = f"{ENDPOINTS}/deployments"

AVERAGE = "Average"


@dataclass(frozen=True)
class Metric:
    """`value` is that of one minute, None when there is none; a minute with no requests is `empty`.

    All of them have one aggregation, over the values of the minutes of a grain.
    """

    name: str
    display_name: str
    description: str
    unit: str
    dimensions: tuple[str, ...]
    value: Callable[[Sequence[Sample]], float | None]
    empty: float | None = None
    aggregations: tuple[str, ...] = (AVERAGE,)


def _count(samples: Sequence[Sample]) -> float:
    return float(sum(sample.count for sample in samples))


def _mean_latency(samples: Sequence[Sample]) -> float | None:
    timed = sum(sum(sample.latencies.values()) for sample in samples)
    return sum(sample.milliseconds for sample in samples) / timed if timed else None


def _percentile(share: float) -> Callable[[Sequence[Sample]], float | None]:
    """The nearest rank, over latencies that are kept in steps of 2 %."""

    def value(samples: Sequence[Sample]) -> float | None:
        counts: dict[float, int] = {}
        for sample in samples:
            for latency, count in sample.latencies.items():
                counts[latency] = counts.get(latency, 0) + count
        rank = share * sum(counts.values())
        below = 0
        for latency in sorted(counts):
            below += counts[latency]
            if below >= rank:
                return latency
        return None

    return value


def _percentiles(dimensions: tuple[str, ...]) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            f"RequestLatency_P{percent}",
            f"Request Latency P{percent}",
            f"The P{percent} of the latency of the requests of the minute",
            "MilliSeconds",
            dimensions,
            _percentile(percent / 100),
        )
        for percent in (50, 90, 95, 99)
    )


_OF_ENDPOINTS = (
    Metric(
        "RequestsPerMinute",
        "Requests Per Minute",
        "The number of requests sent to online endpoint within a minute",
        "Count",
        ("deployment", "statusCode", "statusCodeClass", "modelStatusCode"),
        _count,
        empty=0.0,
    ),
    Metric(
        "RequestLatency",
        "Request Latency",
        "The average time from a request to its complete answer",
        "MilliSeconds",
        ("deployment",),
        _mean_latency,
    ),
    *_percentiles(("deployment",)),
)

NAMESPACES: dict[str, tuple[Metric, ...]] = {
    ENDPOINTS.lower(): _OF_ENDPOINTS,
    DEPLOYMENTS.lower(): _percentiles(()),
}
