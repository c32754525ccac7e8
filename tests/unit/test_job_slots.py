"""Job slots: never more holders than allowed, the oldest first, whoever dies or comes late."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RaceLostError
from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.ledger import Versioned
from shared.lifecycle.slot_keeper import SlotKeeper
from shared.lifecycle.tuning import State, Tuning

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def tuning(number: int, state: State = State.PREPARING) -> Tuning:
    """The lower the number, the earlier it arrived."""
    return Tuning(
        id=f"t{number}",
        dataset="chats",
        version=f"v{number}",
        fingerprint="a" * 64,
        state=state,
        created_at=NOW + timedelta(seconds=number),
        state_since=NOW,
        wake_at=NOW,
    )


class SlotRow:
    """The row alone, in memory; `rival` changes it between reading and writing."""

    def __init__(self, slots: JobSlots | None = None) -> None:
        self.slots = slots or JobSlots()
        self.version = 0
        self.rivals: list[JobSlots] = []

    def job_slots(self) -> Versioned[JobSlots]:
        seen = Versioned(self.slots, str(self.version))
        if self.rivals:
            self.slots, self.version = self.rivals.pop(), self.version + 1
        return seen

    def put(self, row: Versioned[JobSlots]) -> Versioned[JobSlots]:
        if row.etag != str(self.version):
            raise RaceLostError("changed")
        self.slots, self.version = row.value, self.version + 1
        return Versioned(self.slots, str(self.version))


class Woken:
    def __init__(self) -> None:
        self.ids: list[str] = []

    def tuning(self, tuning_id: str, delay: float = 0, due: str = "") -> None:
        self.ids.append(tuning_id)


def keeper(row: SlotRow, limit: int) -> tuple[SlotKeeper, Woken]:
    woken = Woken()
    return SlotKeeper(row, woken, limit), woken  # type: ignore[arg-type] # what it uses of them


def test_the_oldest_that_waits_is_first_however_they_came_into_the_line() -> None:
    row = SlotRow(JobSlots(holders=("t0",)))
    slots, woken = keeper(row, 1)
    places = [slots.join(tuning(number)).position for number in (3, 1, 2)]
    assert places == [1, 1, 2]
    assert not any(slots.claim(tuning(number)) for number in (1, 2, 3))
    slots.release("t0")
    assert woken.ids == ["t1"]
    assert [slots.claim(tuning(number)) for number in (3, 2, 1)] == [False, False, True]


def test_with_two_free_slots_none_of_the_two_oldest_waits_for_the_other() -> None:
    row = SlotRow()
    slots, _ = keeper(row, 2)
    for number in (1, 2, 3):
        slots.join(tuning(number))
    assert [slots.claim(tuning(number)) for number in (3, 2, 1)] == [False, True, True]


def test_a_claim_that_loses_a_race_for_the_last_slot_is_none() -> None:
    row = SlotRow()
    row.rivals = [JobSlots(holders=("rival",))]
    slots, _ = keeper(row, 1)
    assert not slots.claim(tuning(1))
    assert row.slots.holders == ("rival",)


def test_a_row_that_never_rests_is_tried_again_later() -> None:
    row = SlotRow()
    row.rivals = [JobSlots(holders=(f"rival{number}",)) for number in range(9)]
    with pytest.raises(RaceLostError):
        keeper(row, 99)[0].claim(tuning(1))


@pytest.mark.parametrize("state", [State.REGISTERED, State.LIVE, State.FAILED, State.RETIRED])
def test_a_slot_whose_holder_has_no_job_any_more_is_found_and_given_on(state: State) -> None:
    row = SlotRow(JobSlots(holders=("t1", "unknown")).joined(tuning(2)).joined(tuning(3)))
    slots, woken = keeper(row, 1)
    slots.tidy(row.job_slots(), {"t1": tuning(1, state), "t2": tuning(2, State.QUEUED), "t3": tuning(3, State.FAILED)})
    assert row.slots.holders == ()
    assert [waiter.tuning_id for waiter in row.slots.waiting] == ["t2"]
    assert woken.ids == ["t2"]


@pytest.mark.parametrize("state", [State.PREPARING, State.QUEUED, State.TRAINING, State.CLEANING_UP])
def test_a_slot_whose_holder_may_have_a_job_is_kept(state: State) -> None:
    row = SlotRow(JobSlots(holders=("t1",)))
    keeper(row, 1)[0].tidy(row.job_slots(), {"t1": tuning(1, state)})
    assert row.slots.holders == ("t1",)


def test_tidying_by_what_was_read_before_a_claim_changes_nothing() -> None:
    row = SlotRow()
    read = Versioned(replace(row.slots, holders=("t9",)), "0")
    keeper(row, 1)[0].claim(tuning(1))
    with pytest.raises(RaceLostError):
        keeper(row, 1)[0].tidy(read, {"t1": tuning(1, State.FAILED)})
    assert row.slots.holders == ("t1",)


def test_jobs_from_before_there_was_a_limit_count() -> None:
    row = SlotRow()
    slots, _ = keeper(row, 1)
    slots.tidy(row.job_slots(), {"t1": tuning(1, State.TRAINING)})
    assert row.slots.holders == ("t1",)
    assert not slots.claim(tuning(2))


def test_without_a_limit_nothing_is_given_back() -> None:
    row = SlotRow(JobSlots(holders=("t1",)))
    keeper(row, 0)[0].release("t1")
    assert row.slots.holders == ("t1",)


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["join", "claim", "release"]), st.integers(1, 6)), max_size=40),
)
def test_there_are_never_more_holders_than_slots_and_no_older_one_is_passed_over(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    row = SlotRow()
    slots, _ = keeper(row, limit)
    for step, number in steps:
        waiting = [waiter.tuning_id for waiter in row.slots.waiting]
        free = limit - len(row.slots.holders)
        if step == "join" and f"t{number}" not in row.slots.holders:
            slots.join(tuning(number))
        elif step == "claim":
            held = f"t{number}" in row.slots.holders
            if slots.claim(tuning(number)) and not held:
                older = [other for other in waiting if other < f"t{number}"]
                assert len(older) < free
        elif step == "release":
            slots.release(f"t{number}")
        assert len(row.slots.holders) <= limit
        assert list(row.slots.waiting) == sorted(row.slots.waiting)
        assert not {waiter.tuning_id for waiter in row.slots.waiting} & set(row.slots.holders)
