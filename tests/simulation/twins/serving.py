"""Scoring: which deployment answers, how, and what Monitor counts of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from shared.idle.metrics import RequestMetrics
from shared.idle.series import MINUTE, floor_minute
from shared.serving.scoring import Answer, ScoringClient
from tests.simulation.twins.endpoints import Deployment, Endpoint, Endpoints
from tests.simulation.twins.refusals import not_found, translated
from tests.simulation.twins.world import Happening, Outcome, World


@dataclass(frozen=True)
class Served:
    """One request that a deployment was chosen for."""

    minute: datetime
    deployment: str
    status: int
    seconds: float


class Usage:
    """Requests by endpoint and minute, whatever came of them, simulated users' as well as our own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counts: dict[str, Counter[datetime]] = {}
        self._served: defaultdict[str, list[Served]] = defaultdict(list)

    def record(self, endpoint: str, deployment: str = "", status: int = 200, seconds: float = 0.5) -> None:
        """One request at this moment."""
        minute = floor_minute(self._world.now())
        self._counts.setdefault(endpoint, Counter())[minute] += 1
        if deployment:
            self._served[endpoint].append(Served(minute, deployment, status, seconds))

    def served(self, endpoint: str, deployment: str, start: datetime, end: datetime) -> list[Served]:
        found = self._served.get(endpoint, ())
        return [item for item in found if item.deployment == deployment and start <= item.minute < end]

    def by_status(
        self, endpoint: str, deployments: Iterable[str], start: datetime, end: datetime
    ) -> dict[tuple[str, str], dict[datetime, float]]:
        found: defaultdict[tuple[str, str], Counter[datetime]] = defaultdict(Counter)
        for deployment in deployments:
            for item in self.served(endpoint, deployment, start, end):
                found[deployment, str(item.status)][item.minute] += 1
        return {key: {minute: float(count) for minute, count in counts.items()} for key, counts in found.items()}

    def latencies(
        self, endpoint: str, deployments: Iterable[str], start: datetime, end: datetime
    ) -> dict[str, dict[datetime, float]]:
        """The slowest of each minute, in milliseconds."""
        found: defaultdict[str, dict[datetime, float]] = defaultdict(dict)
        for deployment in deployments:
            for item in self.served(endpoint, deployment, start, end):
                slowest = found[deployment].get(item.minute, 0.0)
                found[deployment][item.minute] = max(slowest, item.seconds * 1000)
        return dict(found)

    def count(self, endpoint: str, minute: datetime) -> int:
        counts = self._counts.get(endpoint)
        return counts[minute] if counts else 0

    def last(self, endpoint: str) -> datetime | None:
        """The last minute with a request."""
        counts = self._counts.get(endpoint)
        return max(counts) if counts else None


class ScoringTwin(ScoringClient):
    def __init__(self, world: World, endpoints: Endpoints, usage: Usage) -> None:
        self._world = world
        self._endpoints = endpoints
        self._usage = usage

    def score(
        self,
        scoring_uri: str,
        key: str,
        deployment: str,
        messages: Sequence[Mapping[str, str]],
        timeout: float,
    ) -> Answer:
        parts = urlsplit(scoring_uri)
        if parts.scheme != "https" or not parts.hostname:
            return Answer(0, None, 0.0, "the scoring URI is no https URL, so the key is not sent")
        name = parts.hostname.partition(".")[0]
        return self._world.effect(
            "scoring.score",
            lambda: self._answer(name, key, deployment, messages[-1]["content"], timeout),
            writes=True,
            of=f"{name}/{deployment}",
        )

    def _answer(self, name: str, key: str, deployment: str, question: str, timeout: float) -> Answer:
        endpoint = self._endpoints.find(name)
        if endpoint is None or endpoint.state == "Creating":
            return _refused(404)
        chosen = _chosen(endpoint, deployment) if key == endpoint.key else None
        if chosen is None:
            self._usage.record(name)
            return _refused(404 if key == endpoint.key else 401)
        answer = self._generated(f"{name}/{chosen.name}", question, timeout)
        self._usage.record(name, chosen.name, answer.status, answer.latency_seconds)
        return answer

    def _generated(self, of: str, question: str, timeout: float) -> Answer:
        fate = self._world.draw(Happening.SCORE, f"{of}?{question}")
        if fate.outcome is Outcome.HANG or fate.seconds >= timeout:
            return Answer(0, None, timeout, f"no complete answer within {timeout:g} s")
        if fate.outcome is Outcome.SUCCEED:
            return Answer(fate.status, fate.text or f"an answer to {question}", fate.seconds, "")
        if fate.status == 200:
            return Answer(200, None, fate.seconds, "the answer holds no generated text")
        if fate.status == 0:
            return Answer(0, None, fate.seconds, f"the request failed: {fate.reason or 'ConnectionError'}")
        model = f"; the model answered {fate.code}" if fate.code.isdigit() else ""
        return Answer(fate.status, None, fate.seconds, f"HTTP {fate.status}{model}")


class MetricsTwin(RequestMetrics):
    """The app's own reading of an answer, over an answer that is made here instead of by Monitor."""

    def __init__(self, world: World, endpoints: Endpoints, usage: Usage) -> None:
        self._world = world
        self._endpoints = endpoints
        self._usage = usage

    def _read(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, dict[datetime, float]]:
        def look() -> dict[str, dict[datetime, float]]:
            with translated("read metrics"):
                return self._minutes_of(ids, start, end)

        return self._world.effect("metrics.requests_per_minute", look, writes=False)

    def _minutes_of(self, ids: Sequence[str], start: datetime, end: datetime) -> dict[str, dict[datetime, float]]:
        trouble, now = self._world.trouble(), floor_minute(self._world.now())
        if trouble.fail:
            raise not_found("the metrics service is unavailable")
        known = min(end, now + MINUTE - trouble.omit_minutes * MINUTE)
        heard = now + MINUTE - trouble.lag_minutes * MINUTE
        minutes = [start + number * MINUTE for number in range(max(0, (known - start) // MINUTE))]
        answer: dict[str, dict[datetime, float]] = {}
        for identity in ids:
            name = identity.rpartition("/")[2]
            if not self._endpoints.existed(name):
                raise not_found(f"The Resource '{identity}' was not found.")
            if name not in trouble.unmentioned:
                answer[identity.lower()] = {
                    minute: float(self._usage.count(name, minute)) if minute < heard else 0.0 for minute in minutes
                }
        return answer


def _chosen(endpoint: Endpoint, pinned: str) -> Deployment | None:
    """The pinned one, whether it has traffic or not; without a pin the one with most traffic."""
    serving = {item.name: item for item in endpoint.deployments.values() if item.serving}
    if pinned:
        return serving.get(pinned)
    shares = {name: share for name, share in endpoint.traffic.items() if share and name in serving}
    return serving[max(shares, key=lambda name: shares[name])] if shares else None


def _refused(status: int) -> Answer:
    return Answer(status, None, 0.0, f"HTTP {status}")
