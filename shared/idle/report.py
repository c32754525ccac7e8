"""What a sweep found, did, and would have done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from shared.idle.rule import Kind


@dataclass(frozen=True)
class EndpointReport:
    """`acted` says whether the sweep changed something; `error` why it wanted to and could not.

    `dataset` is empty for endpoints that the ledger does not know.
    """

    name: str
    dataset: str
    kind: Kind
    reason: str
    idle_since: datetime | None = None
    deletes_at: datetime | None = None
    acted: bool = False
    error: str = ""


@dataclass(frozen=True)
class SweepReport:
    at: datetime
    dry_run: bool
    endpoints: tuple[EndpointReport, ...]

    @property
    def counts(self) -> dict[Kind, int]:
        """Verdicts by kind, acted on or not."""
        return dict(Counter(endpoint.kind for endpoint in self.endpoints))

    @property
    def acted(self) -> int:
        return sum(endpoint.acted for endpoint in self.endpoints)

    @property
    def errors(self) -> int:
        return sum(bool(endpoint.error) for endpoint in self.endpoints)
