"""What Monitor tells of two deployments of an endpoint, side by side: requests, errors, latency."""

from __future__ import annotations

import logging
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.azureml.translate import translated
from shared.errors import DroptuneError
from shared.idle.metrics import AGGREGATION, METRIC, NAMESPACE, audience_of
from shared.idle.series import MINUTE, Unavailable, ceil_minute, floor_minute
from shared.lifecycle.canary import CanaryFigures, Side

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.monitor.querymetrics import MetricsClient, TimeSeriesElement

    from shared.config import Settings

log = logging.getLogger(__name__)

LATENCY = "RequestLatency_P95"
_MAX_SERIES = 200
"""Combinations of deployment and status: Monitor's own default is 10."""
_NOT_THE_CALLERS = frozenset({"408", "424", "429"})
"""Time-outs, the model's errors, too many requests at once: with 5xx what counts as an error. Managed endpoints'
other 4xx are the callers': https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints"""

Minutes = Mapping[datetime, float]


@dataclass(frozen=True)
class Readings:
    """Values by minute. `total`: requests of the endpoint, whose minutes without a value are not known.

    `requests` by deployment and HTTP status, `latency` by deployment in milliseconds; nothing is no request.
    """

    total: Minutes = field(default_factory=dict)
    requests: Mapping[tuple[str, str], Minutes] = field(default_factory=dict)
    latency: Mapping[str, Minutes] = field(default_factory=dict)


class CanaryMetrics:
    """The identity needs Monitoring Reader, as for the idle sweep."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        region = f"https://{settings.azure_location}.metrics.monitor.azure.com"
        self._endpoint = settings.metrics_endpoint or region
        self._credential = credential
        self._timeouts = settings.timeouts
        self._lock = threading.Lock()
        self._client: MetricsClient | None = None

    def figures(
        self, endpoint_id: str, new: str, live: str, start: datetime, end: datetime
    ) -> CanaryFigures | Unavailable:
        """Of the whole minutes of [start, end). Raises nothing that Monitor could cause."""
        first, last = ceil_minute(start), floor_minute(end)
        if first >= last:
            return Unavailable("no whole minute has passed that Monitor could know of")
        try:
            readings = self._read(endpoint_id, (new, live), first, last)
        except DroptuneError as error:
            return Unavailable(str(error))
        except Exception as error:  # an answer that the SDK can not parse fails in many ways
            log.exception("metrics of endpoint %s: unexpected answer", endpoint_id.rpartition("/")[2])
            return Unavailable(f"read metrics: unexpected answer: {type(error).__name__}")
        wanted = [first + number * MINUTE for number in range((last - first) // MINUTE)]
        missing = [minute for minute in wanted if minute not in readings.total]
        if missing:
            return Unavailable(f"{len(missing)} of {len(wanted)} minutes are missing")
        return CanaryFigures(last, _side(readings, new), _side(readings, live))

    def _read(self, endpoint_id: str, deployments: tuple[str, str], start: datetime, end: datetime) -> Readings:
        these = " or ".join(f"deployment eq '{name}'" for name in deployments)
        total = self._query(endpoint_id, METRIC, start, end, "")
        requests = self._query(endpoint_id, METRIC, start, end, f"{these} and statusCode eq '*'")
        latency = self._query(endpoint_id, LATENCY, start, end, these)
        return Readings(
            total=_summed(total),
            requests={
                (_dimension(item, "deployment"), _dimension(item, "statuscode")): _summed([item]) for item in requests
            },
            latency={_dimension(item, "deployment"): _summed([item]) for item in latency},
        )

    def _query(
        self, endpoint_id: str, metric: str, start: datetime, end: datetime, wanted: str
    ) -> list[TimeSeriesElement]:
        with translated("read metrics"):
            results = self._metrics_client().query_resources(
                resource_ids=[endpoint_id],
                metric_namespace=NAMESPACE,
                metric_names=[metric],
                timespan=(start, end),
                granularity=MINUTE,
                aggregations=[AGGREGATION],
                filter=wanted or None,
                max_results=_MAX_SERIES if wanted else None,
            )
        return [series for result in results for found in result.metrics for series in found.timeseries]

    def _metrics_client(self) -> MetricsClient:
        with self._lock:
            if self._client is None:
                from azure.monitor.querymetrics import MetricsClient

                # No retries: they sleep as long as Retry-After says, and the next look is one anyway.
                self._client = MetricsClient(
                    self._endpoint,
                    self._credential,
                    audience=audience_of(self._endpoint),
                    retry_total=0,
                    **self._timeouts.options(),
                )
            return self._client


def _side(readings: Readings, deployment: str) -> Side:
    own = {status: minutes for (name, status), minutes in readings.requests.items() if _same(name, deployment)}
    by_minute: defaultdict[datetime, float] = defaultdict(float)
    for minutes in own.values():
        for minute, count in minutes.items():
            by_minute[minute] += count
    latency = next((minutes for name, minutes in readings.latency.items() if _same(name, deployment)), {})
    timed = {minute: value for minute, value in latency.items() if by_minute.get(minute)}
    weight = sum(by_minute[minute] for minute in timed)
    return Side(
        requests=sum(by_minute.values()),
        errors=sum(sum(minutes.values()) for status, minutes in own.items() if _is_error(status)),
        latency_p95_seconds=(
            sum(value * by_minute[minute] for minute, value in timed.items()) / weight / 1000 if weight else None
        ),
    )


def _is_error(status: str) -> bool:
    """A request that came to no status at all is one too."""
    return status in _NOT_THE_CALLERS or not status.isdigit() or status.startswith(("0", "5"))


def _same(name: str, deployment: str) -> bool:
    """Monitor writes the values of dimensions in lower case at times."""
    return name.casefold() == deployment.casefold()


def _dimension(series: TimeSeriesElement, name: str) -> str:
    return next((str(value) for key, value in series.metadata_values.items() if key.casefold() == name), "")


def _summed(series: Iterable[TimeSeriesElement]) -> dict[datetime, float]:
    minutes: defaultdict[datetime, float] = defaultdict(float)
    for item in series:
        for point in item.data:
            if point.average is None or not math.isfinite(point.average):
                continue
            moment = point.timestamp if point.timestamp.tzinfo else point.timestamp.replace(tzinfo=UTC)
            minutes[floor_minute(moment)] += point.average
    return dict(minutes)
