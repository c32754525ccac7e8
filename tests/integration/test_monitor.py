"""The unmodified MetricsClient sees the requests that the deployments really received."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.monitor.querymetrics import MetricAggregationType, MetricsClient

from localcloud.config import SUBSCRIPTION_ID, WORKSPACE_ID
from tests.integration.azureml_support import Cloud, create_endpoint, score

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from azure.monitor.querymetrics import MetricsQueryResult

pytest_plugins = ("tests.integration.azureml_fixtures",)

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"


@pytest.fixture(scope="module")
def monitored(azureml_cloud: Cloud, served: str) -> str:
    """An endpoint with 3 good and 1 bad requests to blue and 2 to green, apart from what other tests sent."""
    for _ in range(3):
        assert score(azureml_cloud, served, "hi", deployment="blue").status_code == 200
    assert score(azureml_cloud, served, "fail", deployment="blue").status_code == 424
    for _ in range(2):
        assert score(azureml_cloud, served, "hi", deployment="green").status_code == 200
    return served


@pytest.fixture(autouse=True)
def no_trouble(azureml_cloud: Cloud) -> Iterator[None]:
    yield
    azureml_cloud.control("POST", "/monitor", {})


def endpoint_id(name: str) -> str:
    return f"{WORKSPACE_ID}/onlineEndpoints/{name}"


def query(cloud: Cloud, *names: str, region: str = "", **options: Any) -> list[MetricsQueryResult]:
    endpoint = cloud.config.azure_url + (f"/metrics/{region}" if region else "")
    with MetricsClient(endpoint, ManagedIdentityCredential(), retry_total=0) as client:
        return client.query_resources(
            **{
                "resource_ids": [endpoint_id(name) for name in names],
                "metric_namespace": NAMESPACE,
                "metric_names": ["RequestsPerMinute"],
                "timespan": dt.timedelta(minutes=30),
                "granularity": dt.timedelta(minutes=1),
                "aggregations": [MetricAggregationType.AVERAGE],
                **options,
            }
        )


def total(result: MetricsQueryResult) -> float:
    return sum(point.average or 0 for series in result.metrics[0].timeseries for point in series.data)


def test_a_batch_gives_a_series_per_endpoint_with_zero_for_quiet_minutes(azureml_cloud: Cloud, monitored: str) -> None:
    create_endpoint(azureml_cloud, "quiet")

    busy, quiet = query(azureml_cloud, monitored, "quiet")

    assert (busy.granularity, busy.namespace, busy.resource_region) == (
        dt.timedelta(minutes=1),
        NAMESPACE.lower(),
        "eastus",
    )
    assert total(busy) >= 6
    [series] = quiet.metrics[0].timeseries
    assert len(series.data) in (30, 31)
    assert {point.average for point in series.data} == {0}
    assert (quiet.metrics[0].name, quiet.metrics[0].unit) == ("RequestsPerMinute", "Count")


def test_requests_can_be_split_by_deployment_and_status(azureml_cloud: Cloud, monitored: str) -> None:
    [all_of_them] = query(azureml_cloud, monitored)
    [split] = query(azureml_cloud, monitored, filter="deployment eq '*'")
    [failed] = query(azureml_cloud, monitored, filter="deployment eq 'blue' and statusCode eq '424'")

    names = [series.metadata_values["deployment"] for series in split.metrics[0].timeseries]
    assert {"blue", "green"} <= set(names)
    assert total(split) == total(all_of_them)
    [series] = failed.metrics[0].timeseries
    assert series.metadata_values == {"deployment": "blue", "statusCode": "424"}
    assert total(failed) >= 1


def test_a_longer_grain_gives_averages_and_a_past_window_nothing(azureml_cloud: Cloud, monitored: str) -> None:
    [hour] = query(azureml_cloud, monitored, granularity=dt.timedelta(hours=1))
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    [past] = query(azureml_cloud, monitored, timespan=(long_ago, dt.timedelta(hours=1)))

    assert 0 < total(hour) < total(query(azureml_cloud, monitored)[0])
    assert total(past) == 0


def test_unknown_endpoints_are_an_error_but_deleted_ones_keep_their_history(azureml_cloud: Cloud) -> None:
    create_endpoint(azureml_cloud, "passing")
    azureml_cloud.arm("DELETE", "/onlineEndpoints/passing")
    deadline = time.monotonic() + 5
    while azureml_cloud.arm("GET", "/onlineEndpoints/passing").status_code != 404:
        assert time.monotonic() < deadline

    [gone] = query(azureml_cloud, "passing")

    assert total(gone) == 0
    with pytest.raises(ResourceNotFoundError, match="onlineEndpoints/never"):
        query(azureml_cloud, "passing", "never")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"metric_names": ["Nonsense"]}, "metric: Nonsense"),
        ({"metric_namespace": "Microsoft.Web/sites"}, "is not supported"),
        ({"metric_names": ["RequestsPerMinute", "ConnectionsActive"]}, "metric: ConnectionsActive, Valid metrics: Req"),
        ({"metric_names": ["CpuUtilizationPercentage"], "metric_namespace": f"{NAMESPACE}/deployments"}, "Valid"),
        ({"metric_names": ["RequestLatency"] * 21}, "at most 20"),
        ({"aggregations": [MetricAggregationType.TOTAL]}, "does not support requested aggregation: Total"),
        ({"aggregations": ["Average", "Maximum"]}, "does not support requested aggregation: Maximum"),
        ({"filter": "deployment eq 'a' or statusCode eq '200'"}, "cannot separate two different"),
        ({"filter": "deployment eq '*'", "roll_up_by": "statusCode"}, "not in the filter"),
        ({"filter": "statusCode eq '*'", "metric_names": ["RequestLatency"]}, "supported ones are: deployment"),
        ({"filter": "deployment eq '*'", "max_results": 0}, "top"),
        ({"filter": "deployment eq '*'", "order_by": "average up"}, "orderby"),
        ({"resource_ids": [endpoint_id("served"), "nonsense"]}, "is not a resource id"),
        ({"resource_ids": [WORKSPACE_ID]}, "is of type Microsoft.MachineLearningServices/workspaces, not"),
        ({"resource_ids": [endpoint_id("served/deployments/blue")]}, "onlineEndpoints/deployments, not"),
        ({"resource_ids": [endpoint_id("served"), endpoint_id("served").replace("1", "2")]}, "is not in subscription"),
        ({"region": "westus"}, "not in 'westus'"),
        ({"filter": "colour eq 'red'"}, "colour"),
        ({"filter": "nonsense"}, "cannot be read"),
        ({"granularity": dt.timedelta(minutes=7)}, "time grain"),
        ({"resource_ids": [endpoint_id("served")] * 51}, "at most 50"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    azureml_cloud: Cloud, monitored: str, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(HttpResponseError, match=complaint) as refusal:
        query(azureml_cloud, monitored, **options)

    assert refusal.value.status_code == 400
    assert refusal.value.error is not None
    assert refusal.value.error.code == "BadRequest"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingApiVersionParameter"),
        ({"api-version": "2019-07-01"}, "InvalidApiVersionParameter"),
        ({"api-version": "2024-02-01", "endtime": "2026-11-22T10:00:00Z"}, "BadRequest"),
        ({"api-version": "2024-02-01", "starttime": "2999-11-22T10:00:00Z"}, "BadRequest"),
        ({"api-version": "2024-02-01", "starttime": "soon"}, "BadRequest"),
    ],
)
def test_what_the_sdk_never_sends_is_refused_too(
    azureml_cloud: Cloud, monitored: str, parameters: dict[str, str], code: str
) -> None:
    asked = {"metricnamespace": NAMESPACE, "metricnames": "RequestsPerMinute", **parameters}
    answer = post(azureml_cloud, asked, {"resourceids": [endpoint_id(monitored)]})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("body", [{}, {"resourceids": []}, {"resourceids": "all"}, {"resourceids": [1]}])
def test_a_batch_names_its_resources(azureml_cloud: Cloud, monitored: str, body: object) -> None:
    asked = {"metricnamespace": NAMESPACE, "metricnames": "RequestsPerMinute", "api-version": "2024-02-01"}

    answer = post(azureml_cloud, asked, body)

    assert answer.status_code == 400
    assert "at least one resource id" in answer.json()["error"]["message"]


def post(cloud: Cloud, parameters: dict[str, str], body: object) -> httpx.Response:
    return cloud.http.post(
        f"/subscriptions/{SUBSCRIPTION_ID}/metrics:getBatch",
        params=parameters,
        json=body,
        headers={"Authorization": f"Bearer {cloud.token('https://metrics.monitor.azure.com')}"},
    )


def test_a_regional_address_is_as_good(azureml_cloud: Cloud, monitored: str) -> None:
    [result] = query(azureml_cloud, monitored, region="eastus")

    assert total(result) >= 6


def test_the_future_has_no_values(azureml_cloud: Cloud, monitored: str) -> None:
    now = dt.datetime.now(dt.UTC)

    [result] = query(azureml_cloud, monitored, timespan=(now - dt.timedelta(minutes=5), now + dt.timedelta(minutes=5)))

    values = [point.average for point in result.metrics[0].timeseries[0].data]
    assert values[-4:] == [None] * 4
    assert None not in values[:5]


def test_fifty_endpoints_are_one_batch(azureml_cloud: Cloud, monitored: str) -> None:
    assert len(query(azureml_cloud, *[monitored] * 50)) == 50


def test_latencies_are_those_of_the_requests(azureml_cloud: Cloud, monitored: str) -> None:
    names = ["RequestLatency", *(f"RequestLatency_P{percent}" for percent in (50, 90, 95, 99))]

    [result] = query(azureml_cloud, monitored, metric_names=names, granularity=None)
    [hour] = query(azureml_cloud, monitored, metric_names=names, granularity=dt.timedelta(hours=1))

    assert [(metric.name, metric.unit) for metric in result.metrics] == [(name, "MilliSeconds") for name in names]
    values = {
        metric.name: [p.average for s in metric.timeseries for p in s.data if p.average] for metric in hour.metrics
    }
    p50, p90, p99 = (values[f"RequestLatency_P{percent}"][-1] for percent in (50, 90, 99))
    assert 0 < p50 <= p90 <= p99 < 60_000
    assert values["RequestLatency"][-1] > 0
    assert [p.average for p in result.metrics[0].timeseries[0].data].count(None) >= 20  # quiet minutes have none


def test_a_deployment_is_a_resource_of_its_own(azureml_cloud: Cloud, monitored: str) -> None:
    options: dict[str, Any] = {"metric_namespace": f"{NAMESPACE}/deployments", "metric_names": ["RequestLatency_P50"]}

    found = query(azureml_cloud, f"{monitored}/deployments/blue", f"{monitored}/deployments/none", **options)

    blue, none = ([p.average for p in r.metrics[0].timeseries[0].data if p.average is not None] for r in found)
    assert blue
    assert not none


def test_series_can_be_rolled_up_ordered_and_limited(azureml_cloud: Cloud, monitored: str) -> None:
    by_both = "deployment eq '*' and statusCode eq '*'"

    [rolled_up] = query(azureml_cloud, monitored, filter=by_both, roll_up_by="statusCode")
    [ordered] = query(azureml_cloud, monitored, filter=by_both, order_by="average desc")
    [least] = query(azureml_cloud, monitored, filter=by_both, order_by="average asc", max_results=1)

    def sums(result: MetricsQueryResult) -> list[float]:
        return [sum(p.average or 0 for p in series.data) for series in result.metrics[0].timeseries]

    assert {tuple(series.metadata_values) for series in rolled_up.metrics[0].timeseries} == {("deployment",)}
    assert sums(ordered) == sorted(sums(ordered), reverse=True)
    assert sums(least) == [min(sums(ordered))]


def test_only_tokens_for_monitor_are_taken(azureml_cloud: Cloud, monitored: str) -> None:
    answer = azureml_cloud.http.post(
        "/subscriptions/x/metrics:getBatch", headers={"Authorization": f"Bearer {azureml_cloud.token()}"}
    )

    assert answer.status_code == 401


def test_monitor_can_be_down(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"fail": True})

    with pytest.raises(HttpResponseError, match="unavailable"):
        query(azureml_cloud, monitored)


def test_monitor_can_fail_a_number_of_times_in_a_way_that_is_wanted(azureml_cloud: Cloud, monitored: str) -> None:
    trouble = {"fail": True, "status": 429, "code": "TooManyRequests", "retry_after": 7, "times": 2}
    azureml_cloud.control("POST", "/monitor", trouble)

    for _ in range(2):
        with pytest.raises(HttpResponseError) as refusal:
            query(azureml_cloud, monitored)
        assert refusal.value.status_code == 429
        assert refusal.value.error is not None
        assert refusal.value.error.code == "TooManyRequests"
        response: Any = refusal.value.response
        assert response.headers["Retry-After"] == "7"

    assert total(query(azureml_cloud, monitored)[0]) >= 6


def test_monitor_can_lack_the_newest_minutes(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"omit_minutes": 10})

    [result] = query(azureml_cloud, monitored)

    values = [point.average for point in result.metrics[0].timeseries[0].data]
    assert values[-9:] == [None] * 9
    assert None not in values[:-11]


def test_monitor_can_lack_single_minutes(azureml_cloud: Cloud, monitored: str) -> None:
    [whole] = query(azureml_cloud, monitored)
    missing = whole.metrics[0].timeseries[0].data[7].timestamp
    azureml_cloud.control("POST", "/monitor", {"omit": [missing.isoformat()]})

    [result] = query(azureml_cloud, monitored)

    assert [p.timestamp for p in result.metrics[0].timeseries[0].data if p.average is None] == [missing]


def test_monitor_can_have_no_values_for_quiet_minutes(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"empty": "absent"})

    [result] = query(azureml_cloud, monitored)

    values = [point.average for point in result.metrics[0].timeseries[0].data]
    assert 0 not in values
    assert values.count(None) >= 20
    assert total(result) >= 6


def test_monitor_can_answer_for_some_resources_only(azureml_cloud: Cloud, monitored: str) -> None:
    create_endpoint(azureml_cloud, "mute")
    azureml_cloud.control("POST", "/monitor", {"omit_resources": ["mute"]})

    [result] = query(azureml_cloud, "mute", monitored)

    assert monitored in result.metrics[0].id


def test_monitor_can_say_that_a_metric_of_a_resource_failed(azureml_cloud: Cloud, monitored: str) -> None:
    create_endpoint(azureml_cloud, "broken-metrics")
    azureml_cloud.control("POST", "/monitor", {"failed_resources": ["broken-metrics"]})

    broken, whole = query(azureml_cloud, "broken-metrics", monitored)

    assert broken.metrics[0].timeseries == []
    assert total(whole) >= 6


def test_monitor_can_hear_of_requests_late(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"lag_minutes": 60})

    [result] = query(azureml_cloud, monitored)

    assert total(result) == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        {"unknown": 1},
        {"fail": "yes"},
        {"status": 200},
        {"times": -1},
        {"omit": ["soon"]},
        {"omit_resources": "all"},
        {"empty": "maybe"},
        {"lag_minutes": "1"},
    ],
)
def test_nonsensical_trouble_is_refused(azureml_cloud: Cloud, nonsense: dict[str, Any]) -> None:
    assert azureml_cloud.http.post("/_localcloud/monitor", json=nonsense).status_code == 400
