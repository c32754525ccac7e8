"""Looking up the page of endpoints: a list of the workspace's, the ledger's rows, and one call for their requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.costs.report import CostReport
from shared.dashboard.documents import swept
from shared.dashboard.views import Asleep, Endpoints, EndpointView
from shared.idle.gather import is_ours
from shared.idle.report import DRY_RUN
from shared.idle.series import Series
from shared.lifecycle.records import EndpointStatus

if TYPE_CHECKING:
    from shared.azureml.resources import OnlineEndpoint
    from shared.costs.report import EndpointCost
    from shared.dashboard.documents import SweptEndpoint
    from shared.dashboard.usage import Usage
    from shared.idle.series import Unavailable
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.records import EndpointRecord

_SHOWN = 50
"""Endpoints of a page: as many as Monitor tells of in one call."""

_ASLEEP = 200


@dataclass(frozen=True)
class EndpointsLook:
    lifecycle: Lifecycle
    usage: Usage

    def page(self, number: int) -> Endpoints:
        lifecycle, settings = self.lifecycle, self.lifecycle.settings
        owner = names.owner(settings.workspace_id)
        ours = sorted(
            (item for item in lifecycle.arm.list_endpoints() if is_ours(item.tags, owner)), key=lambda item: item.name
        )
        pages = max(1, -(-len(ours) // _SHOWN))
        number = min(max(number, 1), pages)
        shown = ours[(number - 1) * _SHOWN : number * _SHOWN]
        every = [row.value for row in lifecycle.ledger.endpoints()]
        records = {record.name: record for record in every}
        asleep = sorted(
            (record for record in every if record.status is EndpointStatus.NONE and record.last_live),
            key=lambda record: record.dataset,
        )
        sweep = swept(lifecycle.blobs.read_report(names.IDLE_REPORT))
        verdicts = {item.name: item for item in sweep.endpoints} if sweep else {}
        costs = self._costs(verdicts)
        requests = self.usage.of(shown)
        found = [
            _view(item, records.get(item.name), verdicts.get(item.name), costs.get(item.name), requests.get(item.id))
            for item in shown
        ]
        return Endpoints(
            endpoints=tuple(found),
            in_all=len(ours),
            asleep=tuple(Asleep(record.dataset, record.last_live) for record in asleep[:_ASLEEP]),
            asleep_in_all=len(asleep),
            page=number,
            pages=pages,
            swept_at=sweep.at if sweep else None,
            warning=DRY_RUN if settings.idle_dry_run else "",
        )

    def _costs(self, verdicts: Mapping[str, SweptEndpoint]) -> Mapping[str, EndpointCost]:
        running = tuple(row.value for row in self.lifecycle.ledger.running_costs())
        report = CostReport(running, self.lifecycle.clock(), self.lifecycle.settings.price_currency)
        last = {name: item.idle_since for name, item in verdicts.items() if item.idle_since}
        return {cost.endpoint: cost for cost in report.endpoints(last)}


def _view(
    endpoint: OnlineEndpoint,
    record: EndpointRecord | None,
    verdict: SweptEndpoint | None,
    cost: EndpointCost | None,
    requests: Series | Unavailable | None,
) -> EndpointView:
    deleting = record is not None and record.status is EndpointStatus.DELETING
    return EndpointView(
        name=endpoint.name,
        dataset=endpoint.tags.get(names.TAG_DATASET, ""),
        state="being deleted" if deleting else endpoint.provisioning_state,
        live=record.live if record else "",
        keep=endpoint.tags.get(names.TAG_KEEP, ""),
        reason=verdict.reason if verdict else "",
        idle_since=verdict.idle_since if verdict else None,
        deletes_at=verdict.deletes_at if verdict else None,
        hourly=cost.hourly if cost else None,
        since_last_request=cost.since_last_request if cost else None,
        currency=cost.currency if cost else "",
        requests=requests if isinstance(requests, Series) else None,
        no_requests="" if isinstance(requests, Series) or requests is None else requests.reason,
    )
