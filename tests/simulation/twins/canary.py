"""Monitor on two deployments side by side, over what really came to them."""

from __future__ import annotations

from datetime import datetime

from shared.idle.series import MINUTE, floor_minute
from shared.lifecycle.canary_metrics import CanaryMetrics, Readings
from tests.simulation.twins.endpoints import Endpoints
from tests.simulation.twins.refusals import not_found, translated
from tests.simulation.twins.serving import Usage
from tests.simulation.twins.world import World


class CanaryMetricsTwin(CanaryMetrics):
    """The app's own judgement of an answer, over an answer that is made here."""

    def __init__(self, world: World, endpoints: Endpoints, usage: Usage) -> None:
        self._world = world
        self._endpoints = endpoints
        self._usage = usage

    def _read(self, endpoint_id: str, deployments: tuple[str, str], start: datetime, end: datetime) -> Readings:
        def look() -> Readings:
            with translated("read metrics"):
                return self._readings(endpoint_id.rpartition("/")[2], deployments, start, end)

        return self._world.effect("metrics.canary", look, writes=False)

    def _readings(self, name: str, deployments: tuple[str, str], start: datetime, end: datetime) -> Readings:
        trouble, now = self._world.trouble(), floor_minute(self._world.now())
        if trouble.fail or not self._endpoints.existed(name):
            raise not_found("the metrics service is unavailable")
        if name in trouble.unmentioned:
            return Readings()
        known = min(end, now + MINUTE - trouble.omit_minutes * MINUTE)
        heard = min(known, now + MINUTE - trouble.lag_minutes * MINUTE)
        minutes = [start + number * MINUTE for number in range(max(0, (known - start) // MINUTE))]
        return Readings(
            total={minute: float(self._usage.count(name, minute)) if minute < heard else 0.0 for minute in minutes},
            requests=self._usage.by_status(name, deployments, start, heard),
            latency=self._usage.latencies(name, deployments, start, heard),
        )
