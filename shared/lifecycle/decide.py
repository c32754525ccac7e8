"""What is to be done about a tuning: a pure function of what it is and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.azureml.resources import Job, OnlineDeployment, OnlineEndpoint
from shared.costs.sightings import Sighting
from shared.idle.marks import keep_reason
from shared.lifecycle.actions import (
    Action,
    AwaitBudget,
    BecomeLive,
    CancelJob,
    ClaimPromotion,
    ClaimSlot,
    CleanUp,
    CleanUpAgain,
    ComeBack,
    CopySplits,
    CreateDeployment,
    CreateEndpoint,
    DeleteDeployment,
    DeleteEndpoint,
    EndCanary,
    Finish,
    JoinEndpoint,
    Nothing,
    QueueForSlot,
    RegisterModel,
    RejoinEndpoint,
    SetTraffic,
    StartSmokeTest,
    SubmitJob,
    TakeBudget,
    Wait,
    WatchCanary,
)
from shared.lifecycle.canary import CanaryView, shares
from shared.lifecycle.deadlines import STILL_POSSIBLE, Deadlines, give_up, overdue
from shared.lifecycle.job_slots import SlotView
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import Reason, State, Tuning


class CopyState(StrEnum):
    ABSENT = "absent"
    PENDING = "pending"
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen in the cloud and the ledger; only what the tuning's state needs is filled in."""

    over_budget: str = ""
    """Why a deployment has to wait for the month's budget; empty: it has not to."""
    copies: Mapping[str, CopyState] = field(default_factory=dict)
    slot: SlotView | None = None
    """None: jobs are not limited."""
    job: Job | None = None
    record: EndpointRecord | None = None
    endpoint: OnlineEndpoint | None = None
    ours: bool = True
    """Whether the endpoint carries our tag."""
    deployment: OnlineDeployment | None = None
    other_deployments: tuple[str, ...] = ()
    sighting: Sighting | None = None
    """The endpoint with all of its deployments, if those were looked at: for the books."""
    failure: str = ""
    """Azure ML's reason of a failed operation."""
    live: Tuning | None = None
    promoting: Tuning | None = None
    canary: CanaryView | None = None

    @property
    def deployments(self) -> tuple[str, ...]:
        """Names of all that are on the endpoint."""
        return (*((self.deployment.name,) if self.deployment else ()), *self.other_deployments)


def decide(tuning: Tuning, observed: Observed, now: datetime, deadlines: Deadlines) -> Action:
    """The one next thing to do."""
    if tuning.ended:
        left = _left_over(tuning, observed)
        return CleanUpAgain(left) if left else Nothing(f"it ended as {tuning.state}")
    action = _RULES[tuning.state](tuning, observed)
    if isinstance(action, DeleteEndpoint) and _kept(observed, now):
        return Finish(tuning.outcome or State.FAILED, endpoint_gone=False, endpoint_kept=True)
    if isinstance(action, _ALWAYS_DONE):
        return action
    patience = 1 if isinstance(action, Wait) and not _in_line(tuning, observed) else STILL_POSSIBLE
    if overdue(tuning, now, deadlines, patience):
        return give_up(tuning, deadlines, getattr(action, "why", type(action).__name__))
    return action


def _preparing(tuning: Tuning, observed: Observed) -> Action:
    states = {split.name: observed.copies.get(split.name, CopyState.ABSENT) for split in tuning.splits}
    absent = tuple(name for name, state in states.items() if state is CopyState.ABSENT)
    if absent:
        return CopySplits(absent)
    if CopyState.PENDING in states.values():
        return Wait("the splits are being copied")
    return _queued(tuning, observed)


def _queued(tuning: Tuning, observed: Observed) -> Action:
    slot = observed.slot
    if slot is None or slot.held:
        return SubmitJob()
    if slot.free:
        return ClaimSlot()
    # Who died between entering the line and recording it would wait as `preparing`, whose deadline is short.
    if not slot.queued or tuning.state is not State.QUEUED:
        return QueueForSlot()
    return Wait(waiting_for_slot(slot))


