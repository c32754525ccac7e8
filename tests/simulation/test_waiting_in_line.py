"""Versions of one dataset share an endpoint, on which Azure ML does one thing at a time: who waits is not late."""

from __future__ import annotations

from datetime import timedelta

from shared import names
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.test_calm_day import SETTINGS, Day, split
from tests.simulation.twins.world import Fate, Happening, Outcome

LIMIT = timedelta(minutes=SETTINGS.deploying_deadline_minutes)
SLOW = Fate(Outcome.SUCCEED, 0.9 * LIMIT.total_seconds())


def test_the_deadline_of_a_deployment_begins_with_its_creation() -> None:
    day = Day()
    for version, rows in (("v1", 20), ("v2", 21)):
        day.world.will(Happening.CREATE_DEPLOYMENT, SLOW)
        for name in ("train_sft", "test_sft"):
            day.cloud.blobs.upload(names.DATASETS, f"chats/{version}/{name}.jsonl", split(rows))
    day.pass_by(8 * int(LIMIT.total_seconds() / 60))
    tunings = [row.value for row in day.services.clients.ledger.tunings()]
    assert len(tunings) == 2
    assert max(map(_deploying, tunings)) > 1.5 * LIMIT
    assert all(State.LIVE in (entry.state for entry in tuning.history) for tuning in tunings)


def _deploying(tuning: Tuning) -> timedelta:
    begin = next(entry.at for entry in tuning.history if entry.state is State.DEPLOYING)
    return next(entry.at for entry in tuning.history if entry.at > begin and entry.state is not State.DEPLOYING) - begin
