"""Metrics of a job whose steps, or the steps of its steps, logged them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shared.azureml.resources import MetricPoint
from shared.azureml.run_metrics import MAX_RUNS, RunMetrics

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
Points = Mapping[str, Mapping[str, list[Any]]]


def runs(children: Mapping[str, list[str]], logged: Points, asked: list[str] | None = None) -> RunMetrics:
    """`logged`: run → metric → values, the last one the newest; step by step, a second each."""

    def item(metric: str, number: int, value: Any) -> dict[str, Any]:
        return {"key": metric, "value": value, "step": number, "timestamp": int(AT.timestamp() * 1000) + number * 1000}

    def fetch(url: str, doing: str) -> Mapping[str, Any] | None:
        if asked is not None:
            asked.append(url)
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.endswith("/children"):
            found = children.get(parts.path.split("/")[-2], [])
            return {"value": [{"runId": run} for run in found]}
        metrics = logged.get(query["run_id"])
        if parts.path.endswith("/metrics/get-history"):
            values = (metrics or {})[query["metric_key"]]
            return {"metrics": [item(query["metric_key"], n, value) for n, value in enumerate(values)]}
        assert parts.path.endswith("/api/2.0/mlflow/runs/get")
        if metrics is None:
            return None
        newest = [item(metric, len(values), values[-1]) for metric, values in metrics.items()]
        return {"run": {"data": {"metrics": newest}}}

    return RunMetrics(fetch, lambda: "https://history", lambda: "https://tracking")


def test_what_the_steps_of_a_step_logged_is_the_jobs() -> None:
    found = runs({"job": ["a", "sub"], "sub": ["finetune"]}, {"finetune": {"eval_loss": [3.0, 0.5]}})

    assert found.newest("job") == {"eval_loss": 0.5}
    at = [datetime.fromtimestamp(AT.timestamp() + n, UTC) for n in range(2)]
    assert found.histories("job", ("loss", "eval_loss")) == {
        "eval_loss": (MetricPoint(0, 3.0, at[0]), MetricPoint(1, 0.5, at[1]))
    }


def test_of_two_runs_the_one_nearer_to_the_root_counts() -> None:
    found = runs({"job": ["step"]}, {"job": {"loss": [1.0]}, "step": {"loss": [2.0], "test_loss": [4.0]}})

    assert found.newest("job") == {"loss": 1.0, "test_loss": 4.0}
    assert found.histories("job", ("loss",))["loss"][0].value == 1.0


def test_a_job_that_logged_nothing_has_no_metrics() -> None:
    assert runs({}, {}).newest("job") == {}
    assert runs({"job": ["step"]}, {"step": {}}).histories("job", ("loss",)) == {}


def test_what_is_no_number_is_left_out() -> None:
    found = runs({}, {"job": {"loss": [1.0, "NaN", float("inf"), None, 2.0], "eval_loss": ["NaN"]}})

    assert found.newest("job") == {"loss": 2.0}
    assert [point.value for point in found.histories("job", ("loss",))["loss"]] == [1.0, 2.0]


def test_runs_without_end_are_not_followed() -> None:
    asked: list[str] = []
    runs({"a": ["a", "a"]}, {}, asked).newest("a")

    assert len([url for url in asked if "runs/get" in url]) == MAX_RUNS
