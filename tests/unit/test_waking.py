"""Waking, putting to sleep and keeping the endpoint of a dataset, over the twins of the cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared import names
from shared.errors import PermanentError
from shared.lifecycle.awake_hours import is_to_be_woken
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.records import EndpointRecord, EndpointStatus, LastCall
from shared.lifecycle.standing import Situation, Standing, seconds_to_live
from shared.lifecycle.tuning import HistoryEntry, State, Tuning
from shared.lifecycle.waking import BY_OPERATOR
from tests.simulation.test_calm_day import Day
from tests.simulation.twins.calm import START

CALLER = "a call"


@pytest.fixture(scope="module")
def lived() -> Day:
    """A day on which `chats` was live, unused, and retired."""
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(8 * 60)
    assert day.services.endpoint_keeper.standing("chats").situation is Situation.ASLEEP
    return day


@pytest.fixture
def day(lived: Day) -> Iterator[Day]:
    """What one test writes is gone in the next."""
    tables = lived.cloud.tables
    before = {table: dict(rows) for table, rows in tables._rows.items()}
    yield lived
    tables._rows = before


def tuning(day: Day) -> Versioned[Tuning]:
    [row] = day.services.lifecycle.ledger.tunings()
    return row


def put(day: Day, **changes: object) -> None:
    row = tuning(day)
    day.services.lifecycle.ledger.put(replace(row, value=replace(row.value, **changes)))  # type: ignore[arg-type]


def wake(day: Day, who: str = CALLER) -> Standing:
    return day.services.endpoint_keeper.wake("chats", who)


def test_what_was_live_last_is_deployed_again_and_nothing_is_trained(day: Day) -> None:
    before = tuning(day).value
    assert wake(day).situation is Situation.COMING
    after = tuning(day).value
    assert (after.state, after.deploy_attempt) == (State.REGISTERED, before.deploy_attempt + 1)
    assert (after.model_id, after.attempt, after.arrived) == (before.model_id, before.attempt, before.arrived)
    assert (after.endpoint, after.deployment, after.reason) == ("", "", None)


def test_it_is_woken_once_however_many_ask(day: Day) -> None:
    for _ in range(3):
        wake(day)
    woken = [entry for entry in tuning(day).value.history if entry.message.startswith("woken")]
    assert len(woken) == 1


def test_who_loses_the_race_for_the_row_changes_nothing(day: Day) -> None:
    keeper = day.services.endpoint_keeper
    standing = keeper.standing("chats")
    put(day, looks=7)  # somebody writes the row between the look and the wake
    object.__setattr__(keeper, "standing", lambda _: standing)
    try:
        keeper.wake("chats", CALLER)
    finally:
        del keeper.__dict__["standing"]
    assert tuning(day).value.state is State.RETIRED


@pytest.mark.parametrize("state", [State.FAILED, State.ROLLED_BACK])
def test_a_wake_that_failed_is_tried_again_by_an_operator_only(day: Day, state: State) -> None:
    put(day, state=state)
    assert wake(day).situation is Situation.BROKEN
    assert tuning(day).value.state is state
    assert wake(day, BY_OPERATOR).situation is Situation.COMING


def test_while_it_is_being_deleted_nothing_is_woken(day: Day) -> None:
    put(day, state=State.CLEANING_UP)
    assert wake(day, BY_OPERATOR).situation is Situation.GOING
    assert tuning(day).value.state is State.CLEANING_UP


def test_a_newer_one_on_its_way_is_not_disturbed(day: Day) -> None:
    ledger = day.services.lifecycle.ledger
    newer = replace(tuning(day).value, id="chats-v2-00000002", state=State.DEPLOYING)
    ledger.put(Versioned(newer, ""))
    row = ledger.endpoint("chats")
    ledger.put(replace(row, value=row.value.joined(newer.id, "chats-1")))
    standing = wake(day)
    assert standing.situation is Situation.COMING
    assert standing.tuning == newer


def test_one_that_was_superseded_by_a_tuning_that_came_to_nothing_can_be_woken(day: Day) -> None:
    put(day, state=State.SUPERSEDED)
    assert wake(day).situation is Situation.COMING


def test_a_record_of_an_older_release_is_enough(day: Day) -> None:
    ledger = day.services.lifecycle.ledger
    row = ledger.endpoint("chats")
    assert row.value.last_live == tuning(day).value.id
    ledger.put(replace(row, value=replace(row.value, last_live="")))
    assert wake(day).situation is Situation.COMING


def test_who_never_was_live_is_not_woken(day: Day) -> None:
    ledger = day.services.lifecycle.ledger
    ledger.put(Versioned(replace(tuning(day).value, id="faq-v1-00000001", dataset="faq", state=State.TRAINING), ""))
    keeper = day.services.endpoint_keeper
    assert keeper.wake("faq", CALLER).situation is Situation.NEVER_LIVE
    assert keeper.wake("nobodys", CALLER).situation is Situation.UNKNOWN
    for name in ("", "..", "chats/../faq", "CHATS", "a" * 41, "chats'", "ch%61ts"):
        assert keeper.wake(name, CALLER).situation is Situation.UNKNOWN


def test_a_wake_ends_live_on_the_next_generation_and_an_operator_keeps_it_or_puts_it_to_sleep() -> None:
    day = Day()
    day.upload("chats", "v1")
    day.pass_by(8 * 60)
    wake(day)
    day.pass_by(40)
    found = tuning(day).value
    assert (found.state, found.endpoint[-3:]) == (State.LIVE, "-g2")
    keeper = day.services.endpoint_keeper
    assert keeper.standing("chats").situation is Situation.LIVE
    assert day.services.gateway.directory.read("chats") is not None

    assert keeper.keep("chats", "true") == found.endpoint
    with pytest.raises(PermanentError, match="Kept"):
        keeper.sleep("chats")
    with pytest.raises(PermanentError, match="BadRequest"):
        keeper.keep("chats", "whenever")
    assert keeper.sleep("chats", force=True).situation is Situation.GOING
    assert day.services.lifecycle.ledger.endpoint("chats").value.status is EndpointStatus.DELETING
    day.pass_by(30)
    retired = tuning(day).value
    assert retired.state is State.RETIRED
    assert retired.reason is not None
    assert retired.reason.message == "put to sleep by an operator"
    with pytest.raises(PermanentError, match="NotLive"):
        keeper.sleep("chats")

    wake(day)
    day.pass_by(40)
    assert tuning(day).value.endpoint.endswith("-g3")


@pytest.mark.parametrize("state", [State.TRAINING, State.DEPLOYING])
def test_what_is_in_use_is_not_put_to_sleep(day: Day, state: State) -> None:
    ledger = day.services.lifecycle.ledger
    put(day, state=State.LIVE)
    row, owner = ledger.endpoint("chats"), names.owner(day.services.settings.workspace_id)
    live = EndpointRecord(
        dataset="chats",
        name=f"chats-{state}",
        status=EndpointStatus.ACTIVE,
        tenants=(tuning(day).value.id,),
        live=tuning(day).value.id,
    )
    ledger.put(replace(row, value=live))
    ledger.put(Versioned(replace(tuning(day).value, id="chats-v2-00000002", state=state), ""))
    day.cloud.endpoints.put(f"chats-{state}", "", {names.TAG_OWNER: owner}, {})
    day.world.advance(600)
    with pytest.raises(PermanentError, match="InUse"):
        day.services.endpoint_keeper.sleep("chats", force=True)
    day.cloud.endpoints.delete(f"chats-{state}")
    day.world.advance(600)


def entry(seq: int, minutes: float, state: State) -> HistoryEntry:
    return HistoryEntry(seq, START + timedelta(minutes=minutes), state, "")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_the_time_to_live_is_the_median_of_earlier_deployments_less_what_is_over(day: Day) -> None:
    history = [
        *(entry(1, 0, State.REGISTERED), entry(2, 1, State.DEPLOYING), entry(3, 10, State.LIVE)),
        *(entry(4, 90, State.RETIRED), entry(5, 100, State.REGISTERED), entry(6, 120, State.LIVE)),
        *(entry(7, 190, State.RETIRED), entry(8, 200, State.REGISTERED), entry(9, 214, State.LIVE)),
        *(entry(10, 290, State.RETIRED), entry(11, 300, State.REGISTERED), entry(12, 301, State.REGISTERED)),
    ]
    tuning_ = replace(tuning(day).value, history=tuple(history))
    assert seconds_to_live(tuning_, 900, at(304)) == 600
    assert seconds_to_live(replace(tuning_, history=()), 900, at(304)) == 900


@pytest.mark.parametrize(
    ("minutes", "woken"),
    [
        (0, False),
        (19 * 60 + 39, False),  # live in 20 minutes: one too early
        (19 * 60 + 40, True),
        (20 * 60, True),
        (21 * 60, True),
        (22 * 60, False),  # the hours are over
    ],
)
def test_it_is_woken_as_much_before_its_hours_as_a_deployment_takes(day: Day, minutes: float, woken: bool) -> None:
    """Asleep since Sunday at noon; awake on Monday from 08:00 to 10:00."""
    record = EndpointRecord(dataset="chats", generation=2, last_live=tuning(day).value.id)
    asleep = replace(
        tuning(day).value, idle={"awake": "Mon 08:00-10:00 UTC"}, state=State.RETIRED, state_since=at(0), history=()
    )
    assert is_to_be_woken(asleep, record, 20 * 60, at(minutes)) is woken
    assert not is_to_be_woken(replace(asleep, idle={}), record, 20 * 60, at(minutes))
    assert not is_to_be_woken(replace(asleep, state=State.FAILED), record, 20 * 60, at(minutes))
    assert not is_to_be_woken(asleep, replace(record, last_live="another"), 20 * 60, at(minutes))
    assert not is_to_be_woken(asleep, replace(record, live="another"), 20 * 60, at(minutes))


def test_who_is_put_to_sleep_within_its_hours_sleeps_until_they_begin_again(day: Day) -> None:
    record = EndpointRecord(dataset="chats", generation=2, last_live=tuning(day).value.id)
    hours = {"awake": "Sun-Mon 08:00-18:00 UTC"}
    asleep = replace(tuning(day).value, idle=hours, state=State.RETIRED, state_since=at(0), history=())
    assert not is_to_be_woken(asleep, record, 600, at(60))
    assert is_to_be_woken(asleep, record, 600, at(20 * 60))


def test_reconcile_wakes_for_the_hours_once(day: Day) -> None:
    put(day, idle={"awake": "Mon-Sun 00:00-23:59 UTC"}, state_since=START - timedelta(days=1))
    assert day.services.reconciler.run().woken == 1
    assert tuning(day).value.state is State.REGISTERED
    assert "woken by its hours: new deployment" in [entry.message for entry in tuning(day).value.history]
    assert day.services.reconciler.run().woken == 0


def test_the_last_call_never_moves_backwards(day: Day) -> None:
    usage = day.services.usage
    usage.write("chats", at(10))
    usage.write("chats", at(5))
    assert usage.last_call("chats") == at(10)
    usage.write("chats", at(11))
    assert usage.last_calls() == {"chats": at(11)}
    assert usage.last_call("faq") is None
    row = day.services.lifecycle.ledger.usage("chats")
    assert row is not None
    assert row.value == LastCall(dataset="chats", at=at(11))
