"""Azure Monitor's metrics batch API: the requests of many endpoints in few calls."""

from __future__ import annotations

import logging
import math
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.azureml.translate import translated
from shared.errors import DroptuneError
from shared.idle.series import MINUTE, Series, Unavailable, ceil_minute, floor_minute

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from azure.core.credentials import TokenCredential
    from azure.monitor.querymetrics import Metric, MetricsClient, MetricsQueryResult

    from shared.config import Settings

log = logging.getLogger(__name__)

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
METRIC = "RequestsPerMinute"
AGGREGATION = "average"
"""The only aggregation of this metric; its only grain is a minute."""
BATCH_SIZE = 50
"""Resources per call: https://learn.microsoft.com/rest/api/monitor/metrics-batch/batch"""
MAX_SPAN = timedelta(days=1)
"""Of one call: 50 endpoints and a day are 4 MB of JSON, which the SDK takes 3 s to parse."""

_METRIC_PART = "/providers/microsoft.insights/metrics/"
_PUBLIC_AUDIENCE = "https://metrics.monitor.azure.com"


class RequestMetrics:
    """Reads RequestsPerMinute. The identity needs Monitoring Reader on the workspace's subscription."""

    def __init__(self, settings: Settings, credential: TokenCredential) -> None:
        region = f"https://{settings.azure_location}.metrics.monitor.azure.com"
        self._endpoint = settings.metrics_endpoint or region
        self._credential = credential
        self._timeouts = settings.timeouts
        self._lock = threading.Lock()
        self._client: MetricsClient | None = None

    def requests_per_minute(
        self, endpoint_ids: Sequence[str], start: datetime, end: datetime
    ) -> dict[str, Series | Unavailable]:
        """For each id a gapless series over the whole minutes of [start, end), or why there is none.

        Raises nothing that Monitor could cause: a failing batch makes its own endpoints Unavailable.
        """
        first, last = ceil_minute(start), floor_minute(end)
        answer: dict[str, Series | Unavailable] = {}
        for at in range(0, len(endpoint_ids), BATCH_SIZE):
            batch = endpoint_ids[at : at + BATCH_SIZE]
            answer.update(self._batch(batch, first, last))
        return answer

    def _batch(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, Series | Unavailable]:
        if start >= end:
            return dict.fromkeys(ids, Unavailable("the time asked for holds no whole minute"))
        try:
            minutes = self._read(ids, start, end)
        except DroptuneError as error:
            reason = str(error)
        except Exception as error:  # an answer that the SDK can not parse fails in many ways
            log.exception("metrics of %d endpoints: unexpected answer", len(ids))
            reason = f"read metrics: unexpected answer: {type(error).__name__}"
        else:
            return {item: _complete(minutes.get(item.lower()), start, end) for item in ids}
        log.warning("no metrics of %d endpoints: %s", len(ids), reason)
        return dict.fromkeys(ids, Unavailable(reason))

    def _read(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, dict[datetime, float]]:
        """Values by lower-case resource id and minute, one day at a time."""
        found: defaultdict[str, dict[datetime, float]] = defaultdict(dict)
        for number in range(math.ceil((end - start) / MAX_SPAN)):
            begin = start + number * MAX_SPAN
            with translated("read metrics"):
                results = self._metrics_client().query_resources(
                    resource_ids=list(ids),
                    metric_namespace=NAMESPACE,
                    metric_names=[METRIC],
                    timespan=(begin, min(begin + MAX_SPAN, end)),
                    granularity=MINUTE,
                    aggregations=[AGGREGATION],
                )
            for resource, metric in _by_resource(results):
                found[resource].update(_minutes(metric))
        return found

    def _metrics_client(self) -> MetricsClient:
        with self._lock:
            if self._client is None:
                from azure.monitor.querymetrics import MetricsClient

                # No retries: they sleep as long as Retry-After says, and the next sweep is one anyway.
                self._client = MetricsClient(
                    self._endpoint,
                    self._credential,
                    audience=audience_of(self._endpoint),
                    retry_total=0,
                    **self._timeouts.options(),
                )
            return self._client


def audience_of(endpoint: str) -> str:
    """The regional host without its region, in every cloud; the public one for hosts that are not Azure's."""
    service = (urlsplit(endpoint).hostname or "").partition(".")[2]
    return f"https://{service}" if service.startswith("metrics.monitor.") else _PUBLIC_AUDIENCE


def _by_resource(results: Iterable[MetricsQueryResult]) -> Iterable[tuple[str, Metric]]:
    """Pairs of lower-case resource id and metric.

    The SDK drops `resourceid` and the order is not promised, but a metric's own id begins with the resource's.
    """
    for result in results:
        for metric in result.metrics:
            resource, found, name = str(metric.id).lower().partition(_METRIC_PART)
            if found and name == METRIC.lower():
                yield resource, metric


def _minutes(metric: Metric) -> dict[datetime, float]:
    """The sum over all series of the metric; minutes without a usable value are left out."""
    minutes: dict[datetime, float] = {}
    for series in metric.timeseries:
        for point in series.data:
            if point.average is None or not math.isfinite(point.average):
                continue
            moment = point.timestamp if point.timestamp.tzinfo else point.timestamp.replace(tzinfo=UTC)
            minute = floor_minute(moment)
            minutes[minute] = minutes.get(minute, 0.0) + point.average
    return minutes


def _complete(minutes: dict[datetime, float] | None, start: datetime, end: datetime) -> Series | Unavailable:
    if minutes is None:
        return Unavailable("Monitor's answer does not mention the endpoint")
    wanted = [start + number * MINUTE for number in range((end - start) // MINUTE)]
    missing = [minute for minute in wanted if minute not in minutes]
    if missing:
        return Unavailable(
            f"{len(missing)} of {len(wanted)} minutes are missing, the last one {missing[-1]:%Y-%m-%d %H:%M}"
        )
    return Series({minute: minutes[minute] for minute in wanted})
