"""What the sweep does to what it has judged, on the state of this moment and one step at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import names
from shared.errors import RaceLostError
from shared.idle.gather import dataset_of
from shared.idle.left_over import useless
from shared.idle.marks import keep_reason, marked_at, with_mark, without_mark
from shared.idle.notices import due_notice
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from datetime import datetime

    from shared.azureml.resources import OnlineDeployment
    from shared.config import Settings
    from shared.idle.ports import Endpoints, Events, LedgerRows, TuningWakeUps
    from shared.idle.rule import Facts, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Actor:
    settings: Settings
    ledger: LedgerRows
    wake_ups: TuningWakeUps
    arm: Endpoints
    events: Events
    owner: str

    def mark(self, facts: Facts, verdict: Verdict, now: datetime) -> Facts:
        """Set the mark, or take it away. Returns the facts as they are then."""
        tags = facts.endpoint.tags
        changed = with_mark(tags, now) if verdict.kind == "mark" else without_mark(tags)
        self.arm.set_endpoint_tags(facts.endpoint.name, changed)
        return replace(facts, endpoint=replace(facts.endpoint, tags=changed))

    def tell(self, facts: Facts, verdict: Verdict, now: datetime) -> None:
        """Publish that the endpoint was marked or unmarked, by way of the live tuning's history.

        Held against the tag at every sweep, so that one that died between the two is made up for.
        """
        live = facts.live
        if not facts.ours or facts.orphan or live is None or live.state is not State.LIVE:
            return
        notice = due_notice(live, marked_at(facts.endpoint.tags, now), verdict)
        if notice is None:
            return
        row = self.ledger.tuning(live.id)
        if row is None or row.value != live:
            log.info("idle sweep: tuning %s moved on; the next sweep tells of its mark", live.id)
            return
        noted = live.noted(now, notice.message, notice.event, notice.until)
        self.events.publish_new(self.ledger.put(Versioned(noted, row.etag)))

    def remind(self, facts: Facts) -> bool:
        """A sweep that died, or lost its message, between the record and the wake-up left this undone."""
        record, live = facts.record, facts.live
        if not facts.ours or record is None or record.status is not EndpointStatus.DELETING:
            return False
        if live is None or live.state is not State.LIVE:
            return False
        self.wake_ups.tuning(live.id)
        return True

    def delete(self, facts: Facts, verdict: Verdict, now: datetime) -> None:
        """Close the endpoint to new tunings; then its live tuning deletes it, or, if no tuning uses it, we do.

        Raises RaceLostError.
        """
        if facts.orphan:
            self._close_orphan(facts, verdict)
            self.arm.delete_endpoint(facts.endpoint.name)
            return
        assert facts.record is not None, "only endpoints in the ledger have a live tuning"
        row = self._as_listed(facts.record)
        closed = self.ledger.put(replace(row, value=_closed(row.value, verdict)))
        endpoint = self.arm.get_endpoint(facts.endpoint.name)
        if endpoint is not None and (kept := keep_reason(endpoint.tags, now)):
            # It was set while this worker stood still. A tuning that saw the record closed comes back to life.
            self.ledger.put(replace(closed, value=row.value))
            raise RaceLostError(f"it got a keep mark meanwhile: {kept}")
        self.wake_ups.tuning(row.value.live)

    def delete_deployment(self, endpoint_name: str, listed: OnlineDeployment, now: datetime) -> bool:
        """Begin its deletion; False if it is needed now, changed, or gone."""
        endpoint = self.arm.get_endpoint(endpoint_name)
        deployment = self.arm.get_deployment(endpoint_name, listed.name)
        if endpoint is None or deployment is None or deployment.tags != listed.tags or endpoint.busy:
            return False
        if keep_reason(endpoint.tags, now):
            return False
        row = self.ledger.tuning(deployment.tags.get(names.TAG_TUNING, "")) if _has_tuning(deployment) else None
        known = {row.value.id: row.value} if row else {}
        if not useless(deployment, endpoint, known, self.owner):
            return False
        self.arm.delete_deployment(endpoint_name, listed.name)
        return True

    def _close_orphan(self, facts: Facts, verdict: Verdict) -> None:
        """So that no tuning which begins just now takes it for its own: it would be deleted under its feet."""
        name, dataset = facts.endpoint.name, dataset_of(facts.endpoint, facts.record)
        if facts.record is not None:
            row = self._as_listed(facts.record)
            if row.value.status is not EndpointStatus.DELETING:
                self.ledger.put(replace(row, value=_closed(row.value, verdict)))
            return
        generation = names.generation_of(name)
        if name != names.endpoint_name(self.settings.workspace_id, dataset, generation):
            return  # no tuning can ever be given this name
        row = self.ledger.endpoint(dataset)
        if row.value.name == name:
            raise RaceLostError("a tuning has just taken it for its own")
        if not row.value.name and row.value.generation == generation:
            self.ledger.put(replace(row, value=replace(_closed(row.value, verdict), name=name)))

    def _as_listed(self, record: EndpointRecord) -> Versioned[EndpointRecord]:
        """Equal, not just similar: who joined, was promoted or left since it was listed changed the record."""
        row = self.ledger.endpoint(record.dataset)
        if row.value != record:
            raise RaceLostError("its record in the ledger was written")
        return row


def _closed(record: EndpointRecord, verdict: Verdict) -> EndpointRecord:
    return replace(record, status=EndpointStatus.DELETING, retire_reason=verdict.reason)


def _has_tuning(deployment: OnlineDeployment) -> bool:
    return names.is_tuning_id(deployment.tags.get(names.TAG_TUNING, ""))
