"""Through the unmodified azure-monitor-querymetrics, against a local HTTPS server that plays Monitor."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import AccessToken

from shared.config import Settings
from shared.idle.metrics import RequestMetrics, audience_of
from shared.idle.series import Series, Unavailable
from tests.unit.https_server import HttpsServer, send, serve

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
END = START + timedelta(minutes=3)
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/Chat"
    "/providers/Microsoft.MachineLearningServices/workspaces/W"
)
Point = dict[str, Any]


def endpoint_id(name: str) -> str:
    return f"{WORKSPACE}/onlineEndpoints/{name}"


class Credential:
    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("token", int(time.time()) + 3600)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpsServer]:
    with serve(tmp_path, monkeypatch) as running:
        yield running


def metrics_of(server: HttpsServer, credential: Credential | None = None) -> RequestMetrics:
    settings = Settings(
        azure_subscription_id="s",
        azure_resource_group="g",
        azureml_workspace="w",
        azure_location="eastus",
        storage_blob_uri="",
        storage_queue_uri="",
        storage_table_uri="",
        metrics_endpoint=server.url,
    )
    return RequestMetrics(settings, credential or Credential())


def points(*values: float | None, start: datetime = START) -> list[Point]:
    stamps = [f"{start + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}" for number in range(len(values))]
    return [
        {"timeStamp": stamp} if value is None else {"timeStamp": stamp, "average": value}
        for stamp, value in zip(stamps, values, strict=True)
    ]


def result(resource: str, *series: Sequence[Point], metric: str = "RequestsPerMinute") -> dict[str, Any]:
    return {
        "starttime": "2026-11-22T10:00:00Z",
        "endtime": "2026-11-22T10:03:00Z",
        "interval": "PT1M",
        "namespace": "microsoft.machinelearningservices/workspaces/onlineendpoints",
        "resourceregion": "eastus",
        "resourceid": resource,
        "value": [
            {
                "id": f"{resource}/providers/Microsoft.Insights/metrics/{metric}",
                "type": "Microsoft.Insights/metrics",
                "name": {"value": metric, "localizedValue": metric},
                "unit": "Count",
                "errorCode": "Success",
                "timeseries": [{"metadatavalues": [], "data": list(data)} for data in series],
            }
        ],
    }


def answering(*results: dict[str, Any]) -> Callable[[BaseHTTPRequestHandler], None]:
    body = json.dumps({"values": results}).encode()
    return lambda handler: send(handler, 200, body, Content_Type="application/json")


def read(server: HttpsServer, *names: str) -> dict[str, Series | Unavailable]:
    return metrics_of(server).requests_per_minute([endpoint_id(name) for name in names], START, END)


def test_the_question_is_the_batch_api_s_and_the_token_monitor_s(server: HttpsServer) -> None:
    server.respond = answering(result(endpoint_id("a"), points(0, 0, 0)))
    credential = Credential()

    metrics_of(server, credential).requests_per_minute([endpoint_id("a")], START, END)

    [request] = server.requests
    parts = urlsplit(request.path)
    assert parts.path == "/subscriptions/11111111-2222-3333-4444-555555555555/metrics:getBatch"
    assert {name: value for name, [value] in parse_qs(parts.query).items()} == {
        "api-version": "2024-02-01",
        "starttime": "2026-11-22T10:00:00.000Z",
        "endtime": "2026-11-22T10:03:00.000Z",
        "interval": "PT1M",
        "metricnamespace": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
        "metricnames": "RequestsPerMinute",
        "aggregation": "average",
    }
    assert json.loads(request.body) == {"resourceids": [endpoint_id("a")]}
    assert set(credential.scopes) == {"https://metrics.monitor.azure.com/.default"}


def test_every_endpoint_gets_its_own_minutes_whatever_the_order_and_the_case(server: HttpsServer) -> None:
    server.respond = answering(
        result(endpoint_id("b").upper(), points(0, 2.5, 0)),
        result(endpoint_id("a").lower(), points(1, 0, 0)),
    )

    answer = read(server, "a", "b")

    minutes = [START + timedelta(minutes=number) for number in range(3)]
    assert answer == {
        endpoint_id("a"): Series.of(dict(zip(minutes, [1, 0, 0], strict=True))),
        endpoint_id("b"): Series.of(dict(zip(minutes, [0, 2.5, 0], strict=True))),
    }


def test_several_series_of_an_endpoint_are_added_up(server: HttpsServer) -> None:
    server.respond = answering(result(endpoint_id("a"), points(0, 1, None), points(0, 2, 0)))

    answer = read(server, "a")[endpoint_id("a")]

    assert isinstance(answer, Series)
    assert list(answer.minutes.values()) == [0, 3, 0]


def test_a_long_time_is_asked_for_two_days_at_a_time(server: HttpsServer) -> None:
    spans: list[tuple[datetime, datetime]] = []

    def respond(handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)
        begin, until = (datetime.fromisoformat(query[name][0]) for name in ("starttime", "endtime"))
        spans.append((begin, until))
        values = [float(len(spans))] * ((until - begin) // timedelta(minutes=1))
        answering(result(endpoint_id("a"), points(*values, start=begin)))(handler)

    server.respond = respond
    end = START + timedelta(days=4, minutes=2)

    answer = metrics_of(server).requests_per_minute([endpoint_id("a")], START, end)[endpoint_id("a")]

    days = [START, START + timedelta(days=2), START + timedelta(days=4), end]
    assert spans == list(pairwise(days))
    assert isinstance(answer, Series)
    assert (answer.start, answer.end, sum(answer.minutes.values())) == (START, end, 2 * 1440 + 2 * 2 * 1440 + 3 * 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "3 of 3 minutes are missing"),
        (points(0, None, 0), "1 of 3 minutes are missing, the last one 2026-11-22 10:01"),
        (points(0, 0), "1 of 3 minutes are missing, the last one 2026-11-22 10:02"),
        (points(0, 0, 0, start=START + timedelta(minutes=1)), "1 of 3 minutes"),
    ],
)
def test_a_gap_makes_the_endpoint_unavailable(server: HttpsServer, data: list[Point], reason: str) -> None:
    server.respond = answering(result(endpoint_id("a"), data))

    answer = read(server, "a")[endpoint_id("a")]

    assert isinstance(answer, Unavailable)
    assert reason in answer.reason


def test_minutes_outside_of_the_time_asked_for_are_left_out(server: HttpsServer) -> None:
    server.respond = answering(result(endpoint_id("a"), points(*[0.0] * 9, start=START - timedelta(minutes=3))))

    answer = read(server, "a")[endpoint_id("a")]

    assert isinstance(answer, Series)
    assert (answer.start, answer.end) == (START, END)


def test_an_endpoint_that_the_answer_leaves_out_is_unavailable(server: HttpsServer) -> None:
    server.respond = answering(
        result(endpoint_id("a"), points(0, 0, 0)),
        result(endpoint_id("b"), points(0, 0, 0), metric="RequestLatency"),
    )

    answer = read(server, "a", "b", "c")

    assert isinstance(answer[endpoint_id("a")], Series)
    missing = Unavailable("Monitor's answer does not mention the endpoint")
    assert (answer[endpoint_id("b")], answer[endpoint_id("c")]) == (missing, missing)


def test_a_batch_has_at_most_50_endpoints_and_fails_alone(server: HttpsServer) -> None:
    names = [f"e{number}" for number in range(120)]

    def respond(handler: BaseHTTPRequestHandler) -> None:
        ids = json.loads(server.requests[-1].body)["resourceids"]
        if endpoint_id("e60") in ids:
            body = b'{"error": {"code": "Throttled", "message": "Too many requests"}}'
            send(handler, 429, body, Content_Type="application/json", Retry_After="600")
        else:
            answering(*(result(item, points(0, 0, 0)) for item in ids))(handler)

    server.respond = respond
    started = time.monotonic()

    answer = read(server, *names)

    assert time.monotonic() - started < 10
    assert [len(json.loads(request.body)["resourceids"]) for request in server.requests] == [50, 50, 20]
    unavailable = [name for name in names if isinstance(answer[endpoint_id(name)], Unavailable)]
    assert unavailable == names[50:100]
    throttled = answer[endpoint_id("e60")]
    assert isinstance(throttled, Unavailable)
    assert "HTTP 429: Too many requests" in throttled.reason


def test_a_thousand_endpoints_of_all_ages_take_a_call_for_fifty_of_them() -> None:
    asked: list[tuple[int, datetime]] = []

    class Quiet(RequestMetrics):
        def __init__(self) -> None:
            pass

        def _read(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, dict[datetime, float]]:
            asked.append((len(ids), start))
            minutes = {
                start + timedelta(minutes=number): 0.0 for number in range((end - start) // timedelta(minutes=1))
            }
            return {item.lower(): minutes for item in ids}

    ages = {endpoint_id(f"e{number}"): END - timedelta(minutes=1 + 1559 * number // 999) for number in range(1000)}

    answer = Quiet().since(ages, END)

    assert len(asked) == 20
    assert all(isinstance(found, Series) and found.start == ages[item] for item, found in answer.items())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": {"code": "C", "message": "M"}}'])
def test_an_error_of_monitor_makes_endpoints_unavailable(server: HttpsServer, status: int, body: bytes) -> None:
    server.respond = lambda handler: send(handler, status, body, Content_Type="application/json")

    answer = read(server, "a")[endpoint_id("a")]

    assert isinstance(answer, Unavailable)
    assert "read metrics: " in answer.reason
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b"{}",
        b"[]",
        b'{"values": null}',
        b'{"values": [null]}',
        b'{"values": [{}]}',
        b'{"values": [{"value": [{"timeseries": [{"data": [{}]}]}]}]}',
        b"<html>",
    ],
)
def test_garbage_makes_endpoints_unavailable(server: HttpsServer, body: bytes) -> None:
    server.respond = lambda handler: send(handler, 200, body, Content_Type="application/json")

    assert isinstance(read(server, "a")[endpoint_id("a")], Unavailable)


def test_a_monitor_that_can_not_be_reached_makes_endpoints_unavailable() -> None:
    metrics = metrics_of(HttpsServer(url="https://127.0.0.1:1"))

    assert isinstance(metrics.requests_per_minute([endpoint_id("a")], START, END)[endpoint_id("a")], Unavailable)


def test_a_malformed_id_makes_its_batch_unavailable(server: HttpsServer) -> None:
    assert isinstance(metrics_of(server).requests_per_minute(["x"], START, END)["x"], Unavailable)


def test_only_whole_minutes_are_asked_for(server: HttpsServer) -> None:
    server.respond = answering(result(endpoint_id("a"), points(0, 0, 0)))
    start, end = START - timedelta(seconds=30), END + timedelta(seconds=30)

    answer = metrics_of(server).requests_per_minute([endpoint_id("a")], start, end)[endpoint_id("a")]

    assert isinstance(answer, Series)
    assert (answer.start, answer.end) == (START, END)


@pytest.mark.parametrize("seconds", [0, 30, -60])
def test_a_time_without_a_whole_minute_is_not_asked_for(server: HttpsServer, seconds: int) -> None:
    end = START + timedelta(seconds=seconds)

    answer = metrics_of(server).requests_per_minute([endpoint_id("a")], START, end)

    assert isinstance(answer[endpoint_id("a")], Unavailable)
    assert server.requests == []


@pytest.mark.parametrize(
    ("endpoint", "audience"),
    [
        ("https://eastus.metrics.monitor.azure.com", "https://metrics.monitor.azure.com"),
        ("https://usgovvirginia.metrics.monitor.azure.us/", "https://metrics.monitor.azure.us"),
        ("https://127.0.0.1:8443", "https://metrics.monitor.azure.com"),
    ],
)
def test_the_token_s_audience_follows_the_cloud(endpoint: str, audience: str) -> None:
    assert audience_of(endpoint) == audience
