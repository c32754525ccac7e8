"""Looking at the cloud: reads what the decision about a tuning's state needs, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.costs.sightings import Sighting
from shared.lifecycle.decide import Observed
from shared.lifecycle.tuning import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.azureml.arm import ArmClient
    from shared.azureml.resources import Job, OnlineDeployment, OnlineEndpoint
    from shared.blobs import Blobs
    from shared.costs.budget_keeper import BudgetKeeper
    from shared.lifecycle.canary import CanaryView
    from shared.lifecycle.job_slots import SlotView
    from shared.lifecycle.ledger import Ledger, Versioned
    from shared.lifecycle.records import EndpointRecord
    from shared.lifecycle.tuning import Tuning


@dataclass(frozen=True)
class Observer:
    arm: ArmClient
    ledger: Ledger
    blobs: Blobs
    owner: str
    """Value of the tag that marks endpoints as ours."""
    max_active_jobs: int = 0
    """0: jobs are not limited."""
    canary: Callable[[Tuning, OnlineEndpoint, Tuning], CanaryView] | None = None
    """Looks at one beside the live tuning; None where no canary is met."""
    budget: BudgetKeeper | None = None

    def observe(self, tuning: Tuning, now: datetime) -> tuple[Observed, Versioned[EndpointRecord] | None]:
        """The observation, begun at `now`, and the endpoint record with the ETag that a change of it must carry."""
        if tuning.state is State.PREPARING:
            files = tuple(f"{split.name}.jsonl" for split in tuning.splits)
            copies = self.blobs.copy_states(tuning.id, files)
            found = {file.removesuffix(".jsonl"): state for file, state in copies.items()}
            return Observed(copies=found, slot=self._slot(tuning)), None
        if tuning.state is State.QUEUED:
            return Observed(slot=self._slot(tuning)), None
        if tuning.state is State.WAITING_FOR_BUDGET:
            return Observed(over_budget=self._over_budget(tuning, now)), None
        if not tuning.splits:
            return Observed(), None  # it ended before anything was begun
        if tuning.state is State.TRAINING:
            return Observed(job=self.arm.get_job(tuning.job)), None
        record = self.ledger.endpoint(tuning.dataset)
        name = tuning.endpoint or record.value.name
        endpoint = self.arm.get_endpoint(name) if name and tuning.state is not State.TESTING else None
        deployments = self._deployments(tuning, endpoint)
        deployment = next((item for item in deployments or () if item.name == tuning.deployment), None)
        live = self._tuning(record.value.live, tuning)
        observed = Observed(
            over_budget=self._over_budget(tuning, now) if tuning.state is State.REGISTERED else "",
            job=self._left_job(tuning),
            record=record.value,
            endpoint=endpoint,
            ours=endpoint is None or endpoint.tags.get(names.TAG_OWNER) == self.owner,
            deployment=deployment,
            other_deployments=tuple(item.name for item in deployments or () if item is not deployment),
            sighting=Sighting(name, endpoint, deployments, now) if name and deployments is not None else None,
            failure=self._failure(endpoint, deployment),
            live=live,
            promoting=self._tuning(record.value.promoting, tuning),
            canary=self._canary(tuning, endpoint, live),
        )
        return observed, record

    def _canary(self, tuning: Tuning, endpoint: OnlineEndpoint | None, live: Tuning | None) -> CanaryView | None:
        if self.canary is None or tuning.state is not State.CANARY or endpoint is None or live is None:
            return None
        return self.canary(tuning, endpoint, live)

    def _over_budget(self, tuning: Tuning, now: datetime) -> str:
        return self.budget.objection(tuning, now) if self.budget is not None else ""

    def _slot(self, tuning: Tuning) -> SlotView | None:
        limit = self.max_active_jobs
        return self.ledger.job_slots().value.seen_by(tuning, limit) if limit else None

    def _left_job(self, tuning: Tuning) -> Job | None:
        """The job of a tuning that failed before its model was registered, be its submission recorded or not."""
        over = tuning.ended or tuning.state is State.CLEANING_UP
        if not over or tuning.model_id:
            return None
        return self.arm.get_job(names.job_name(tuning.id, tuning.attempt))

    def _deployments(self, tuning: Tuning, endpoint: OnlineEndpoint | None) -> tuple[OnlineDeployment, ...] | None:
        """None: not looked at."""
        if tuning.state is State.TESTING:
            return None
        if endpoint is None:
            return ()
        if tuning.state in (State.REGISTERED, State.LIVE):
            return None
        return tuple(self.arm.list_deployments(endpoint.name))

    def _failure(self, endpoint: OnlineEndpoint | None, deployment: OnlineDeployment | None) -> str:
        for resource in (deployment, endpoint):
            if resource is not None and resource.provisioning_state == "Failed":
                return self.arm.operation_error(resource.operation_url)
        return ""

    def _tuning(self, tuning_id: str, own: Tuning) -> Tuning | None:
        if not tuning_id or tuning_id == own.id:
            return None
        row = self.ledger.tuning(tuning_id)
        return None if row is None else row.value