def waiting_for_slot(slot: SlotView) -> str:
    return f"waiting for a job slot: position {slot.position} of {slot.waiting}"


def _training(tuning: Tuning, observed: Observed) -> Action:
    job = observed.job
    if job is None:
        return Wait(f"Azure ML does not know job {tuning.job}")
    if job.status == "Completed":
        return RegisterModel()
    if job.status == "Failed":
        reason = Reason("JobFailed", job.error or f"job {tuning.job} failed; Azure ML gives no message")
        return CleanUp(State.FAILED, reason)
    if job.status == "Canceled":
        return CleanUp(State.FAILED, Reason("JobCanceled", f"job {tuning.job} was canceled in Azure ML"))
    return Wait(f"the job is {job.status}")


def _registered(_: Tuning, observed: Observed) -> Action:
    if observed.over_budget:
        return AwaitBudget(observed.over_budget)
    record, endpoint = _record(observed), observed.endpoint
    if record.status is EndpointStatus.DELETING:
        if endpoint is not None:
            return Wait(f"endpoint {endpoint.name} is being deleted; the next generation follows")
        return JoinEndpoint(new_generation=True)
    if endpoint is not None and endpoint.name == record.name and endpoint.provisioning_state == "Deleting":
        return Wait(f"endpoint {endpoint.name} is being deleted by somebody else")
    vanished = record.status is EndpointStatus.ACTIVE and endpoint is None and bool(record.live)
    return JoinEndpoint(new_generation=vanished)


def _waiting_for_budget(_: Tuning, observed: Observed) -> Action:
    return Wait(observed.over_budget) if observed.over_budget else TakeBudget()


def _deploying(tuning: Tuning, observed: Observed) -> Action:
    record, endpoint, deployment = _record(observed), observed.endpoint, observed.deployment
    if record.name != tuning.endpoint or tuning.id not in record.tenants:
        return RejoinEndpoint()
    if endpoint is None:
        return RejoinEndpoint() if record.live else CreateEndpoint()
    if not observed.ours:
        reason = Reason("EndpointNotOurs", f"an endpoint {endpoint.name} exists that droptune did not create")
        return CleanUp(State.FAILED, reason)
    if endpoint.provisioning_state == "Deleting":
        return RejoinEndpoint()
    if endpoint.busy:
        return Wait(f"endpoint {endpoint.name} is {endpoint.provisioning_state}")
    if endpoint.provisioning_state != "Succeeded":
        return CleanUp(State.FAILED, Reason("EndpointFailed", _why(observed, f"endpoint {endpoint.name}")))
    if deployment is None:
        return CreateDeployment()
    if deployment.busy:
        return Wait(f"deployment {deployment.name} is {deployment.provisioning_state}")
    if deployment.provisioning_state != "Succeeded":
        return CleanUp(State.FAILED, Reason("DeploymentFailed", _why(observed, f"deployment {deployment.name}")))
    return StartSmokeTest()


def _in_line(tuning: Tuning, observed: Observed) -> bool:
    """Whether it waits until an operation of another tuning on the endpoint is over, to begin its own."""
    if tuning.state is not State.DEPLOYING or observed.deployment is not None:
        return False
    return observed.endpoint is not None and observed.endpoint.provisioning_state == "Updating"


def _testing(tuning: Tuning, observed: Observed) -> Action:
    return _outrun(tuning, observed) or Wait("the smoke test is under way")


def _canary(tuning: Tuning, observed: Observed) -> Action:
    before = _before_traffic(tuning, observed)
    if before:
        return before
    endpoint, live, view = observed.endpoint, observed.live, observed.canary
    if live is None or live.state is not State.LIVE or live.deployment not in observed.other_deployments:
        return EndCanary("nobody is live beside it")
    assert endpoint is not None, "it was there before"
    assert view is not None, "it is observed where somebody is live"
    if not view.policy.percent:
        return EndCanary("canaries were switched off")
    if view.verdict is not None and view.verdict.kind == "roll_back":
        return CleanUp(State.ROLLED_BACK, Reason(view.verdict.code, view.verdict.why))
    if view.verdict is not None and view.verdict.kind == "promote":
        return EndCanary(view.verdict.why)
    if endpoint.busy:
        return Wait(f"endpoint {endpoint.name} is {endpoint.provisioning_state}")
    wanted = shares(view.policy, tuning.deployment, live.deployment)
    if _positive(endpoint.traffic) == wanted and endpoint.provisioning_state == "Succeeded":
        return WatchCanary(view)
    return SetTraffic(wanted)


