"""The decision table of the lifecycle: what was seen → the one next thing to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.azureml.resources import Job, OnlineDeployment, OnlineEndpoint
from shared.lifecycle.actions import (
    BecomeLive,
    CancelJob,
    ClaimPromotion,
    ClaimSlot,
    CleanUp,
    ComeBack,
    CopySplits,
    CreateDeployment,
    CreateEndpoint,
    DeleteDeployment,
    DeleteEndpoint,
    Finish,
    JoinEndpoint,
    Nothing,
    QueueForSlot,
    RegisterModel,
    RejoinEndpoint,
    SetTraffic,
    StartSmokeTest,
    SubmitJob,
    Wait,
)
from shared.lifecycle.decide import CopyState, Observed, decide
from shared.lifecycle.job_slots import SlotView
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import ENDED, Reason, Split, State, Tuning

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEADLINES = {state: timedelta(hours=1) for state in State if state not in (State.LIVE, State.CLEANING_UP, *ENDED)}


def tuning(state: State, **changes: object) -> Tuning:
    base = Tuning(
        id="chats-v1-aaaaaaaa",
        dataset="chats",
        version="v1",
        fingerprint="a" * 64,
        state=state,
        created_at=NOW - timedelta(minutes=30),
        state_since=NOW - timedelta(minutes=1),
        wake_at=NOW,
        splits=(Split("train_sft", "e1", 10, 10, "x"), Split("test_sft", "e2", 10, 1, "y")),
        job="chats-v1-aaaaaaaa",
        endpoint="chats-123456",
        deployment="t-aaaaaaaa",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def endpoint(state: str = "Succeeded", traffic: dict[str, int] | None = None) -> OnlineEndpoint:
    return OnlineEndpoint(
        id="/e",
        name="chats-123456",
        provisioning_state=state,
        scoring_uri="https://e/score",
        traffic=traffic or {},
        tags={},
        description="",
        auth_mode="Key",
        location="eastus",
        created_at=NOW,
        last_modified_at=NOW,
    )


def deployment(state: str = "Succeeded", name: str = "t-aaaaaaaa") -> OnlineDeployment:
    return OnlineDeployment(name, "chats-123456", state, "m", "vm", 1, {}, NOW)


def record(**changes: object) -> EndpointRecord:
    base = EndpointRecord(
        dataset="chats", name="chats-123456", status=EndpointStatus.ACTIVE, tenants=("chats-v1-aaaaaaaa",)
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def slot(**changes: Any) -> SlotView:
    return replace(SlotView(held=False, free=False, queued=False, position=1, waiting=1), **changes)


OLDER = tuning(State.LIVE, id="chats-v0-bbbbbbbb", created_at=NOW - timedelta(days=1), deployment="t-bbbbbbbb")
NEWER = tuning(State.LIVE, id="chats-v2-cccccccc", created_at=NOW, deployment="t-cccccccc")
DONE = {"train_sft": CopyState.DONE, "test_sft": CopyState.DONE}
ALL_TO_US = {"t-aaaaaaaa": 100}

CASES = [
    ("nothing copied", State.PREPARING, {}, CopySplits(("train_sft", "test_sft"))),
    ("one missing", State.PREPARING, {"copies": {"train_sft": CopyState.DONE}}, CopySplits(("test_sft",))),
    ("copy under way", State.PREPARING, {"copies": {**DONE, "test_sft": CopyState.PENDING}}, Wait),
    ("all copied", State.PREPARING, {"copies": DONE}, SubmitJob()),
    ("slot held", State.PREPARING, {"copies": DONE, "slot": slot(held=True)}, SubmitJob()),
    ("slot free", State.PREPARING, {"copies": DONE, "slot": slot(free=True)}, ClaimSlot()),
    ("no slot free", State.PREPARING, {"copies": DONE, "slot": slot()}, QueueForSlot()),
    (
        "in the line, which was not recorded",
        State.PREPARING,
        {"copies": DONE, "slot": slot(queued=True, position=2, waiting=2)},
        QueueForSlot(),
    ),
    ("slot free, splits missing", State.PREPARING, {"slot": slot(free=True)}, CopySplits(("train_sft", "test_sft"))),
    (
        "in the line",
        State.QUEUED,
        {"slot": slot(queued=True, position=3, waiting=12)},
        Wait("waiting for a job slot: position 3 of 12"),
    ),
    ("fell out of the line", State.QUEUED, {"slot": slot()}, QueueForSlot()),
    ("its turn", State.QUEUED, {"slot": slot(queued=True, free=True)}, ClaimSlot()),
    ("its turn was taken", State.QUEUED, {"slot": slot(held=True)}, SubmitJob()),
    ("the limit was lifted", State.QUEUED, {}, SubmitJob()),
    ("job unknown", State.TRAINING, {}, Wait),
    ("job running", State.TRAINING, {"job": Job("j", "Running", {})}, Wait),
    ("job in a state of tomorrow", State.TRAINING, {"job": Job("j", "Pondering", {})}, Wait),
    ("job completed", State.TRAINING, {"job": Job("j", "Completed", {})}, RegisterModel()),
    ("job failed", State.TRAINING, {"job": Job("j", "Failed", {}, "no rows")}, (State.FAILED, "JobFailed")),
    ("job canceled", State.TRAINING, {"job": Job("j", "Canceled", {})}, (State.FAILED, "JobCanceled")),
    ("first endpoint", State.REGISTERED, {"record": record(status=EndpointStatus.NONE)}, JoinEndpoint(False)),
    ("endpoint there", State.REGISTERED, {"record": record(), "endpoint": endpoint()}, JoinEndpoint(False)),
    (
        "endpoint going",
        State.REGISTERED,
        {"record": record(status=EndpointStatus.DELETING), "endpoint": endpoint("Deleting")},
        Wait,
    ),
    (
        "endpoint going by another hand",
        State.REGISTERED,
        {"record": record(live=OLDER.id), "endpoint": endpoint("Deleting")},
        Wait,
    ),
    ("endpoint gone", State.REGISTERED, {"record": record(status=EndpointStatus.DELETING)}, JoinEndpoint(True)),
    ("live endpoint vanished", State.REGISTERED, {"record": record(live=OLDER.id)}, JoinEndpoint(True)),
    ("no endpoint yet", State.DEPLOYING, {"record": record()}, CreateEndpoint()),
    ("live endpoint vanished under us", State.DEPLOYING, {"record": record(live=OLDER.id)}, RejoinEndpoint()),
    ("not a tenant any more", State.DEPLOYING, {"record": record(tenants=())}, RejoinEndpoint()),
    ("not our endpoint", State.DEPLOYING, {"record": record(), "endpoint": endpoint(), "ours": False}, State.FAILED),
    ("endpoint creating", State.DEPLOYING, {"record": record(), "endpoint": endpoint("Creating")}, Wait),
    ("endpoint deleting", State.DEPLOYING, {"record": record(), "endpoint": endpoint("Deleting")}, RejoinEndpoint()),
    (
        "endpoint failed",
        State.DEPLOYING,
        {"record": record(), "endpoint": endpoint("Failed"), "failure": "quota"},
        (State.FAILED, "EndpointFailed"),
    ),
    ("endpoint up", State.DEPLOYING, {"record": record(), "endpoint": endpoint()}, CreateDeployment()),
    (
        "deployment creating",
        State.DEPLOYING,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment("Creating")},
        Wait,
    ),
    (
        "deployment failed",
        State.DEPLOYING,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment("Failed"), "failure": "no GPU"},
        (State.FAILED, "DeploymentFailed"),
    ),
    (
        "deployment up",
        State.DEPLOYING,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment()},
        StartSmokeTest(),
    ),
    ("testing", State.TESTING, {"record": record()}, Wait),
    ("outrun while testing", State.TESTING, {"record": record(live=NEWER.id), "live": NEWER}, State.SUPERSEDED),
    ("older live while testing", State.TESTING, {"record": record(live=OLDER.id), "live": OLDER}, Wait),
    (
        "may claim",
        State.PROMOTING,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment()},
        ClaimPromotion(),
    ),
    (
        "an older one is promoting",
        State.PROMOTING,
        {
            "record": record(promoting=OLDER.id),
            "endpoint": endpoint(),
            "deployment": deployment(),
            "promoting": replace(OLDER, state=State.PROMOTING),
        },
        Wait,
    ),
    (
        "a newer one is promoting",
        State.PROMOTING,
        {
            "record": record(promoting=NEWER.id),
            "endpoint": endpoint(),
            "deployment": deployment(),
            "promoting": replace(NEWER, state=State.PROMOTING),
        },
        State.SUPERSEDED,
    ),
    (
        "the claim of one that ended",
        State.PROMOTING,
        {
            "record": record(promoting=OLDER.id),
            "endpoint": endpoint(),
            "deployment": deployment(),
            "promoting": replace(OLDER, state=State.FAILED),
        },
        ClaimPromotion(),
    ),
    (
        "claimed",
        State.PROMOTING,
        {"record": record(promoting="chats-v1-aaaaaaaa"), "endpoint": endpoint(), "deployment": deployment()},
        SetTraffic(ALL_TO_US),
    ),
    (
        "traffic being moved",
        State.PROMOTING,
        {
            "record": record(promoting="chats-v1-aaaaaaaa"),
            "endpoint": endpoint("Updating", ALL_TO_US),
            "deployment": deployment(),
        },
        Wait,
    ),
    (
        "traffic moved",
        State.PROMOTING,
        {
            "record": record(promoting="chats-v1-aaaaaaaa"),
            "endpoint": endpoint(traffic={**ALL_TO_US, "t-bbbbbbbb": 0}),
            "deployment": deployment(),
        },
        BecomeLive(),
    ),
    ("died after the record", State.PROMOTING, {"record": record(live="chats-v1-aaaaaaaa")}, BecomeLive()),
    (
        "outrun while promoting",
        State.PROMOTING,
        {"record": record(live=NEWER.id), "live": NEWER, "endpoint": endpoint(), "deployment": deployment()},
        State.SUPERSEDED,
    ),
    (
        "deployment deleted by hand",
        State.PROMOTING,
        {"record": record(), "endpoint": endpoint()},
        (State.FAILED, "DeploymentVanished"),
    ),
    ("live and well", State.LIVE, {"record": record(live="chats-v1-aaaaaaaa"), "endpoint": endpoint()}, Nothing),
    ("live was taken over", State.LIVE, {"record": record(live=NEWER.id), "endpoint": endpoint()}, State.SUPERSEDED),
    ("endpoint deleted by hand", State.LIVE, {"record": record(live="chats-v1-aaaaaaaa")}, State.RETIRED),
    (
        "endpoint deleted by hand, and its name taken by somebody else",
        State.LIVE,
        {"record": record(live="chats-v1-aaaaaaaa"), "endpoint": endpoint(), "ours": False},
        State.RETIRED,
    ),
    (
        "idle",
        State.LIVE,
        {
            "record": record(live="chats-v1-aaaaaaaa", status=EndpointStatus.DELETING, retire_reason="idle"),
            "endpoint": endpoint(),
        },
        (State.RETIRED, "Idle"),
    ),
    ("a job runs", State.CLEANING_UP, {"record": record(), "job": Job("j", "Running", {})}, CancelJob()),
    ("a job is being canceled", State.CLEANING_UP, {"record": record(), "job": Job("j", "CancelRequested", {})}, Wait),
    ("its job ended", State.CLEANING_UP, {"record": record(), "job": Job("j", "Canceled", {})}, Finish),
    ("never had an endpoint", State.CLEANING_UP, {"record": record(name="", tenants=())}, Finish),
    (
        "deployment left, no traffic",
        State.CLEANING_UP,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment()},
        DeleteDeployment(),
    ),
    (
        "deployment still being created",
        State.CLEANING_UP,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment("Creating")},
        Wait,
    ),
    (
        "traffic goes back to the live one first",
        State.CLEANING_UP,
        {
            "record": record(live=OLDER.id),
            "endpoint": endpoint(traffic=ALL_TO_US),
            "deployment": deployment(),
            "live": OLDER,
            "other_deployments": ("t-bbbbbbbb",),
        },
        SetTraffic({"t-bbbbbbbb": 100}),
    ),
    (
        "traffic of the only one",
        State.CLEANING_UP,
        {"record": record(), "endpoint": endpoint(traffic=ALL_TO_US), "deployment": deployment()},
        SetTraffic({"t-aaaaaaaa": 0}),
    ),
    (
        "given up, but live in the record and serving",
        State.CLEANING_UP,
        {
            "record": record(live="chats-v1-aaaaaaaa"),
            "endpoint": endpoint(traffic=ALL_TO_US),
            "deployment": deployment(),
        },
        ComeBack(),
    ),
    (
        "given up, but live in the record, its traffic given back already",
        State.CLEANING_UP,
        {"record": record(live="chats-v1-aaaaaaaa"), "endpoint": endpoint(), "deployment": deployment()},
        SetTraffic(ALL_TO_US),
    ),
    (
        "live in the record, but its deployment failed",
        State.CLEANING_UP,
        {"record": record(live="chats-v1-aaaaaaaa"), "endpoint": endpoint(), "deployment": deployment("Failed")},
        DeleteDeployment(),
    ),
    (
        "other deployments keep the endpoint",
        State.CLEANING_UP,
        {"record": record(), "endpoint": endpoint(), "other_deployments": ("by-hand",)},
        Finish(State.FAILED, endpoint_gone=False),
    ),
    (
        "other tenants keep the endpoint",
        State.CLEANING_UP,
        {"record": record(tenants=("chats-v1-aaaaaaaa", NEWER.id)), "endpoint": endpoint()},
        Finish(State.FAILED, endpoint_gone=False),
    ),
    ("an empty endpoint goes", State.CLEANING_UP, {"record": record(), "endpoint": endpoint()}, DeleteEndpoint()),
    (
        "an empty endpoint with a keep mark stays",
        State.CLEANING_UP,
        {"record": record(), "endpoint": replace(endpoint(), tags={"droptune-keep": "true"})},
        Finish(State.FAILED, endpoint_gone=False, endpoint_kept=True),
    ),
    (
        "a keep mark comes in time where the deletion of an empty endpoint failed",
        State.CLEANING_UP,
        {
            "record": record(status=EndpointStatus.DELETING),
            "endpoint": replace(endpoint(), tags={"droptune-keep": "true"}),
        },
        Finish(State.FAILED, endpoint_gone=False, endpoint_kept=True),
    ),
    (
        "a keep mark comes too late once the endpoint was given up",
        State.CLEANING_UP,
        {
            "record": record(status=EndpointStatus.DELETING, retire_reason="unused"),
            "endpoint": replace(endpoint(), tags={"droptune-keep": "true"}),
        },
        DeleteEndpoint(),
    ),
    ("the endpoint is going", State.CLEANING_UP, {"record": record(), "endpoint": endpoint("Deleting")}, Wait),
    (
        "an empty endpoint of an older generation goes",
        State.CLEANING_UP,
        {"record": record(name="chats-123456-g2", tenants=(NEWER.id,)), "endpoint": endpoint()},
        DeleteEndpoint(),
    ),
    ("the endpoint is gone", State.CLEANING_UP, {"record": record()}, Finish(State.FAILED, endpoint_gone=True)),
    (
        "an idle endpoint goes with its deployment",
        State.CLEANING_UP,
        {
            "record": record(status=EndpointStatus.DELETING),
            "endpoint": endpoint(traffic=ALL_TO_US),
            "deployment": deployment(),
        },
        DeleteEndpoint(),
    ),
    (
        "not ours: hands off",
        State.CLEANING_UP,
        {"record": record(), "endpoint": endpoint(), "deployment": deployment(), "ours": False},
        Finish(State.FAILED, endpoint_gone=False),
    ),
]


@pytest.mark.parametrize(("state", "seen", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_next_action_follows_from_what_was_seen(state: State, seen: dict[str, object], expected: object) -> None:
    subject = tuning(state, endpoint="") if state is State.REGISTERED else tuning(state)
    if state is State.CLEANING_UP and seen["record"] == record(name="", tenants=()):
        subject = tuning(state, endpoint="", deployment="")
    action = decide(subject, Observed(**seen), NOW, DEADLINES)  # type: ignore[arg-type]
    if isinstance(expected, type):
        assert isinstance(action, expected)
    elif isinstance(expected, State):
        assert isinstance(action, CleanUp)
        assert action.outcome is expected
    elif isinstance(expected, tuple):
        assert isinstance(action, CleanUp)
        assert (action.outcome, action.reason.code) == expected
    else:
        assert action == expected


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_ended_is_left_alone(state: State) -> None:
    assert isinstance(decide(tuning(state), Observed(), NOW, DEADLINES), Nothing)


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (State.PREPARING, {"copies": {**DONE, "test_sft": CopyState.PENDING}}),
        (State.TRAINING, {"job": Job("j", "Running", {})}),
        (State.DEPLOYING, {"record": record(), "endpoint": endpoint("Creating")}),
        (State.TESTING, {"record": record()}),
    ],
)
def test_waiting_ends_at_the_stages_deadline(state: State, seen: dict[str, object]) -> None:
    late = tuning(state, state_since=NOW - timedelta(minutes=61))
    action = decide(late, Observed(**seen), NOW, DEADLINES)  # type: ignore[arg-type]
    assert isinstance(action, CleanUp)
    assert action.reason.code == "DeadlineExceeded"


def test_a_job_that_completed_after_its_deadline_is_not_thrown_away() -> None:
    late = tuning(State.TRAINING, state_since=NOW - timedelta(minutes=61))
    assert decide(late, Observed(job=Job("j", "Completed", {})), NOW, DEADLINES) == RegisterModel()


def test_the_reason_of_a_failed_job_is_azure_mls_own_message() -> None:
    action = decide(tuning(State.TRAINING), Observed(job=Job("j", "Failed", {}, "no rows left")), NOW, DEADLINES)
    assert isinstance(action, CleanUp)
    assert action.reason == Reason("JobFailed", "no rows left")


def test_cleaning_up_has_no_deadline_because_what_is_left_costs_money() -> None:
    late = tuning(State.CLEANING_UP, state_since=NOW - timedelta(days=30))
    action = decide(late, Observed(record=record(), endpoint=endpoint("Deleting")), NOW, DEADLINES)
    assert isinstance(action, Wait)
