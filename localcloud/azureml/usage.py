"""The requests that each deployment really received and how long they took, by minute: what Monitor reports."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.store import Store

_COLLECTION = "requests"
_STEP = 1.02
_LEAST = 0.01


@dataclass(frozen=True)
class Sample:
    """`minute` counts from the epoch. `model_status` is the scoring server's; empty if it was not asked.

    `milliseconds` is the sum over all requests, `latencies` how many took about how long (in steps of 2 %).
    """

    minute: int
    deployment: str
    status: str
    model_status: str
    count: int
    milliseconds: float = 0.0
    latencies: Mapping[float, int] = field(default_factory=dict)

    def dimension(self, name: str) -> str:
        """Raises KeyError for a dimension that the metric does not have. Names are compared without case."""
        dimensions = {
            "deployment": self.deployment,
            "statuscode": self.status,
            "statuscodeclass": f"{self.status[:1]}xx",
            "modelstatuscode": self.model_status,
        }
        return dimensions[name.lower()]


class Usage:
    """By wall time, whatever the emulator's clock says: those who ask, ask for wall time."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._wall = wall

    def record(
        self, endpoint: str, deployment: str, status: int, model_status: int | None = None, milliseconds: float = 0.0
    ) -> None:
        minute = int(self._wall() // 60)
        model = "" if model_status is None else str(model_status)
        key = f"{endpoint}/{minute:012d}/{deployment}/{status}/{model}"
        with self._store.transaction():
            known = self._store.get(_COLLECTION, key) or {"count": 0}
            steps = known.get("steps", {})
            step = str(_step(milliseconds))
            self._store.put(
                _COLLECTION,
                key,
                {
                    "count": known["count"] + 1,
                    "ms": known.get("ms", 0.0) + milliseconds,
                    "steps": {**steps, step: steps.get(step, 0) + 1},
                },
            )

    def samples(self, endpoint: str, first: int, end: int) -> list[Sample]:
        """Of the minutes in [first, end)."""
        rows = self._store.scan(_COLLECTION, f"{endpoint}/{first:012d}", f"{endpoint}/{end:012d}")
        samples = []
        for key, document in rows:
            _, minute, deployment, status, model_status = key.split("/")
            latencies = {_STEP ** int(step): count for step, count in document.get("steps", {}).items()}
            samples.append(
                Sample(
                    int(minute),
                    deployment,
                    status,
                    model_status,
                    document["count"],
                    document.get("ms", 0.0),
                    latencies,
                )
            )
        return samples


def _step(milliseconds: float) -> int:
    return round(math.log(max(milliseconds, _LEAST)) / math.log(_STEP))
