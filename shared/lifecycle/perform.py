"""Doing what was decided. Each action is idempotent: its names are deterministic, its writes conditional.

Every method acts first and returns the tuning as it is afterwards; the caller records that. Dying in between
means that the action is done once more, and finds it done.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared import names
from shared.azureml.resources import DeploymentRequest, JobRequest
from shared.blobs import BlobChangedError
from shared.datasets.gzip_stream import expanded
from shared.datasets.paths import COMPRESSED_SUFFIX
from shared.errors import PermanentError, TransientError
from shared.lifecycle import actions
from shared.lifecycle.decide import waiting_for_slot
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import DELETING, Reason, State, Tuning
from shared.telemetry.traces import traceparent

if TYPE_CHECKING:
    from shared.azureml.arm import ArmClient
    from shared.azureml.sdk import SdkClient
    from shared.blobs import Blobs
    from shared.config import Settings
    from shared.costs.books import Books
    from shared.lifecycle.canary import CanaryView
    from shared.lifecycle.decide import Observed
    from shared.lifecycle.ledger import Ledger
    from shared.lifecycle.queues import WakeUps
    from shared.lifecycle.slot_keeper import SlotKeeper

log = logging.getLogger(__name__)

FILE_INPUTS = {"train_sft": "train_file_path", "test_sft": "test_file_path"}
"""Which split goes into which input of the component."""
NO_TRAFFIC: Mapping[str, int] = {}
_NAME_NOT_FREE = "NotFound"
"""The code of a creation under the name of an endpoint that was deleted: azure-cli-extensions issues 7107, 7660."""


@dataclass(frozen=True)
class Performer:
    settings: Settings
    arm: ArmClient
    sdk: SdkClient
    ledger: Ledger
    blobs: Blobs
    wake_ups: WakeUps
    slots: SlotKeeper
    books: Books

    def perform(
        self,
        action: actions.Action,
        tuning: Tuning,
        observed: Observed,
        record: Versioned[EndpointRecord] | None,
        now: datetime,
    ) -> Tuning:
        if observed.canary is not None and observed.canary.figures is not None:
            tuning = replace(tuning, canary=observed.canary.figures)
        match action:
            case actions.Wait(why):
                return tuning.waiting(now, self.patience(tuning), why)
            case actions.Nothing():
                return tuning if tuning.ended else replace(tuning, errors=0, last_error="")
            case actions.CopySplits(splits):
                return self._copy(tuning, splits, now)
            case actions.QueueForSlot():
                return self._queue_for_slot(tuning, now)
            case actions.ClaimSlot():
                self.slots.claim(tuning)
                return tuning.waiting(now, 0)
            case actions.SubmitJob():
                return self._submit_job(tuning, now)
            case actions.RegisterModel():
                return self._register_model(tuning, now)
            case actions.CleanUp(outcome, reason):
                if reason.code == "Idle":
                    tuning = tuning.noted(now, f"deleting endpoint {tuning.endpoint}: {reason.message}", DELETING, now)
                return cleaning_up(tuning, outcome, reason, now)
            case actions.CleanUpAgain(what):
                return tuning.moved(State.CLEANING_UP, now, f"{what} was left over", outcome=tuning.state)
            case actions.ComeBack():
                message = f"endpoint {tuning.endpoint} has it as live; it is no longer given up"
                return tuning.moved(State.PROMOTING, now, message, outcome=None, reason=None, failed_stage=None)
            case actions.CancelJob():
                return self._cancel_job(tuning, now)
            case actions.AwaitBudget(why):
                waiting = tuning.moved(State.WAITING_FOR_BUDGET, now, why)
                return waiting.waiting(now, self.patience(waiting), why)
            case actions.TakeBudget():
                return tuning.moved(State.REGISTERED, now, "its deployment is within the month's budget")
            case actions.RejoinEndpoint():
                return tuning.moved(State.REGISTERED, now, f"endpoint {tuning.endpoint} is no more; taking the next")
            case actions.StartSmokeTest():
                message = f"deployment {tuning.deployment} is up"
                return tuning.moved(State.TESTING, now, message, smoke_attempts=0, smoke_answered=0)
            case actions.CreateEndpoint():
                return self._create_endpoint(tuning, now)
            case actions.CreateDeployment():
                return self._create_deployment(tuning, now)
            case actions.DeleteDeployment():
                operation = self.arm.delete_deployment(tuning.endpoint, tuning.deployment)
                self.books.deleting(tuning, operation, [tuning.deployment])
                return tuning.waiting(now, self.patience(tuning)).noted(now, f"deleting deployment {tuning.deployment}")
            case actions.SetTraffic(traffic):
                assert observed.endpoint is not None
                with self._looking_again_if_deleted(tuning.endpoint, traffic):
                    self.arm.set_traffic(observed.endpoint, traffic)
                shares = ", ".join(f"{name} {share} %" for name, share in traffic.items() if share) or "nobody"
                return tuning.waiting(now, self.patience(tuning)).noted(now, f"giving traffic to {shares}")
            case actions.WatchCanary(view):
                return self._watch_canary(tuning, view, now)
            case actions.EndCanary(why):
                return tuning.moved(State.PROMOTING, now, why)
        assert record is not None, "what follows changes the endpoint record"
        match action:
            case actions.JoinEndpoint(new_generation):
                return self._join(tuning, record, new_generation, now)
            case actions.ClaimPromotion():
                self.ledger.put(replace(record, value=replace(record.value, promoting=tuning.id)))
                return tuning.waiting(now, 0)
            case actions.BecomeLive():
                return self._become_live(tuning, record, now)
            case actions.DeleteEndpoint():
                return self._delete_endpoint(tuning, observed.deployments, record, now)
            case actions.Finish():
                return self._finish(tuning, record, action, now)

    def patience(self, tuning: Tuning) -> float:
        """Seconds until the next look: long where an event or a wake-up comes, else growing from look to look."""
        if tuning.state in (State.QUEUED, State.TRAINING, State.WAITING_FOR_BUDGET):
            return self.settings.training_look_minutes * 60
        first = self.settings.poll_seconds
        return min(first * 1.5 ** min(tuning.looks, 20), max(first, self.settings.poll_max_seconds))

    def _copy(self, tuning: Tuning, splits: tuple[str, ...], now: datetime) -> Tuning:
        for split in tuning.splits:
            if split.name not in splits:
                continue
            source, file = names.uploaded_blob(tuning.dataset, tuning.version, split.source), f"{split.name}.jsonl"
            try:
                if split.source.endswith(COMPRESSED_SUFFIX):
                    content = expanded(
                        self.blobs.uploaded_content(source, split.etag), max_bytes=split.size, max_ratio=math.inf
                    )
                    self.blobs.write_expanded(content, tuning.id, file)
                else:
                    self.blobs.begin_copy(source, split.etag, tuning.id, file)
            except BlobChangedError as error:
                message = f"{error.message}; its new content is another tuning"
                return cleaning_up(tuning, State.SUPERSEDED, Reason(error.code, message), now)
        return tuning.waiting(now, 0)

    def _queue_for_slot(self, tuning: Tuning, now: datetime) -> Tuning:
        why = waiting_for_slot(self.slots.join(tuning))
        queued = tuning if tuning.state is State.QUEUED else tuning.moved(State.QUEUED, now, why)
        # Once more at once: the slot may have become free between the look and the place in the line.
        delay = 0 if queued.looks == 0 else self.patience(queued)
        return queued.waiting(now, delay, why)

    def _submit_job(self, tuning: Tuning, now: datetime) -> Tuning:
        job = names.job_name(tuning.id, tuning.attempt)
        self.sdk.submit_job(
            JobRequest(
                name=job,
                display_name=tuning.display_name,
                experiment_name=self.settings.experiment_name,
                component_id=tuning.component_id,
                model_id=tuning.base_model_id,
                files={
                    FILE_INPUTS[split.name]: self.blobs.snapshot_url(tuning.id, f"{split.name}.jsonl")
                    for split in tuning.splits
                    if split.name in FILE_INPUTS
                },
                inputs=tuning.parameters,
                tags=self._tags(tuning),
            )
        )
        moved = tuning.moved(State.TRAINING, now, f"job {job} submitted", job=job)
        return moved.waiting(now, self.patience(moved))

    def _cancel_job(self, tuning: Tuning, now: datetime) -> Tuning:
        job = names.job_name(tuning.id, tuning.attempt)
        try:
            self.arm.cancel_job(job)
        except PermanentError as error:
            log.info("tuning %s: job %s can not be canceled: %s", tuning.id, job, error)
            return tuning.waiting(now, self.patience(tuning), f"job {job} to end: it can not be canceled")
        return tuning.waiting(now, self.patience(tuning)).noted(now, f"canceling job {job}")

    def _register_model(self, tuning: Tuning, now: datetime) -> Tuning:
        name = names.model_name(tuning.base_model, tuning.dataset)
        version = names.model_version(tuning.created_at, tuning.fingerprint, tuning.attempt)
        model_id = self.sdk.register_model(
            name=name,
            version=version,
            job=tuning.job,
            description=f"{tuning.base_model} fine-tuned on {tuning.dataset} {tuning.version} for chat completion",
            tags=self._tags(tuning),
        )
        self.slots.release(tuning.id)
        return tuning.moved(State.REGISTERED, now, f"model {name} version {version} registered", model_id=model_id)

    def _join(self, tuning: Tuning, record: Versioned[EndpointRecord], new_generation: bool, now: datetime) -> Tuning:
        value = record.value.gone() if new_generation else record.value
        name = value.name or names.endpoint_name(self.settings.workspace_id, tuning.dataset, value.generation)
        self.ledger.put(replace(record, value=value.joined(tuning.id, name)))
        deployment = names.deployment_name(tuning.fingerprint, tuning.deploy_attempt)
        message = f"deploying to endpoint {name} as {deployment}"
        return tuning.moved(State.DEPLOYING, now, message, endpoint=name, deployment=deployment)

    def _create_endpoint(self, tuning: Tuning, now: datetime) -> Tuning:
        try:
            self.arm.create_endpoint(
                tuning.endpoint,
                description=f"Fine-tuned models of dataset {tuning.dataset}, managed by droptune",
                tags={
                    names.TAG_OWNER: names.owner(self.settings.workspace_id),
                    names.TAG_DATASET: tuning.dataset,
                },
            )
        except PermanentError as error:
            if error.code != _NAME_NOT_FREE:
                raise
            raise TransientError(f"{error.message}: an endpoint of that name was deleted a while ago") from error
        return tuning.waiting(now, self.patience(tuning)).noted(now, f"creating endpoint {tuning.endpoint}")

    def _create_deployment(self, tuning: Tuning, now: datetime) -> Tuning:
        request = DeploymentRequest(
            endpoint=tuning.endpoint,
            name=tuning.deployment,
            model_id=tuning.model_id,
            instance_type=tuning.inference_instance_type,
            instance_count=tuning.instance_count,
            request_timeout=self.settings.request_timeout_seconds,
            liveness_initial_delay=self.settings.liveness_initial_delay_seconds,
            tags=self._tags(tuning),
        )
        with self._looking_again_if_deleted(tuning.endpoint):
            self.arm.create_deployment(request)
        return tuning.waiting(now, self.patience(tuning)).noted(now, f"creating deployment {tuning.deployment}")

    def _watch_canary(self, tuning: Tuning, view: CanaryView, now: datetime) -> Tuning:
        why = view.verdict.why if view.verdict else "its share of the traffic is there"
        seen = replace(tuning, canary_since=tuning.canary_since or now)
        return seen.waiting(now, self.patience(tuning), why)

    def _become_live(self, tuning: Tuning, record: Versioned[EndpointRecord], now: datetime) -> Tuning:
        previous = record.value.live
        if previous != tuning.id:
            value = replace(record.value, live=tuning.id, live_since=now, promoting="", last_live=tuning.id)
            self.ledger.put(replace(record, value=value))
            if previous:
                self.wake_ups.tuning(previous)
        return tuning.moved(State.LIVE, now, f"live on endpoint {tuning.endpoint} with 100 % of the traffic")

    def _delete_endpoint(
        self, tuning: Tuning, deployments: tuple[str, ...], record: Versioned[EndpointRecord], now: datetime
    ) -> Tuning:
        if record.value.name == tuning.endpoint and record.value.status is not EndpointStatus.DELETING:
            self.ledger.put(replace(record, value=replace(record.value, status=EndpointStatus.DELETING)))
        self.books.deleting(tuning, self.arm.delete_endpoint(tuning.endpoint), deployments)
        return tuning.waiting(now, self.patience(tuning)).noted(now, f"deleting endpoint {tuning.endpoint}")

    def _finish(
        self, tuning: Tuning, record: Versioned[EndpointRecord], action: actions.Finish, now: datetime
    ) -> Tuning:
        self.slots.release(tuning.id)
        before = record.value
        if action.endpoint_gone and before.name:
            self.ledger.put(replace(record, value=before.gone()))
        else:
            after = before.left(tuning.id)
            if action.endpoint_kept and after.status is EndpointStatus.DELETING:
                after = replace(after, status=EndpointStatus.ACTIVE)
            if after != before:
                self.ledger.put(replace(record, value=after))
        reason = tuning.reason.message if tuning.reason else ""
        return tuning.moved(action.outcome, now, reason or f"ended as {action.outcome}")

    @contextmanager
    def _looking_again_if_deleted(self, endpoint: str, traffic: Mapping[str, int] = NO_TRAFFIC) -> Iterator[None]:
        """What began to be deleted after the look refuses for good; the tuning must see that, not end.

        `traffic` names deployments that have to be there.
        """
        try:
            yield
        except PermanentError as error:
            gone = self._deleted(endpoint, traffic)
            if not gone:
                raise
            raise TransientError(f"{gone} was deleted meanwhile: {error.message}") from error

    def _deleted(self, endpoint: str, traffic: Mapping[str, int]) -> str:
        found = self.arm.get_endpoint(endpoint)
        if found is None or found.provisioning_state == "Deleting":
            return f"endpoint {endpoint}"
        if not traffic:
            return ""
        there = {item.name for item in self.arm.list_deployments(endpoint) if item.provisioning_state != "Deleting"}
        missing = sorted(set(traffic) - there)
        return f"deployment {missing[0]}" if missing else ""

    def _tags(self, tuning: Tuning) -> dict[str, str]:
        tags = {
            names.TAG_OWNER: names.owner(self.settings.workspace_id),
            names.TAG_TUNING: tuning.id,
            names.TAG_DATASET: tuning.dataset,
            "droptune-version": tuning.version,
        }
        return tags if tuning.trace is None else {**tags, "traceparent": traceparent(tuning.trace)}


def cleaning_up(tuning: Tuning, outcome: State, reason: Reason, now: datetime) -> Tuning:
    """On its way to `outcome`, by way of removing what it has in the cloud."""
    return tuning.moved(
        State.CLEANING_UP,
        now,
        f"{reason.code}: {reason.message}",
        outcome=outcome,
        reason=reason,
        failed_stage=tuning.state,
    )
