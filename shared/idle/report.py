"""What a sweep found, did, and would have done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared.idle.rule import Kind

DRY_RUN = "IDLE_DRY_RUN is on: endpoints are only reported; nothing is marked, nothing is deleted"


@dataclass(frozen=True)
class DeploymentReport:
    """What costs money on an endpoint; None: its price is unknown.

    `kind` and `reason` are set for what no tuning uses any more.
    """

    name: str
    instance_type: str
    instance_count: int
    hourly_cost: float | None = None
    kind: Kind | None = None
    reason: str = ""
    deletes_at: datetime | None = None
    acted: bool = False
    error: str = ""


@dataclass(frozen=True)
class EndpointReport:
    """`acted` says whether the sweep changed something; `error` why it wanted to and could not.

    `dataset` is empty for endpoints that are not ours. `deployments` is None where they can not be seen.
    """

    name: str
    dataset: str
    kind: Kind
    reason: str
    ours: bool = True
    idle_since: datetime | None = None
    deletes_at: datetime | None = None
    acted: bool = False
    error: str = ""
    deployments: tuple[DeploymentReport, ...] | None = None

    @property
    def hourly_cost(self) -> float | None:
        """None if that of one deployment is unknown."""
        if self.deployments is None:
            return None
        costs = [item.hourly_cost for item in self.deployments]
        return None if None in costs else sum(filter(None, costs))

    @property
    def deletions(self) -> int:
        own = int(self.kind == "delete" and self.acted)
        return own + sum(item.kind == "delete" and item.acted for item in self.deployments or ())


@dataclass(frozen=True)
class SweepReport:
    """`waited` are the seconds for which a service that was asked too often had the sweep wait."""

    at: datetime
    dry_run: bool
    endpoints: tuple[EndpointReport, ...]
    currency: str = ""
    waited: float = 0.0

    @property
    def counts(self) -> dict[Kind, int]:
        """Verdicts by kind, acted on or not."""
        return dict(Counter(endpoint.kind for endpoint in self.endpoints))

    @property
    def acted(self) -> int:
        return sum(endpoint.acted for endpoint in self.endpoints) + sum(item.acted for item in self._left_over)

    @property
    def errors(self) -> int:
        return sum(bool(endpoint.error) for endpoint in self.endpoints) + sum(
            bool(item.error) for item in self._left_over
        )

    @property
    def _left_over(self) -> list[DeploymentReport]:
        return [item for endpoint in self.endpoints for item in endpoint.deployments or () if item.kind]


def to_json(report: SweepReport) -> bytes:
    return msgspec.json.encode(as_document(report))


def as_document(report: SweepReport) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(report)
    for item, endpoint in zip(document["endpoints"], report.endpoints, strict=True):
        item["hourly_cost"] = endpoint.hourly_cost
    summary = {"counts": report.counts, "acted": report.acted, "errors": report.errors}
    return {**document, **summary, "warning": DRY_RUN if report.dry_run else ""}