def _promoting(tuning: Tuning, observed: Observed) -> Action:
    if _record(observed).live == tuning.id:
        return BecomeLive()
    before = _before_traffic(tuning, observed)
    if before:
        return before
    endpoint = observed.endpoint
    assert endpoint is not None, "it was there before"
    if endpoint.busy:
        return Wait(f"endpoint {endpoint.name} is {endpoint.provisioning_state}")
    wanted = {tuning.deployment: 100}
    if _positive(endpoint.traffic) == wanted and endpoint.provisioning_state == "Succeeded":
        return BecomeLive()
    return SetTraffic(wanted)


def _before_traffic(tuning: Tuning, observed: Observed) -> Action | None:
    """Who is outrun or gone gets no traffic; who is to get some holds the claim.

    A rival that is a canary is older, else it would have outrun this one: its claim is taken over.
    """
    record, endpoint, deployment = _record(observed), observed.endpoint, observed.deployment
    outrun = _outrun(tuning, observed)
    if outrun:
        return outrun
    if endpoint is None or deployment is None:
        what = f"endpoint {tuning.endpoint}" if endpoint is None else f"deployment {tuning.deployment}"
        return CleanUp(State.FAILED, Reason("DeploymentVanished", f"{what} was deleted outside of droptune"))
    if record.promoting == tuning.id:
        return None
    rival = observed.promoting
    if rival is not None and rival.state is State.PROMOTING:
        return Wait(f"{rival.id} is being promoted")
    return ClaimPromotion()


def _live(tuning: Tuning, observed: Observed) -> Action:
    record = _record(observed)
    if observed.endpoint is None or not observed.ours:
        message = f"endpoint {tuning.endpoint} was deleted outside of droptune"
        return CleanUp(State.RETIRED, Reason("EndpointVanished", message))
    if record.live != tuning.id:
        return CleanUp(State.SUPERSEDED, Reason("Superseded", f"{record.live or 'a newer tuning'} is live"))
    if record.status is EndpointStatus.DELETING:
        return CleanUp(State.RETIRED, Reason("Idle", record.retire_reason))
    return Nothing("it is live")


def _cleaning_up(tuning: Tuning, observed: Observed) -> Action:
    outcome, job = tuning.outcome or State.FAILED, observed.job
    if job is not None and not job.ended:
        return Wait(f"job {job.name} is being canceled") if job.status == "CancelRequested" else CancelJob()
    record, endpoint, deployment = _record(observed), observed.endpoint, observed.deployment
    if not tuning.endpoint or endpoint is None:
        return Finish(outcome, endpoint_gone=_last(tuning, record))
    if not observed.ours:
        return Finish(outcome, endpoint_gone=False)
    if endpoint.busy:
        return Wait(f"endpoint {endpoint.name} is {endpoint.provisioning_state}")
    if record.name == endpoint.name and record.status is EndpointStatus.DELETING:
        return DeleteEndpoint()
    if deployment is not None:
        if deployment.busy:
            return Wait(f"deployment {deployment.name} is {deployment.provisioning_state}")
        if record.live == tuning.id and deployment.provisioning_state == "Succeeded":
            return _back_to_life(deployment, endpoint)
        if _positive(endpoint.traffic).get(deployment.name):
            return _give_back_traffic(tuning, deployment, observed)
        return DeleteDeployment()
    if not observed.other_deployments and (_last(tuning, record) or _abandoned(endpoint, record)):
        return DeleteEndpoint()
    return Finish(outcome, endpoint_gone=False)


