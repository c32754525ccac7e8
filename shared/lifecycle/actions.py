"""Everything that can be done about a tuning; `decide` chooses one, `perform` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.lifecycle.canary import CanaryView
from shared.lifecycle.tuning import Reason, State


@dataclass(frozen=True)
class Wait:
    """Look again later."""

    why: str


@dataclass(frozen=True)
class Nothing:
    """Nothing is to be done until something else happens."""

    why: str


@dataclass(frozen=True)
class CopySplits:
    """Begin the server-side copies that are missing."""

    splits: tuple[str, ...]


@dataclass(frozen=True)
class QueueForSlot:
    """As many jobs as allowed are running: wait in the line."""


@dataclass(frozen=True)
class ClaimSlot:
    """A job slot is free, and nobody older waits for it."""


@dataclass(frozen=True)
class SubmitJob:
    pass


@dataclass(frozen=True)
class RegisterModel:
    pass


@dataclass(frozen=True)
class AwaitBudget:
    """Its deployment would cost more than what is left of the month's budget."""

    why: str


@dataclass(frozen=True)
class TakeBudget:
    """It fits again: back to `registered`, where everybody counts it, and it asks once more."""


@dataclass(frozen=True)
class JoinEndpoint:
    """Become a tenant of the dataset's endpoint; `new_generation` if the one in the record is gone."""

    new_generation: bool


@dataclass(frozen=True)
class CreateEndpoint:
    pass


@dataclass(frozen=True)
class CreateDeployment:
    pass


@dataclass(frozen=True)
class RejoinEndpoint:
    """Back to `registered`: the endpoint is being deleted under our feet."""


@dataclass(frozen=True)
class StartSmokeTest:
    pass


@dataclass(frozen=True)
class ClaimPromotion:
    pass


@dataclass(frozen=True)
class SetTraffic:
    traffic: Mapping[str, int]


@dataclass(frozen=True)
class WatchCanary:
    """Its share of the traffic is there: note since when, and what was seen of it."""

    view: CanaryView


@dataclass(frozen=True)
class EndCanary:
    """On to all of the traffic."""

    why: str


@dataclass(frozen=True)
class BecomeLive:
    pass


@dataclass(frozen=True)
class CleanUp:
    """End in `outcome`, after everything that the tuning has in the cloud was removed."""

    outcome: State
    reason: Reason


@dataclass(frozen=True)
class CleanUpAgain:
    """It ended, but `what` is in the cloud: somebody who was slow made it after the clean-up."""

    what: str


@dataclass(frozen=True)
class ComeBack:
    """It was given up, but is live in the endpoint record and serves: the answer to that write was lost, or late."""


@dataclass(frozen=True)
class CancelJob:
    pass


@dataclass(frozen=True)
class DeleteDeployment:
    pass


@dataclass(frozen=True)
class DeleteEndpoint:
    """With the record marked first, so that nobody joins it meanwhile."""


@dataclass(frozen=True)
class Finish:
    """Nothing of the tuning is left in the cloud. `endpoint_gone` frees the next generation, `endpoint_kept` opens the
    record again if its deletion had begun, and failed."""

    outcome: State
    endpoint_gone: bool
    endpoint_kept: bool = False


Action = (
    Wait
    | Nothing
    | CopySplits
    | QueueForSlot
    | ClaimSlot
    | SubmitJob
    | RegisterModel
    | AwaitBudget
    | TakeBudget
    | JoinEndpoint
    | CreateEndpoint
    | CreateDeployment
    | RejoinEndpoint
    | StartSmokeTest
    | ClaimPromotion
    | SetTraffic
    | WatchCanary
    | EndCanary
    | BecomeLive
    | CleanUp
    | CleanUpAgain
    | ComeBack
    | CancelJob
    | DeleteDeployment
    | DeleteEndpoint
    | Finish
)
