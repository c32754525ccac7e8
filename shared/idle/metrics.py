"""Azure Monitor's metrics batch API: the requests of many endpoints in few calls."""

from __future__ import annotations

import logging
import math
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import msgspec

from shared.azureml.translate import translated
from shared.errors import DroptuneError
from shared.idle.patience import at_once
from shared.idle.series import MINUTE, Series, Unavailable, ceil_minute, floor_minute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from azure.core.credentials import TokenCredential
    from azure.monitor.querymetrics import MetricsClient

    from shared.config import Settings
    from shared.idle.patience import Patiently

log = logging.getLogger(__name__)

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
METRIC = "RequestsPerMinute"
AGGREGATION = "average"
"""The only aggregation of this metric; its only grain is a minute."""
BATCH_SIZE = 50
"""Resources per call: https://learn.microsoft.com/rest/api/monitor/metrics-batch/batch"""
MAX_SPAN = timedelta(days=2)
"""Of one call: 50 endpoints and two days are 8 MB of JSON."""
API_VERSION = "2024-02-01"

_METRIC_PART = "/providers/microsoft.insights/metrics/"
_PUBLIC_AUDIENCE = "https://metrics.monitor.azure.com"


class _Point(msgspec.Struct):
    timeStamp: datetime
    average: float | None = None


class _Line(msgspec.Struct):
    data: list[_Point]


class _Metric(msgspec.Struct):
    id: str
    timeseries: list[_Line]


class _Result(msgspec.Struct):
    value: list[_Metric]


class _Answer(msgspec.Struct):
    """What counts of the answer; the SDK's own models take 3 s and 100 MB for 50 endpoints and a day."""

    values: list[_Result]


# Made at import, as the ledger's: see there.
_ANSWERS = msgspec.json.Decoder(_Answer)


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
        """For each id a gapless series over the whole minutes of [start, end), or why there is none."""
        return self.since(dict.fromkeys(endpoint_ids, start), end)

    def since(
        self, starts: Mapping[str, datetime], end: datetime, patiently: Patiently = at_once
    ) -> dict[str, Series | Unavailable]:
        """The same from a start for each id: Monitor has nothing of the time before an endpoint was made.

        Ids of near starts share a call, so that the number of calls does not hang on how many starts there are.
        Raises nothing that Monitor could cause: a failing batch makes its own endpoints Unavailable.
        """
        last = floor_minute(end)
        firsts = sorted(((ceil_minute(start), item) for item, start in starts.items()), key=itemgetter(0))
        answer: dict[str, Series | Unavailable] = {
            item: Unavailable("the time asked for holds no whole minute") for first, item in firsts if first >= last
        }
        asked = [(first, item) for first, item in firsts if first < last]
        for at in range(0, len(asked), BATCH_SIZE):
            answer.update(self._batch(asked[at : at + BATCH_SIZE], last, patiently))
        return answer

    def _batch(
        self, batch: Sequence[tuple[datetime, str]], end: datetime, patiently: Patiently
    ) -> dict[str, Series | Unavailable]:
        ids = [item for _, item in batch]
        try:
            minutes = self._minutes(ids, batch[0][0], end, patiently)
        except DroptuneError as error:
            reason = str(error)
        except Exception as error:  # an answer that can not be parsed fails in many ways
            log.exception("metrics of %d endpoints: unexpected answer", len(ids))
            reason = f"read metrics: unexpected answer: {type(error).__name__}"
        else:
            return {item: _complete(minutes.get(item.lower()), first, end) for first, item in batch}
        log.warning("no metrics of %d endpoints: %s", len(ids), reason)
        return dict.fromkeys(ids, Unavailable(reason))

    def _minutes(
        self, ids: Sequence[str], start: datetime, end: datetime, patiently: Patiently
    ) -> dict[str, dict[datetime, float]]:
        """Values by lower-case resource id and minute, MAX_SPAN at a time."""
        found: defaultdict[str, dict[datetime, float]] = defaultdict(dict)
        for number in range(math.ceil((end - start) / MAX_SPAN)):
            begin = start + number * MAX_SPAN
            until = min(begin + MAX_SPAN, end)
            for resource, minutes in patiently(partial(self._read, ids, begin, until)).items():
                found[resource].update(minutes)
        return found

    def _read(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, dict[datetime, float]]:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        request = HttpRequest("POST", _url(ids[0], start, end), json={"resourceids": list(ids)})
        with translated("read metrics"):
            response = self._metrics_client().send_request(request)
            if response.status_code != 200:
                raise HttpResponseError(response=response)
        found: dict[str, dict[datetime, float]] = {}
        for resource, metric in _by_resource(_ANSWERS.decode(response.content)):
            found.setdefault(resource, {}).update(_minutes(metric))
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


def _url(resource: str, start: datetime, end: datetime) -> str:
    """The API's own path names a subscription, the one of all resources of the batch."""
    parts = resource.split("/")
    subscription = parts[2] if len(parts) > 2 and parts[1].lower() == "subscriptions" else ""
    query = {
        "api-version": API_VERSION,
        "starttime": _stamp(start),
        "endtime": _stamp(end),
        "interval": "PT1M",
        "metricnamespace": NAMESPACE,
        "metricnames": METRIC,
        "aggregation": AGGREGATION,
    }
    return f"/subscriptions/{subscription}/metrics:getBatch?{urlencode(query)}"


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _by_resource(answer: _Answer) -> Iterable[tuple[str, _Metric]]:
    """Pairs of lower-case resource id and metric: a metric's own id begins with the resource's."""
    for result in answer.values:
        for metric in result.value:
            resource, found, name = metric.id.lower().partition(_METRIC_PART)
            if found and name == METRIC.lower():
                yield resource, metric


def _minutes(metric: _Metric) -> dict[datetime, float]:
    """The sum over all series of the metric; minutes without a usable value are left out."""
    minutes: dict[datetime, float] = {}
    for line in metric.timeseries:
        for point in line.data:
            if point.average is None or not math.isfinite(point.average):
                continue
            moment = point.timeStamp if point.timeStamp.tzinfo else point.timeStamp.replace(tzinfo=UTC)
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
    return Series(start, end, {minute: minutes[minute] for minute in wanted if minutes[minute]})
