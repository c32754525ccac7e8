"""From what a look at the cloud saw to what the books say of it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import names
from shared.costs.records import CostRecord, Kind

if TYPE_CHECKING:
    from shared.azureml.resources import Job, OnlineDeployment, OnlineEndpoint
    from shared.lifecycle.tuning import Tuning

_CLOCKS = timedelta(minutes=15)
"""How far our clock and Azure's may be apart."""
_DELETING = "Deleting"


@dataclass(frozen=True)
class Sighting:
    """What one look at an endpoint saw, begun at `looked`: all of its deployments, none if it is gone."""

    name: str
    endpoint: OnlineEndpoint | None
    deployments: tuple[OnlineDeployment, ...]
    looked: datetime

    @property
    def view(self) -> frozenset[object]:
        """What the books depend on: the same view again has nothing new for them."""
        going = self.endpoint is not None and self.endpoint.provisioning_state == _DELETING
        return frozenset({going, *((item.name, item.created_at, self.deletion_of(item)) for item in self.deployments)})

    def deletion_of(self, deployment: OnlineDeployment) -> str:
        """The URL of the operation that is deleting it; empty: nobody is."""
        if self.endpoint is not None and self.endpoint.provisioning_state == _DELETING:
            return self.endpoint.operation_url
        return deployment.operation_url if deployment.provisioning_state == _DELETING else ""


def deployment_record(
    deployment: OnlineDeployment, sighting: Sighting, running: Iterable[CostRecord], dataset: str, owner: str
) -> CostRecord | None:
    """What is to be in the books about a deployment that was seen; None: it is not ours.

    One whose creation Azure does not date began when it was seen first.
    """
    if deployment.tags.get(names.TAG_OWNER) != owner:
        return None
    name = f"{sighting.name}/{deployment.name}"
    known = (record.began for record in running if record.name == name)
    began = deployment.created_at or next(known, sighting.looked)
    deletion = sighting.deletion_of(deployment)
    return CostRecord(
        kind=Kind.DEPLOYMENT,
        dataset=dataset,
        tuning=deployment.tags.get(names.TAG_TUNING, ""),
        name=name,
        instance_type=deployment.instance_type,
        instance_count=deployment.instance_count,
        began=began,
        seen=max(began, sighting.looked),
        operation="" if deletion else deployment.operation_url,
        deletions=(deletion,) if deletion else (),
    )


def job_record(job: Job, tuning: Tuning, looked: datetime) -> CostRecord:
    nodes = tuning.parameters.get("num_nodes_finetune", "")
    began = job.created_at or tuning.state_since
    return CostRecord(
        kind=Kind.JOB,
        dataset=tuning.dataset,
        tuning=tuning.id,
        name=job.name,
        instance_type=tuning.finetune_instance_type,
        instance_count=int(nodes) if nodes.isdecimal() else 1,
        began=began,
        seen=max(began, looked),
    )


def seen_again(record: CostRecord, sighting: CostRecord) -> CostRecord:
    """With what a later sighting adds. One that ended, but was seen by a look that began afterwards, goes on."""
    operation = sighting.operation or record.operation
    # Of a deployment that goes with its endpoint, Azure may show the operation that made it.
    deletions = tuple(url for url in dict.fromkeys((*record.deletions, *sighting.deletions)) if url != operation)
    if record.ended is not None and sighting.seen <= record.ended:
        return record
    seen = max(record.seen, sighting.seen)
    return replace(record, seen=seen, operation=operation, deletions=deletions, ended=None, exact=True, retired=False)


def plausible_end(record: CostRecord, ends: Iterable[datetime | None]) -> datetime | None:
    """When it ended, by the operations that may have deleted it.

    One that was over before it was seen last has not: Azure may show an earlier operation of the resource, such as the
    one that made it. As clocks differ, the last of those that were over shortly before counts if there is no other.
    """
    earliest = max(record.began, record.seen - _CLOCKS)
    known = sorted(end for end in ends if end is not None and end > earliest)
    return next((end for end in known if end > record.seen), known[-1] if known else None)


def is_retired(tuning: Tuning | None) -> bool:
    """Whether what it had was deleted on purpose because nobody used it, and not behind our back."""
    from shared.lifecycle.tuning import State

    if tuning is None or tuning.reason is None or tuning.reason.code == "EndpointVanished":
        return False
    return State.RETIRED in (tuning.state, tuning.outcome)
