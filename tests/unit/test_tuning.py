"""A tuning's own rules: history, waiting, replay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shared.azureml.resources import Job
from shared.lifecycle.replay import resumed
from shared.lifecycle.tuning import MAX_HISTORY, Reason, State, Tuning

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


ID = "chats-v1-aaaaaaaa"


def tuning(state: State = State.TRAINING) -> Tuning:
    return Tuning(
        id=ID,
        dataset="chats",
        version="v1",
        fingerprint="a" * 64,
        state=state,
        created_at=NOW,
        state_since=NOW,
        wake_at=NOW,
    )


def test_a_tuning_survives_the_ledger_unchanged() -> None:
    subject = tuning().moved(State.CLEANING_UP, NOW, "why", outcome=State.FAILED, reason=Reason("Code", "message"))
    assert msgspec.json.decode(msgspec.json.encode(subject), type=Tuning) == subject


def test_history_is_bounded_and_its_numbers_go_on() -> None:
    subject = tuning()
    for _ in range(MAX_HISTORY + 5):
        subject = subject.noted(NOW, "x" * 1000)
    assert len(subject.history) == MAX_HISTORY
    assert subject.last_seq == MAX_HISTORY + 5
    assert len(msgspec.json.encode(subject.history)) < 32_000


def test_waiting_forgets_errors_and_counts_looks() -> None:
    subject = tuning().waiting(NOW, 15)
    assert subject.wake_at == NOW + timedelta(seconds=15)
    assert subject.looks == 1


def test_of_two_tunings_the_later_taken_is_newer() -> None:
    later = tuning()
    older = replace(later, id="chats-v0-bbbbbbbb", created_at=NOW - timedelta(seconds=1))
    assert later.is_newer_than(older)
    assert not older.is_newer_than(later)
    assert not later.is_newer_than(later)


@pytest.mark.parametrize(
    ("changes", "job", "state", "attempt", "deploy_attempt"),
    [
        ({"failed_stage": State.PREPARING}, None, State.PREPARING, 1, 1),
        ({"failed_stage": State.PREPARING}, "Canceled", State.PREPARING, 2, 1),
        ({"failed_stage": State.PREPARING}, "Completed", State.TRAINING, 1, 1),
        ({"failed_stage": State.QUEUED}, None, State.PREPARING, 1, 1),
        ({"failed_stage": State.TRAINING, "job": ID}, "Failed", State.PREPARING, 2, 1),
        ({"failed_stage": State.TRAINING, "job": ID}, "Canceled", State.PREPARING, 2, 1),
        ({"failed_stage": State.TRAINING, "job": ID}, "Completed", State.TRAINING, 1, 1),
        ({"failed_stage": State.TRAINING, "job": ID}, None, State.PREPARING, 2, 1),
        ({"failed_stage": State.PREPARING, "job": ID, "attempt": 2}, None, State.PREPARING, 2, 1),
        ({"failed_stage": State.REGISTERED, "job": ID, "model_id": "m"}, None, State.REGISTERED, 1, 2),
        ({"failed_stage": State.DEPLOYING, "job": ID, "model_id": "m"}, None, State.REGISTERED, 1, 2),
        ({"failed_stage": State.TESTING, "job": ID, "model_id": "m"}, None, State.REGISTERED, 1, 2),
        ({"failed_stage": State.PROMOTING, "job": ID, "model_id": "m"}, None, State.REGISTERED, 1, 2),
        ({"failed_stage": State.LIVE, "job": ID, "model_id": "m"}, None, State.REGISTERED, 1, 2),
    ],
)
def test_a_replay_goes_on_from_the_failed_stage_under_new_names(
    changes: dict[str, object], job: str | None, state: State, attempt: int, deploy_attempt: int
) -> None:
    failed = replace(tuning(State.FAILED), reason=Reason("C", "m"), **changes)  # type: ignore[arg-type]
    again = resumed(failed, None if job is None else Job(ID, job, {}), NOW)
    assert (again.state, again.attempt, again.deploy_attempt) == (state, attempt, deploy_attempt)
    assert again.reason is None
    assert (again.endpoint, again.deployment, again.outcome, again.failed_stage) == ("", "", None, None)


def test_one_that_an_operator_returns_to_counts_as_the_newest() -> None:
    older = replace(tuning(), id="chats-v0-bbbbbbbb", created_at=NOW - timedelta(days=1))
    returned = replace(older, arrived_at=NOW + timedelta(days=1))
    assert tuning().is_newer_than(older)
    assert returned.is_newer_than(tuning())
