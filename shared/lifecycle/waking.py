"""Endpoints on demand: deploying again what was live last, putting it to sleep, keeping it, by hand or by a call."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared import names
from shared.errors import PermanentError, TransientError
from shared.idle.marks import keep_reason, keeps
from shared.lifecycle.listing import Listing
from shared.lifecycle.records import EndpointStatus
from shared.lifecycle.replay import redeployed
from shared.lifecycle.standing import Situation, Standing, look, seconds_to_live
from shared.lifecycle.tuning import ON_ITS_WAY, State

if TYPE_CHECKING:
    from shared.azureml.resources import OnlineEndpoint
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.records import EndpointRecord

log = logging.getLogger(__name__)

BY_OPERATOR = "an operator"
_SOON = 5.0


@dataclass(frozen=True)
class EndpointKeeper:
    lifecycle: Lifecycle

    def standing(self, dataset: str) -> Standing:
        return look(self.lifecycle.ledger, dataset)

    def wake(self, dataset: str, who: str) -> Standing:
        """Begin the deployment of what was live last, unless it or a newer one is live or on its way.

        Once, however many ask: the tuning's row is written only if it is still as it was read, and who comes later
        finds it on its way. It is nobody's rival: a newer tuning that becomes live first ends it as superseded. A try
        that failed is not repeated for callers, who would repeat it for ever, but for an operator.
        """
        standing = self.standing(dataset)
        wanted = {Situation.ASLEEP, Situation.BROKEN} if who == BY_OPERATOR else {Situation.ASLEEP}
        row = standing.row
        if row is None or standing.situation not in wanted:
            return standing
        now = self.lifecycle.clock()
        woken = redeployed(row.value, now, f"woken by {who}: new deployment")
        log.info("tuning %s: woken by %s", woken.id, who)
        self.lifecycle.record(row, woken, now)
        return Standing(Situation.COMING, standing.record, replace(row, value=woken))

    def seconds_to_live(self, standing: Standing) -> float:
        """When it is worth asking again."""
        usual = self.lifecycle.settings.wake_seconds
        if standing.situation is Situation.GOING or standing.tuning is None:
            return _SOON
        return max(_SOON, seconds_to_live(standing.tuning, usual, self.lifecycle.clock()))

    def look_again(self, tuning_id: str) -> None:
        """A hint that a live tuning can not be reached: its endpoint may have been deleted by hand."""
        self.lifecycle.wake_ups.tuning(tuning_id)

    def sleep(self, dataset: str, *, force: bool = False) -> Standing:
        """Have the endpoint deleted as if it were idle. Raises PermanentError.

        What is on it, unfinished or kept is respected as in the idle sweep; `force` sets aside the tag alone.
        """
        lifecycle = self.lifecycle
        row = lifecycle.ledger.endpoint(dataset)
        record = row.value
        if record.live and record.status is EndpointStatus.DELETING:
            return self.standing(dataset)
        endpoint = self._live_endpoint(record)
        others = [tenant for tenant in record.tenants if tenant != record.live]
        unfinished = lifecycle.ledger.page(Listing(limit=1, states=ON_ITS_WAY, collecting=False, dataset=dataset))
        if others or unfinished:
            raise PermanentError("InUse", f"tuning {[*others, *(item.id for item in unfinished)][0]} is unfinished")
        kept = keep_reason(endpoint.tags, lifecycle.clock())
        if kept and not force:
            raise PermanentError("Kept", f"{kept} keeps it; force=true sets that aside")
        owner = names.owner(lifecycle.settings.workspace_id)
        for deployment in lifecycle.arm.list_deployments(endpoint.name):
            if deployment.tags.get(names.TAG_OWNER) != owner:
                raise PermanentError("NotOurs", f"deployment {deployment.name} on it is not droptune's")
        log.info("endpoint %s of dataset %s: put to sleep by an operator", endpoint.name, dataset)
        deleting = replace(record, status=EndpointStatus.DELETING, retire_reason="put to sleep by an operator")
        lifecycle.ledger.put(replace(row, value=deleting))
        lifecycle.wake_ups.tuning(record.live)
        return self.standing(dataset)

    def keep(self, dataset: str, tag: str) -> str:
        """Set the tag `droptune-keep`: true, a date or time, or false. Returns the endpoint's name."""
        if not keeps(tag):
            raise PermanentError("BadRequest", "until must be a date like 2026-12-24, or a time in ISO 8601")
        endpoint = self._live_endpoint(self.lifecycle.ledger.endpoint(dataset).value)
        self.lifecycle.arm.set_endpoint_tags(endpoint.name, {**endpoint.tags, names.TAG_KEEP: tag})
        log.info("endpoint %s of dataset %s: %s is %s", endpoint.name, dataset, names.TAG_KEEP, tag)
        return endpoint.name

    def _live_endpoint(self, record: EndpointRecord) -> OnlineEndpoint:
        live = self.lifecycle.ledger.tuning(record.live) if record.live else None
        if live is None or live.value.state is not State.LIVE or record.status is not EndpointStatus.ACTIVE:
            raise PermanentError("NotLive", "the dataset has no live endpoint")
        endpoint = self.lifecycle.arm.get_endpoint(record.name)
        if endpoint is None:
            raise PermanentError("NotLive", f"endpoint {record.name} is gone")
        if endpoint.tags.get(names.TAG_OWNER) != names.owner(self.lifecycle.settings.workspace_id):
            raise PermanentError("NotOurs", f"endpoint {record.name} is not droptune's")
        if endpoint.busy:
            raise TransientError(f"endpoint {record.name} is {endpoint.provisioning_state}")
        return endpoint


def described(keeper: EndpointKeeper, standing: Standing) -> dict[str, Any]:
    """For JSON."""
    tuning = standing.tuning
    found: dict[str, Any] = {
        "dataset": standing.record.dataset,
        "situation": standing.situation,
        "tuning": tuning.id if tuning else None,
        "state": tuning.state if tuning else None,
        "reason": tuning.reason.message if tuning and tuning.reason else "",
    }
    if standing.situation in (Situation.COMING, Situation.GOING):
        found["retry_after_seconds"] = round(keeper.seconds_to_live(standing))
    return found
