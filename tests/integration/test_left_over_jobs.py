"""No job outlives its tuning, and no doubled message its turn, on Azurite and the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.clock import utc_now
from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.tuning import Split, State, Tuning
from tests.integration.azureml_support import Cloud, job_body
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud


@pytest.fixture
def app(azureml_cloud: Cloud) -> Iterator[App]:
    with app_on(azureml_cloud) as found:
        yield found


def put_tuning(app: App, tuning_id: str, state: State, **changes: object) -> Tuning:
    now = utc_now()
    tuning = Tuning(
        id=tuning_id,
        dataset=tuning_id,
        version="v1",
        fingerprint="a" * 64,
        state=state,
        created_at=now,
        state_since=now,
        wake_at=now,
        splits=(Split("train_sft", "e", 1, 1, "s"),),
    )
    tuning = replace(tuning, **changes)  # type: ignore[arg-type] # any field
    app.instance().lifecycle.ledger.put(Versioned(tuning, ""))
    return tuning


def start_job(app: App, name: str) -> None:
    """One that goes on until it is canceled."""
    body = job_body(app.cloud.upload(f"{name}.jsonl", "wait"))
    assert app.cloud.arm("PUT", f"/jobs/{name}", body).status_code == 201


def job_status(app: App, name: str) -> str:
    return str(app.cloud.control("GET", f"/jobs/{name}")["status"])


def state_of(app: App, tuning_id: str) -> Tuning:
    row = app.instance().lifecycle.ledger.tuning(tuning_id)
    assert row is not None
    return row.value


def test_a_job_whose_submission_was_never_recorded_is_canceled_before_its_tuning_has_failed(app: App) -> None:
    queued = put_tuning(app, "left-unrecorded", State.QUEUED, state_since=utc_now() - timedelta(days=30))
    slots = app.instance().lifecycle.ledger.job_slots()
    full = tuple(f"somebody{number}" for number in range(app.settings.max_active_jobs))
    app.instance().lifecycle.ledger.put(replace(slots, value=JobSlots(holders=full).joined(queued)))
    start_job(app, "left-unrecorded")
    app.instance().lifecycle.wake_ups.tuning("left-unrecorded")
    with app.workers(2):
        app.until(lambda: state_of(app, "left-unrecorded").ended)
    after = state_of(app, "left-unrecorded")
    assert after.state is State.FAILED
    assert after.reason is not None
    assert after.reason.code == "DeadlineExceeded"
    assert "position 1 of 1" in after.reason.message
    assert job_status(app, "left-unrecorded") == "Canceled"
    slots = app.instance().lifecycle.ledger.job_slots()
    assert slots.value.waiting == ()
    app.instance().lifecycle.ledger.put(replace(slots, value=JobSlots()))


def test_a_job_that_a_slow_worker_submits_after_the_clean_up_is_canceled(app: App) -> None:
    put_tuning(app, "left-late", State.FAILED)
    start_job(app, "left-late")
    app.instance().lifecycle.wake_ups.tuning("left-late")
    with app.workers(2):
        app.until(lambda: job_status(app, "left-late") == "Canceled")
        app.until(lambda: state_of(app, "left-late").ended)
    after = state_of(app, "left-late")
    assert after.state is State.FAILED
    assert any("was left over" in entry.message for entry in after.history)


def test_a_planned_look_after_which_another_one_was_planned_is_dropped(app: App) -> None:
    later = utc_now() + timedelta(hours=1)
    planned = put_tuning(app, "left-planned", State.TRAINING, wake_at=later, job="left-planned")
    lifecycle = app.instance().lifecycle
    lifecycle.advance("left-planned", (later - timedelta(minutes=5)).isoformat())
    assert state_of(app, "left-planned") == planned
    assert app.waiting_messages() == 0
    lifecycle.advance("left-planned", planned.due)
    assert state_of(app, "left-planned").looks == 1
    assert app.waiting_messages() == 1
    lifecycle.advance("left-planned", planned.due)
    assert app.waiting_messages() == 1, "the same message once more begins no second chain of looks"
    lifecycle.advance("left-planned")
    assert state_of(app, "left-planned").looks == 2, "a hint is looked into"


def test_a_look_whose_successor_is_past_as_well_is_done(app: App) -> None:
    """Whoever planned the successor died before sending its message."""
    put_tuning(app, "left-past", State.TRAINING, wake_at=utc_now() - timedelta(seconds=1), job="left-past")
    app.instance().lifecycle.advance("left-past", (utc_now() - timedelta(minutes=5)).isoformat())
    assert state_of(app, "left-past").looks == 1
