"""What a job's runs measured, over the MLflow tracking API of the workspace; no MLflow is imported.

https://mlflow.org/docs/latest/rest-api.html (runs/get, metrics/get-history) below the workspace's mlFlowTrackingUri.
A pipeline's metrics are with the run of the step that logged them, which may be a child of a child.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from shared.azureml.resources import MetricPoint

MAX_RUNS = 40
"""Of one job that are looked at; chat_completion_pipeline has about ten."""
MAX_POINTS = 1000
"""Of one metric; a training logs every few steps."""


class Fetch(Protocol):
    """GET; None if it is not there."""

    def __call__(self, url: str, doing: str) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True)
class RunMetrics:
    """`history` is the base of run history with the workspace's id, `tracking` that of MLflow."""

    fetch: Fetch
    history: Callable[[], str]
    tracking: Callable[[], str]

    def newest(self, job: str) -> dict[str, float]:
        """The last value of every metric; of two runs' metrics of one name that of the run nearer to the root."""
        found: dict[str, float] = {}
        for _, values in self._runs(job):
            found = {**values, **found}
        return found

    def histories(self, job: str, metrics: Sequence[str]) -> dict[str, tuple[MetricPoint, ...]]:
        """The points of those metrics that there are, by step."""
        found: dict[str, tuple[MetricPoint, ...]] = {}
        for run, values in self._runs(job):
            for metric in metrics:
                if metric in values and metric not in found:
                    found[metric] = self._history(run, metric)
        return found

    def _runs(self, job: str) -> Iterator[tuple[str, dict[str, float]]]:
        """Breadth first; each with the newest values of its metrics."""
        todo, seen = [job], 0
        while todo and seen < MAX_RUNS:
            run = todo.pop(0)
            seen += 1
            body = self._get("runs/get", run_id=run)
            metrics = (((body or {}).get("run") or {}).get("data") or {}).get("metrics") or ()
            yield run, {str(item.get("key")): value for item in metrics if (value := _finite(item)) is not None}
            children = self.fetch(f"{self.history()}/runs/{quote(run)}/children", "read child runs")
            todo += [str(child["runId"]) for child in (children or {}).get("value") or () if child.get("runId")]

    def _history(self, run: str, metric: str) -> tuple[MetricPoint, ...]:
        body = self._get("metrics/get-history", run_id=run, metric_key=metric, max_results=str(MAX_POINTS))
        points = [
            MetricPoint(int(item.get("step") or 0), value, _time(item.get("timestamp")))
            for item in (body or {}).get("metrics") or ()
            if (value := _finite(item)) is not None
        ]
        return tuple(sorted(points[:MAX_POINTS], key=lambda point: (point.step, point.at)))

    def _get(self, path: str, **query: str) -> Mapping[str, Any] | None:
        return self.fetch(f"{self.tracking()}/api/2.0/mlflow/{path}?{urlencode(query)}", "read metrics of a run")


def _finite(item: Mapping[str, Any]) -> float | None:
    """MLflow spells what is no number as a string."""
    try:
        value = float(item["value"])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _time(milliseconds: Any) -> datetime:
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
