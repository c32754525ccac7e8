"""The app stands still for longer than its deadlines, begun at any minute of a tuning's way: only its time is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.azureml.resources import BaseModel
from shared.errors import TransientError
from shared.lifecycle.deadlines import deadline, stage_deadlines
from shared.lifecycle.tuning import State
from tests.simulation.test_calm_day import SETTINGS, Day
from tests.simulation.twins.sdk import SdkTwin
from tests.simulation.twins.world import Fate, Happening, Outcome

OUTAGE = 6 * 3600.0
LONGER_THAN = (
    SETTINGS.preparing_deadline_minutes,
    SETTINGS.deploying_deadline_minutes * 2,
    SETTINGS.testing_deadline_minutes * 2,
)
A_DAY = 150


def test_the_outage_is_longer_than_the_deadlines() -> None:
    assert max(LONGER_THAN) * 60 < OUTAGE


@pytest.mark.parametrize("begins", range(0, A_DAY, 3))
def test_an_outage_ends_no_tuning(begins: int) -> None:
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(begins)
    day.world.advance(OUTAGE)
    day.pass_by(A_DAY)
    passed = [entry.state for entry in day.tuning("chats").history]
    assert State.LIVE in passed
    assert State.FAILED not in passed


def test_what_hangs_afterwards_still_meets_its_deadline() -> None:
    day = Day()
    day.world.will(Happening.CREATE_DEPLOYMENT, Fate(Outcome.HANG))
    day.upload("chats", "v1")
    for _ in range(A_DAY):
        if day.cloud.endpoints.all and day.tuning("chats").state is State.DEPLOYING:
            break
        day.pass_by(1)
    day.world.advance(OUTAGE)
    day.pass_by(int(SETTINGS.deploying_deadline_minutes) + A_DAY)
    reason = day.tuning("chats").reason
    assert reason is not None
    assert reason.code == "DeadlineExceeded"


def test_a_job_costs_money_whether_anybody_looks_or_not() -> None:
    day = Day()
    day.world.will(Happening.JOB, Fate(Outcome.HANG))
    day.upload("chats", "v1")
    day.pass_by(30)
    assert day.tuning("chats").state is State.TRAINING
    tuning, deadlines = day.tuning("chats"), stage_deadlines(SETTINGS)
    told = deadline(tuning, deadlines)
    assert told == deadline(tuning.looked_at(tuning.wake_at + timedelta(hours=9)), deadlines)
    day.world.advance(SETTINGS.training_deadline_hours * 3600)
    day.pass_by(60)
    assert day.tuning("chats").state is State.FAILED


def test_a_try_to_take_a_version_that_comes_late_is_not_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try failed, then nobody could try for longer than the deadline, and the second one failed as well."""
    day, read = Day(), SdkTwin.base_model
    tries: list[str] = []

    def refused_twice(sdk: SdkTwin, name: str, version: str) -> BaseModel:
        tries.append(name)
        if len(tries) <= 2:
            raise TransientError("no answer in time")
        return read(sdk, name, version)

    monkeypatch.setattr(SdkTwin, "base_model", refused_twice)
    day.upload("chats", "v1")
    for _ in range(A_DAY):
        if tries:
            break
        day.pass_by(1)
    day.world.advance(OUTAGE)
    day.pass_by(A_DAY)
    assert len(tries) == 3
    assert State.LIVE in [entry.state for entry in day.tuning("chats").history]