def _back_to_life(deployment: OnlineDeployment, endpoint: OnlineEndpoint) -> Action:
    """It passed its test, and its predecessor has been told to go: what is live is never removed."""
    wanted = {deployment.name: 100}
    return ComeBack() if _positive(endpoint.traffic) == wanted else SetTraffic(wanted)


def _kept(observed: Observed, now: datetime) -> bool:
    """An endpoint that people want to keep stays, empty. One that was given up with its live tuning is past that."""
    record, endpoint = _record(observed), observed.endpoint
    if endpoint is None or (record.name == endpoint.name and record.given_up):
        return False
    return bool(keep_reason(endpoint.tags, now))


def _left_over(tuning: Tuning, observed: Observed) -> str:
    """What is in the cloud of a tuning that ended: a worker that was slow, or died, acted after the clean-up."""
    if observed.job is not None and not observed.job.ended:
        return f"job {observed.job.name}"
    endpoint, deployment = observed.endpoint, observed.deployment
    if not tuning.endpoint or endpoint is None or not observed.ours or endpoint.provisioning_state == "Deleting":
        return ""
    if deployment is not None and deployment.provisioning_state != "Deleting":
        return f"deployment {deployment.name}"
    if _abandoned(endpoint, _record(observed)) and not observed.other_deployments:
        return f"endpoint {endpoint.name}"
    return ""


def _give_back_traffic(tuning: Tuning, deployment: OnlineDeployment, observed: Observed) -> Action:
    """A deployment with traffic is never removed: the one that is live gets its share first, or nobody has it.

    What others have they keep: a newer canary's share is not this tuning's to take. Nobody is a share of 0 for the
    deployment, not an empty map: of an endpoint that was deleted meanwhile the one is refused, the other makes a new
    endpoint.
    """
    assert observed.endpoint is not None, "it has the traffic"
    rest = _positive(observed.endpoint.traffic)
    share = rest.pop(deployment.name)
    live = observed.live
    if live is not None and live.id != tuning.id and live.deployment in observed.other_deployments:
        heir = live.deployment
    elif rest:
        heir = max(rest, key=lambda name: rest[name])
    else:
        return SetTraffic({deployment.name: 0})
    return SetTraffic({**rest, heir: rest.get(heir, 0) + share})


def _outrun(tuning: Tuning, observed: Observed) -> CleanUp | None:
    """A newer tuning of the dataset that is live, or about to be, ends this one: traffic never goes back."""
    for other in (observed.live, observed.promoting):
        if other is None or other.id == tuning.id or not other.is_newer_than(tuning):
            continue
        if other.state in (State.LIVE, State.PROMOTING, State.CANARY):
            return CleanUp(State.SUPERSEDED, Reason("Superseded", f"{other.id} is newer and {other.state}"))
    return None


def _last(tuning: Tuning, record: EndpointRecord) -> bool:
    """Whether nobody but this tuning uses the endpoint."""
    return bool(tuning.endpoint) and record.name == tuning.endpoint and set(record.tenants) <= {tuning.id}


def _abandoned(endpoint: OnlineEndpoint, record: EndpointRecord) -> bool:
    """The dataset has gone on to another generation, and none ever comes back."""
    return record.name != endpoint.name


def _record(observed: Observed) -> EndpointRecord:
    assert observed.record is not None, "the endpoint record is part of every observation but a job's"
    return observed.record


def _why(observed: Observed, what: str) -> str:
    return observed.failure or f"{what} failed; Azure ML gives no reason"


def _positive(traffic: Mapping[str, int]) -> dict[str, int]:
    return {name: share for name, share in traffic.items() if share > 0}


_ALWAYS_DONE = (BecomeLive, CleanUp, EndCanary, Finish, Nothing)

_RULES = {
    State.PREPARING: _preparing,
    State.QUEUED: _queued,
    State.TRAINING: _training,
    State.REGISTERED: _registered,
    State.WAITING_FOR_BUDGET: _waiting_for_budget,
    State.DEPLOYING: _deploying,
    State.TESTING: _testing,
    State.CANARY: _canary,
    State.PROMOTING: _promoting,
    State.LIVE: _live,
    State.CLEANING_UP: _cleaning_up,
}
