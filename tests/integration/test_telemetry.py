"""A tuning's whole life as one trace, with its metrics and log lines, sent by OTLP to the local cloud's collector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import httpx
import pytest

from shared.lifecycle.tuning import State, Tuning
from shared.services import Services
from shared.telemetry.otel import OpenTelemetry
from tests.contract.twins.real_subject import RealSubject, real_subject
from tests.integration.whole_life import Life, at_once

pytestmark = pytest.mark.localcloud


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    links: int


@dataclass(frozen=True)
class Told:
    tuning: Tuning
    spans: list[Span]
    metrics: dict[str, list[dict[str, Any]]]
    logs: list[dict[str, Any]]
    tags: list[dict[str, str]]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def only(self, name: str) -> Span:
        (span,) = self.named(name)
        return span


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSubject]:
    with real_subject(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def told(subject: RealSubject) -> Told:
    services = _telling(subject)
    tuning = Life(subject, services).drop("traced")
    services.reconciler.run()
    _close(services)
    resources = subject.control("GET", "/resources")
    tags = [item["tags"] for kind in ("jobs", "deployments") for item in resources[kind]]
    return Told(
        tuning,
        [span for span in _spans(subject) if span.attributes.get("droptune.dataset") == "traced"],
        _metrics(subject),
        _records(subject, "logs", "resourceLogs", "scopeLogs", "logRecords"),
        tags,
    )


def test_everything_that_happened_is_one_trace(told: Told) -> None:
    assert told.tuning.state is State.LIVE, told.tuning.reason
    assert told.tuning.trace is not None
    assert {span.trace for span in told.spans} == {told.tuning.trace.id}
    functions = {"dataset_uploaded", "dataset_settled", "deployment_progress", "job_completed", "smoke_test"}
    assert functions <= {span.name for span in told.spans}


def test_the_trace_has_one_root_and_every_parent_is_there(told: Told) -> None:
    root = told.only("tuning traced")
    assert root.parent == ""
    assert told.tuning.trace is not None
    assert root.id == told.tuning.trace.root_span
    ids = {span.id for span in told.spans}
    assert [span.name for span in told.spans if span.parent not in ids] == ["tuning traced"]


def test_each_stage_is_a_span_and_they_follow_one_another(told: Told) -> None:
    stages = sorted((span for span in told.spans if span.name.startswith("stage ")), key=lambda span: span.start)
    assert [span.name.removeprefix("stage ") for span in stages] == [
        "collecting",
        "preparing",
        "training",
        "registered",
        "deploying",
        "testing",
        "promoting",
    ]
    for before, after in pairwise(stages[1:]):
        assert before.end == after.start
    root = told.only("tuning traced")
    assert (stages[0].start, stages[-1].end) == (root.start, root.end)


def test_work_is_linked_to_the_work_that_sent_its_message(told: Told) -> None:
    assert told.only("dataset_settled").links == 1
    looks = told.named("deployment_progress")
    assert sum(look.links for look in looks) >= len(looks) - 1, "the first look out of turn has no sender at most"


def test_jobs_and_deployments_carry_the_trace(told: Told) -> None:
    assert told.tuning.trace is not None
    expected = f"00-{told.tuning.trace.id}-{told.tuning.trace.root_span}-01"
    assert [tags.get("traceparent") for tags in told.tags] == [expected] * 2


def test_metrics_tell_of_states_durations_and_speed(told: Told) -> None:
    states = told.metrics["droptune.tunings"][-1]["gauge"]["dataPoints"]
    assert [(_attributes(point)["droptune.tuning.state"], point["asInt"]) for point in states] == [("live", "1")]
    durations = told.metrics["droptune.stage.duration"][-1]["histogram"]["dataPoints"]
    assert {_attributes(point)["droptune.tuning.state"] for point in durations} >= {"training", "deploying"}
    (speed,) = told.metrics["droptune.validation.throughput"][-1]["histogram"]["dataPoints"]
    assert speed["sum"] > 0


def test_log_lines_say_which_tuning_and_trace_they_are_about(told: Told) -> None:
    assert told.tuning.trace is not None
    about = [line for line in told.logs if _attributes(line).get("droptune.tuning.id") == told.tuning.id]
    assert any("CreateDeployment" in line["body"]["stringValue"] for line in about)
    traces = {line["traceId"] for line in about}
    assert traces == {told.tuning.trace.id}


def test_a_rejected_version_is_a_trace_that_ends_with_an_error(subject: RealSubject) -> None:
    services = _telling(subject)
    life = Life(subject, services)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.integration.whole_life.chats", lambda *_: b'{"messages": []}\n' * 20)
        tuning = life.drop("refused")
    _close(services)
    assert tuning.state is State.REJECTED
    spans = [span for span in _spans(subject) if span.attributes.get("droptune.dataset") == "refused"]
    assert {"tuning refused", "stage collecting", "dataset_settled"} <= {span.name for span in spans}


def test_nothing_is_lost_when_nobody_collects(subject: RealSubject) -> None:
    services = _telling(subject, endpoint="http://127.0.0.1:9")
    services = Services(replace(services.settings, connect_timeout_seconds=1))
    assert Life(subject, services).drop("untold").state is State.LIVE
    _close(services)


def test_the_collector_refuses_what_is_no_telemetry(subject: RealSubject) -> None:
    url = f"{subject._config.azure_url}/_localcloud/telemetry/v1"
    with httpx.Client(verify=False) as client:
        headers = {"content-type": "application/x-protobuf"}
        assert client.post(f"{url}/traces", content=b"\xff\xff", headers=headers).status_code == 400
        assert client.post(f"{url}/traces", json={}).status_code == 415
        assert client.post(f"{url}/profiles", content=b"", headers=headers).status_code == 404


def _telling(subject: RealSubject, endpoint: str = "") -> Services:
    collector = endpoint or f"{subject._config.azure_url}/_localcloud/telemetry"
    return Services(replace(at_once(subject).settings, telemetry="otlp", otlp_endpoint=collector))


def _close(services: Services) -> None:
    assert isinstance(services.telemetry, OpenTelemetry)
    services.telemetry.close()


def _records(subject: RealSubject, signal: str, resources: str, scopes: str, records: str) -> list[dict[str, Any]]:
    return [
        record
        for export in subject.control("GET", f"/telemetry/{signal}")
        for resource in export[resources]
        for scope in resource[scopes]
        for record in scope[records]
    ]


def _spans(subject: RealSubject) -> list[Span]:
    return [
        Span(
            raw["name"],
            raw["traceId"],
            raw["spanId"],
            raw.get("parentSpanId", ""),
            int(raw["startTimeUnixNano"]),
            int(raw["endTimeUnixNano"]),
            _attributes(raw),
            len(raw.get("links", [])),
        )
        for raw in _records(subject, "traces", "resourceSpans", "scopeSpans", "spans")
    ]


def _metrics(subject: RealSubject) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for metric in _records(subject, "metrics", "resourceMetrics", "scopeMetrics", "metrics"):
        found[metric["name"]].append(metric)
    return found


def _attributes(record: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in record.get("attributes", [])}
