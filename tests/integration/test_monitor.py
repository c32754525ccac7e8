"""The unmodified MetricsClient sees the requests that the deployments really received."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.monitor.querymetrics import MetricAggregationType, MetricsClient

from localcloud.config import WORKSPACE_ID
from tests.integration.azureml_support import Cloud, create_endpoint, score

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def query(cloud: Cloud, *names: str, **options: Any) -> list[MetricsQueryResult]:
    with MetricsClient(cloud.config.azure_url, ManagedIdentityCredential(), retry_total=0) as client:
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

    assert (busy.granularity, busy.namespace, busy.resource_region) == (dt.timedelta(minutes=1), NAMESPACE, "eastus")
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
        ({"aggregations": [MetricAggregationType.TOTAL]}, "it has Average"),
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


def test_only_tokens_for_monitor_are_taken(azureml_cloud: Cloud, monitored: str) -> None:
    answer = azureml_cloud.http.post(
        "/subscriptions/x/metrics:getBatch", headers={"Authorization": f"Bearer {azureml_cloud.token()}"}
    )

    assert answer.status_code == 401


def test_monitor_can_be_down(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"fail": True})

    with pytest.raises(HttpResponseError, match="unavailable"):
        query(azureml_cloud, monitored)


def test_monitor_can_lack_the_newest_minutes(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"omit_minutes": 10})

    [result] = query(azureml_cloud, monitored)

    values = [point.average for point in result.metrics[0].timeseries[0].data]
    assert values[-9:] == [None] * 9
    assert None not in values[:-11]


def test_monitor_can_hear_of_requests_late(azureml_cloud: Cloud, monitored: str) -> None:
    azureml_cloud.control("POST", "/monitor", {"lag_minutes": 60})

    [result] = query(azureml_cloud, monitored)

    assert total(result) == 0
