"""What the HTTP functions tell: plain dictionaries, ready for JSON. No contents but a tuning's own smoke test."""

from __future__ import annotations

import heapq
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from shared import names
from shared.idle.report import DRY_RUN
from shared.lifecycle.deadlines import deadline, stage_deadlines
from shared.lifecycle.decide import waiting_for_slot
from shared.lifecycle.examine import missing_splits
from shared.lifecycle.intake import due
from shared.lifecycle.listing import Place
from shared.lifecycle.smoke_stage import EVAL_LOSS, RESULT_FILE
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.job_slots import JobSlots
    from shared.lifecycle.listing import Listing
    from shared.lifecycle.records import DatasetVersion
    from shared.lifecycle.tuning import Tuning


CURVES = ("loss", EVAL_LOSS)
"""Metrics that a training logs while it runs."""


@dataclass(frozen=True)
class Status:
    lifecycle: Lifecycle

    def tunings(self, listing: Listing) -> dict[str, Any]:
        """A page of tunings, the newest first; `next` is the continuation of the one after it, None on the last.

        The first page also has the versions that are being collected, no more than its limit, the last to change
        first; `collecting_in_all` is how many there are.
        """
        found = self.lifecycle.ledger.page(replace(listing, limit=listing.limit + 1))
        tunings = found[: listing.limit]
        slots = self._slots(tunings)
        answer: dict[str, Any] = {
            "tunings": [self._summary(tuning, slots) for tuning in tunings],
            "next": Place.of(tunings[-1]).continuation() if len(found) > len(tunings) else None,
            "collecting": [],
            "collecting_in_all": 0,
        }
        if listing.collecting and listing.after is None:
            versions = list(self.lifecycle.ledger.collecting(listing.dataset))
            newest = heapq.nlargest(listing.limit, versions, key=lambda version: version.changed_at)
            answer["collecting"] = [self._collecting(version) for version in newest]
            answer["collecting_in_all"] = len(versions)
        return answer

    def tuning(self, tuning_id: str) -> dict[str, Any] | None:
        """One tuning with its history, report and smoke test; None if there is none of this id."""
        row = self.lifecycle.ledger.tuning(tuning_id) if names.is_tuning_id(tuning_id) else None
        if row is None:
            return None
        tuning = row.value
        report = self.lifecycle.blobs.read_report(tuning_id)
        smoke = self.lifecycle.blobs.read_snapshot(tuning_id, RESULT_FILE)
        return {
            **self._summary(tuning, self._slots([tuning])),
            "job": tuning.job,
            "display_name": tuning.display_name,
            "base_model": tuning.base_model_id,
            "component": tuning.component_id,
            "parameters": dict(tuning.parameters),
            "dropped_parameters": dict(tuning.dropped_parameters),
            "model": tuning.model_id,
            "splits": [asdict(split) for split in tuning.splits],
            "canary": None if tuning.canary is None else msgspec.to_builtins(tuning.canary),
            "smoke_test": None if smoke is None else json.loads(smoke),
            "smoke_page": None if smoke is None else f"/api/tunings/{tuning_id}/smoke",
            "report": None if report is None else json.loads(report),
            "report_page": None if report is None else f"/api/tunings/{tuning_id}/report",
            "history": [
                {"seq": entry.seq, "at": entry.at.isoformat(), "state": entry.state, "message": entry.message}
                for entry in tuning.history
            ],
        }

    def report_page(self, tuning_id: str) -> bytes | None:
        """The validation report of a tuning as HTML; None if there is none of this id."""
        if self.lifecycle.ledger.tuning(tuning_id) is None:
            return None
        return self.lifecycle.blobs.read_report_page(tuning_id)

    def training_curve(self, tuning_id: str) -> dict[str, Any] | None:
        """Training and evaluation loss by step, also of a job that still runs; None if there is none of this id."""
        row = self.lifecycle.ledger.tuning(tuning_id) if names.is_tuning_id(tuning_id) else None
        if row is None:
            return None
        job = row.value.job
        found = self.lifecycle.arm.metric_histories(job, CURVES) if job else {}
        return {
            "job": job,
            "metrics": {
                metric: [{"step": point.step, "value": point.value, "at": point.at.isoformat()} for point in points]
                for metric, points in found.items()
            },
        }

    def smoke_page(self, tuning_id: str) -> bytes | None:
        """The last smoke test of a tuning as HTML; None if there is none of this id, or it was not tested."""
        from shared.serving.smoke_page import to_page
        from shared.serving.smoke_report import SmokeReport

        if not names.is_tuning_id(tuning_id):
            return None
        report = self.lifecycle.blobs.read_snapshot(tuning_id, RESULT_FILE)
        return None if report is None else to_page(SmokeReport.parse(report))

    def endpoints(self) -> dict[str, Any]:
        """The online endpoints that droptune created, with who is live on them."""
        settings = self.lifecycle.settings
        owner = names.owner(settings.workspace_id)
        records = {row.value.name: row.value for row in self.lifecycle.ledger.endpoints() if row.value.name}
        found = []
        for endpoint in self.lifecycle.arm.list_endpoints():
            if endpoint.tags.get(names.TAG_OWNER) != owner:
                continue
            record = records.get(endpoint.name)
            found.append(
                {
                    "name": endpoint.name,
                    "dataset": endpoint.tags.get(names.TAG_DATASET, ""),
                    "provisioning_state": endpoint.provisioning_state,
                    "scoring_uri": endpoint.scoring_uri,
                    "traffic": dict(endpoint.traffic),
                    "live": record.live if record else "",
                    "live_since": record.live_since.isoformat() if record and record.live_since else None,
                    "idle_since": endpoint.tags.get(names.TAG_IDLE_SINCE) or None,
                    "keep": endpoint.tags.get(names.TAG_KEEP),
                }
            )
        return {"endpoints": found, "idle_dry_run": settings.idle_dry_run, "warning": self._warning}

    def idle_report(self) -> dict[str, Any] | None:
        """What the last idle sweep found and did; None before the first."""
        report = self.lifecycle.blobs.read_report(names.IDLE_REPORT)
        if report is None:
            return None
        found: dict[str, Any] = json.loads(report)
        return found

    @property
    def _warning(self) -> str:
        return DRY_RUN if self.lifecycle.settings.idle_dry_run else ""

    def _slots(self, tunings: Sequence[Tuning]) -> JobSlots | None:
        """Read only where somebody waits for one."""
        if not any(tuning.state is State.QUEUED for tuning in tunings):
            return None
        return self.lifecycle.ledger.job_slots().value

    def _summary(self, tuning: Tuning, slots: JobSlots | None) -> dict[str, Any]:
        """With the place in the line as it is now, not as it was at the last look."""
        settings = self.lifecycle.settings
        until = deadline(tuning, stage_deadlines(settings))
        found = summary(tuning)
        found["deadline"] = None if until is None else until.isoformat()
        if slots is not None and tuning.state is State.QUEUED:
            found["waiting_for"] = waiting_for_slot(slots.seen_by(tuning, settings.max_active_jobs))
        return found

    def _collecting(self, version: DatasetVersion) -> dict[str, Any]:
        missing = [f"{split}.jsonl" for split in missing_splits(version)]
        return {
            "dataset": version.dataset,
            "version": version.version,
            "files": sorted(version.files),
            "missing": missing,
            "waiting_for": f"{', '.join(missing)} to be uploaded" if missing else "a while without changes",
            "deadline": due(version, self.lifecycle.settings).isoformat(),
            "changed_at": version.changed_at.isoformat(),
            "next_look_at": version.wake_at.isoformat(),
            "last_error": version.last_error,
        }


def summary(tuning: Tuning) -> dict[str, Any]:
    return {
        "id": tuning.id,
        "dataset": tuning.dataset,
        "version": tuning.version,
        "state": tuning.state,
        "state_since": tuning.state_since.isoformat(),
        "created_at": tuning.created_at.isoformat(),
        "waiting_for": tuning.waiting_for,
        "next_look_at": None if tuning.ended else tuning.wake_at.isoformat(),
        "endpoint": tuning.endpoint,
        "deployment": tuning.deployment,
        "outcome": tuning.outcome,
        "reason": None if tuning.reason is None else asdict(tuning.reason),
        "last_error": tuning.last_error,
    }
