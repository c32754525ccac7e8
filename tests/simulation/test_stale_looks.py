"""A worker that stands still between look and deed, while others and people go on."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared import names
from shared.lifecycle.decide import Observed
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.observe import Observer
from shared.lifecycle.records import EndpointRecord
from shared.lifecycle.tuning import State, Tuning
from tests.simulation.test_calm_day import Day

Seen = tuple[Observed, Versioned[EndpointRecord] | None]


def test_who_stood_still_does_not_undo_what_was_done_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    day, observe = Day(), Observer.observe
    stood_still: list[Tuning] = []

    def standing_still_once(observer: Observer, tuning: Tuning, now: datetime) -> Seen:
        seen = observe(observer, tuning, now)
        if tuning.state is State.DEPLOYING and not stood_still:
            stood_still.append(tuning)
            day.world.advance(600)
            day.services.lifecycle.advance(tuning.id)
            day.world.advance(600)
            (endpoint,) = day.cloud.endpoints.all
            day.cloud.endpoints.patch_tags(endpoint, {names.TAG_KEEP: "true"})
        return seen

    monkeypatch.setattr(Observer, "observe", standing_still_once)
    day.upload("chats", "v1")
    day.pass_by(180)
    (endpoint,) = day.cloud.endpoints.all.values()
    assert stood_still
    assert endpoint.tags[names.TAG_KEEP] == "true"
    assert day.tuning("chats").state is State.LIVE
