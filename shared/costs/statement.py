"""What `GET /api/costs` tells: the report as plain dictionaries, and as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.costs.months import Month
from shared.costs.report import CostReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.clock import Clock
    from shared.config import Settings
    from shared.costs.budget_keeper import BudgetKeeper
    from shared.costs.report import Amounts, EndpointCost, Line
    from shared.lifecycle.ledger import Ledger

_COLUMNS = (
    "deployment_hours",
    "deployment_cost",
    "job_hours",
    "job_cost",
    "spent",
    "avoided_hours",
    "avoided",
    "unpriced_hours",
    "uncertain_hours",
)


@dataclass(frozen=True)
class Statement:
    settings: Settings
    ledger: Ledger
    clock: Clock
    budget: BudgetKeeper

    def report(self, dataset: str = "") -> CostReport:
        records = tuple(row.value for row in self.ledger.costs(dataset))
        return CostReport(records, self.clock(), self.settings.price_currency)

    def costs(
        self, month: str = "", dataset: str = "", last_requests: Mapping[str, datetime] | None = None
    ) -> dict[str, Any]:
        """Raises ValueError for a month that is none."""
        wanted = Month.parse(month) if month else None
        report = self.report(dataset)
        lines = report.lines(wanted)
        return {
            "as_of": report.now.isoformat(),
            "total": [{"currency": of, **_shown(amounts)} for of, amounts in sorted(report.totals(lines).items())],
            "costs": [_line(line) for line in lines],
            "budget": self.budget.shown(report.now),
            "endpoints": [_endpoint(item) for item in report.endpoints(last_requests or {})],
        }

    def table(self, month: str = "", dataset: str = "") -> str:
        """CSV with a head; ends of lines as RFC 4180 has them. Raises ValueError for a month that is none."""
        wanted = Month.parse(month) if month else None
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["month", "dataset", "currency", *_COLUMNS])
        for line in self.report(dataset).lines(wanted):
            shown = _shown(line.amounts)
            writer.writerow(
                [str(line.month), as_text(line.dataset), line.currency, *(shown[name] for name in _COLUMNS)]
            )
        return text.getvalue()


def last_requests(sweep: Mapping[str, Any] | None) -> dict[str, datetime]:
    """By endpoint, as the last idle sweep saw it: what is idle was called last when its idleness began."""
    found = {item["name"]: item.get("idle_since") for item in (sweep or {}).get("endpoints", ())}
    return {name: datetime.fromisoformat(since) for name, since in found.items() if since}


def as_text(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else cell


def _line(line: Line) -> dict[str, Any]:
    return {"month": str(line.month), "dataset": line.dataset, "currency": line.currency, **_shown(line.amounts)}


def _shown(amounts: Amounts) -> dict[str, float]:
    return {name: round(getattr(amounts, name), 4) for name in _COLUMNS}


def _endpoint(item: EndpointCost) -> dict[str, Any]:
    return {
        "name": item.endpoint,
        "dataset": item.dataset,
        "currency": item.currency,
        "hourly": item.hourly,
        "last_request": item.last_request.isoformat() if item.last_request else None,
        "since_last_request": None if item.since_last_request is None else round(item.since_last_request, 4),
    }
