"""How tunings end: not by an error while they serve or cost money, and not under the feet of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import pytest

from shared.errors import DroptuneError, PermanentError, TransientError
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus
from shared.lifecycle.tuning import ENDED, State
from tests.simulation.test_calm_day import Day
from tests.simulation.twins.arm import ArmTwin
from tests.simulation.twins.tables import LedgerTwin


def refuse(*_: object) -> NoReturn:
    raise PermanentError("UserError", "this can not be done")


@pytest.fixture
def day() -> Day:
    """On which one dataset became live."""
    found = Day()
    found.upload("chats", "v1")
    found.pass_by(120)
    assert found.tuning("chats").state is State.LIVE
    return found


def put(day: Day, state: State, outcome: State | None = None) -> None:
    """The live tuning, in another state."""
    row = day.services.clients.ledger.tuning(day.tuning("chats").id)
    assert row is not None
    changed = replace(row.value, state=state, outcome=outcome, state_since=day.world.now())
    day.services.clients.ledger.put(Versioned(changed, row.etag))


@pytest.mark.parametrize("state", [State.LIVE, State.CLEANING_UP])
def test_what_serves_or_costs_money_is_looked_at_again(day: Day, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    put(day, state, State.FAILED if state is State.CLEANING_UP else None)
    monkeypatch.setattr(ArmTwin, "get_endpoint", refuse)
    day.services.lifecycle.advance(day.tuning("chats").id)
    after = day.tuning("chats")
    assert after.state is state
    assert "this can not be done" in after.last_error
    assert after.wake_at > day.world.now()


def test_any_other_is_cleaned_up(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    put(day, State.DEPLOYING)
    monkeypatch.setattr(ArmTwin, "get_endpoint", refuse)
    day.services.lifecycle.advance(day.tuning("chats").id)
    after = day.tuning("chats")
    assert (after.state, after.outcome) == (State.CLEANING_UP, State.FAILED)
    assert after.reason is not None
    assert after.reason.code == "UserError"


@pytest.mark.parametrize("error", [PermanentError("UserError", "no"), TransientError("later"), DroptuneError("odd")])
@pytest.mark.parametrize("state", sorted(ENDED))
def test_a_failed_look_at_what_ended_changes_nothing(
    day: Day, state: State, error: DroptuneError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the host's, which has the message seen again."""
    put(day, state)
    before = day.tuning("chats")

    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(ArmTwin, "get_endpoint", fail)
    for _ in range(7):
        with pytest.raises(DroptuneError):
            day.services.lifecycle.advance(before.id)
    assert day.tuning("chats") == before


def test_an_endpoint_is_closed_to_others_before_it_is_deleted(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who joined it in between would lose its deployment with it."""
    put(day, State.CLEANING_UP, State.FAILED)
    ledger = day.services.clients.ledger
    record = ledger.endpoint("chats")
    ledger.put(replace(record, value=replace(record.value, live="", live_since=None)))
    statuses: list[EndpointStatus] = []

    def look(*_: object) -> str:
        statuses.append(ledger.endpoint("chats").value.status)
        return ""

    monkeypatch.setattr(ArmTwin, "delete_endpoint", look)
    for _ in range(20):
        day.services.lifecycle.advance(day.tuning("chats").id)
        day.world.advance(60)
    assert statuses
    assert set(statuses) == {EndpointStatus.DELETING}


def test_a_keep_mark_that_is_set_while_a_sweep_closes_the_record_opens_it_again(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    (endpoint,) = day.cloud.endpoints.visible()
    put_row, closed = LedgerTwin.put, list[str]()

    def put_and_keep(ledger: LedgerTwin, row: Any) -> Any:
        if isinstance(row.value, EndpointRecord) and row.value.status is EndpointStatus.DELETING:
            closed.append(row.value.name)
            endpoint.tags["droptune-keep"] = "true"
        return put_row(ledger, row)

    monkeypatch.setattr(LedgerTwin, "put", put_and_keep)
    day.pass_by(600)
    assert closed == [endpoint.name]
    assert day.services.clients.ledger.endpoint("chats").value.status is EndpointStatus.ACTIVE
    assert day.tuning("chats").state is State.LIVE
