"""Following one tuning from outside, by asking the app again and again, until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from demo.app_client import AppClient


@dataclass
class Journey:
    """What is known so far; `tuning` is the app's own answer, `job` the local cloud's view of the training."""

    dataset: str
    version: str
    collecting: bool = False
    tuning: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    endpoint: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return str(self.tuning.get("state") or ("collecting" if self.collecting else "uploading"))

    @property
    def history(self) -> list[dict[str, Any]]:
        return list(self.tuning.get("history") or [])


class JourneyTimeoutError(Exception):
    """It did not get where it should within the deadline."""


def follow(
    client: AppClient,
    journey: Journey,
    until: Callable[[Journey], bool],
    *,
    deadline: float,
    interval: float = 0.5,
) -> Iterator[Journey]:
    """Yield the journey after every look, until `until` holds. Raises JourneyTimeoutError after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        _look(client, journey)
        yield journey
        if until(journey):
            return
        if time.monotonic() > end:
            raise JourneyTimeoutError(f"still {journey.state} after {deadline:.0f} s")
        time.sleep(interval)


def _look(client: AppClient, journey: Journey) -> None:
    try:
        if not journey.tuning:
            _find(client, journey)
        else:
            journey.tuning = client.tuning(journey.tuning["id"])
        if journey.tuning.get("job"):
            journey.job = client.job(journey.tuning["job"])
        if journey.state in ("live", "cleaning_up"):
            names = {item["name"]: item for item in client.endpoints()}
            journey.endpoint = names.get(journey.tuning["endpoint"], {})
    except httpx.TransportError:
        return  # the app is restarting; the next look tells more


def _find(client: AppClient, journey: Journey) -> None:
    wanted = (journey.dataset, journey.version)
    answer = client.tunings(dataset=journey.dataset)
    journey.collecting = any((item["dataset"], item["version"]) == wanted for item in answer["collecting"])
    for item in answer["tunings"]:
        if (item["dataset"], item["version"]) == wanted:
            journey.tuning = client.tuning(item["id"])
            return
