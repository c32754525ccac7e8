"""A made-up week of tunings, for looking at the dashboard without running one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared import names
from shared.lifecycle.job_slots import JobSlots, Waiter
from shared.lifecycle.records import DatasetVersion, VersionState
from shared.lifecycle.tuning import HistoryEntry, Reason, SmokeResult, Split, State, Tuning

MAX_ACTIVE_JOBS = 2
_MODEL = "azureml://registries/azureml/models/Phi-3-mini-4k-instruct/versions/13"
_COMPONENT = "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"
_PARAMETERS = {
    "num_train_epochs": "3",
    "per_device_train_batch_size": "1",
    "learning_rate": "5e-06",
    "lr_scheduler_type": "cosine",
    "apply_lora": "true",
    "apply_deepspeed": "true",
    "deepspeed_stage": "2",
}
_WAY = (
    (State.PREPARING, 1.5, "valid: test_gen 100 rows, test_sft 160 rows, train_sft 1600 rows"),
    (State.TRAINING, 94, "job submitted"),
    (State.REGISTERED, 0.4, "model registered"),
    (State.DEPLOYING, 13, "creating deployment"),
    (State.TESTING, 1.2, "deployment is up"),
    (State.PROMOTING, 0.8, "smoke test passed: HTTP 200 in 1.84 s"),
    (State.LIVE, 0, "live with 100 % of the traffic"),
)
"""States in their order, minutes spent in each, and what is noted when it begins."""


def tunings(now: datetime) -> list[Tuning]:
    ago = _Ago(now)
    return [
        _reached("booking-desk", "2026-11-26", State.LIVE, ago(hours=19)),
        _ended(
            _reached("booking-desk", "2026-11-22", State.LIVE, ago(days=5)),
            State.SUPERSEDED,
            ago(hours=17.2),
            Reason("Superseded", "booking-desk-2026-11-26 is live now"),
        ),
        _reached("travel-agent", "v12", State.LIVE, ago(days=3, hours=4)),
        _reached("support-emails", "2026-11-27b", State.TRAINING, ago(minutes=48), "the job is Running"),
        _reached("contract-clauses", "2026-w48", State.TRAINING, ago(minutes=21), "the job is Preparing"),
        _queued("recipes", "rc3", ago(minutes=17), 1, 2),
        _queued("onboarding-guide", "v2", ago(minutes=6), 2, 2),
        _reached("wine-list", "2026-11-27", State.DEPLOYING, ago(minutes=104), "deployment t-9c3f is Creating"),
        replace(
            _reached("claims-triage", "2026-11-25", State.TESTING, ago(minutes=113), "the smoke test"),
            last_error="score: HTTP 429: the deployment is busy",
        ),
        _ended(
            _reached("claims-triage", "2026-11-24", State.TRAINING, ago(days=1, hours=9)),
            State.FAILED,
            ago(days=1, hours=8, minutes=10),
            Reason("JobFailed", "chat_completion_finetune: CUDA out of memory. Tried to allocate 2.50 GiB"),
        ),
        _ended(
            _reached("faq-german", "v1", State.TESTING, ago(days=2, hours=6)),
            State.ROLLED_BACK,
            ago(days=2, hours=4),
            Reason("SmokeTestFailed", "smoke test 3 of 3 failed: the answer is empty (HTTP 200 in 0.92 s)"),
        ),
        replace(
            _bare("legal-faq", "2026-11-20", ago(days=3)),
            state=State.REJECTED,
            outcome=State.REJECTED,
            reason=Reason("InvalidDataset", "train_sft: 12 errors, the first in line 4,711: ends with the user"),
            splits=(),
        ),
        _ended(
            _reached("menu-writer", "v7", State.LIVE, ago(days=6)),
            State.RETIRED,
            ago(days=2, hours=1),
            Reason("Idle", "no request since 2026-11-24 19:12 UTC, which is more than 24 h"),
        ),
    ]


def versions(now: datetime) -> list[DatasetVersion]:
    first = now - timedelta(minutes=4)
    return [
        DatasetVersion(
            dataset="support-emails",
            version="2026-11-27c",
            state=VersionState.COLLECTING,
            files={"train_sft.jsonl.gz": "0x8DD1", "tuning.json": "0x8DD2"},
            first_seen=first,
            changed_at=first,
            wake_at=now,
        )
    ]


def slots(tunings: Sequence[Tuning]) -> JobSlots:
    waiting = [Waiter(tuning.arrived, tuning.id) for tuning in tunings if tuning.state is State.QUEUED]
    holders = [tuning.id for tuning in tunings if tuning.state is State.TRAINING]
    return JobSlots(holders=tuple(sorted(holders)), waiting=tuple(sorted(waiting)))


class _Ago:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def __call__(self, **span: float) -> datetime:
        return self._now - timedelta(**span)


def _bare(dataset: str, version: str, created: datetime) -> Tuning:
    fingerprint = names.digest(dataset, version, length=64)
    tuning_id = names.tuning_id(dataset, version, fingerprint)
    return Tuning(
        id=tuning_id,
        dataset=dataset,
        version=version,
        fingerprint=fingerprint,
        state=State.PREPARING,
        created_at=created,
        state_since=created,
        wake_at=created + timedelta(hours=1),
        base_model="Phi-3-mini-4k-instruct",
        base_model_id=_MODEL,
        component_id=_COMPONENT,
        parameters=_PARAMETERS,
        dropped_parameters={"target_modules": "not an input of the component"},
        finetune_instance_type="Standard_NC24ads_A100_v4",
        inference_instance_type="Standard_NC24ads_A100_v4",
        splits=(Split("train_sft", "0x1", 4_812_331, 1600, "x"), Split("test_sft", "0x2", 482_113, 160, "y")),
    )


def _reached(dataset: str, version: str, state: State, created: datetime, waiting_for: str = "") -> Tuning:
    """As it is after the usual way to a state."""
    tuning, at, history = _bare(dataset, version, created), created, []
    for number, (passed, minutes, message) in enumerate(_WAY, 1):
        history.append(HistoryEntry(number, at, passed, message))
        if passed is state:
            break
        at += timedelta(minutes=minutes)
    reached = replace(tuning, state=state, state_since=at, history=tuple(history), waiting_for=waiting_for)
    reached = replace(reached, wake_at=at + timedelta(hours=1))
    order = [passed for passed, _, _ in _WAY]
    if order.index(state) >= order.index(State.TRAINING):
        reached = replace(reached, job=tuning.id)
    if order.index(state) >= order.index(State.REGISTERED):
        reached = replace(reached, model_id=f"azureml:{names.model_name(tuning.base_model, dataset)}:{created:%Y%m%d}")
    if order.index(state) >= order.index(State.DEPLOYING):
        endpoint = names.endpoint_name("/workspaces/demo", dataset, 1)
        reached = replace(reached, endpoint=endpoint, deployment=names.deployment_name(tuning.fingerprint, 1))
    if order.index(state) >= order.index(State.PROMOTING):
        reached = replace(reached, smoke=SmokeResult(True, 1.84, 200, "answered in 1.84 s", at))
    return reached


def _queued(dataset: str, version: str, created: datetime, position: int, waiting: int) -> Tuning:
    why = f"waiting for a job slot: position {position} of {waiting}"
    at = created + timedelta(minutes=1)
    preparing = HistoryEntry(1, created, State.PREPARING, "valid: test_sft 160 rows, train_sft 1600 rows")
    queued = HistoryEntry(2, at, State.QUEUED, why)
    return replace(
        _bare(dataset, version, created),
        state=State.QUEUED,
        state_since=at,
        waiting_for=why,
        history=(preparing, queued),
    )


def _ended(tuning: Tuning, outcome: State, at: datetime, reason: Reason) -> Tuning:
    cleaning = at - timedelta(minutes=3)
    failed_stage = None if outcome in (State.SUPERSEDED, State.RETIRED) else tuning.state
    return (
        replace(tuning, reason=reason, outcome=outcome, failed_stage=failed_stage)
        .moved(State.CLEANING_UP, cleaning, f"{reason.code}: {reason.message}")
        .moved(outcome, at, f"ended: {outcome}")
    )
