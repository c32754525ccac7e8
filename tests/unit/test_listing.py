"""Which tunings a page of the list holds."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import PermanentError
from shared.lifecycle.ledger import newest
from shared.lifecycle.listing import ALL_STATES, DEFAULT_LIMIT, MAX_LIMIT, Listing, Place
from shared.lifecycle.tuning import State, Tuning

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def tuning(name: str, minutes: float = 0, dataset: str = "chats", state: State = State.LIVE) -> Tuning:
    at = NOW + timedelta(minutes=minutes)
    return Tuning(
        id=name,
        dataset=dataset,
        version="v1",
        fingerprint="f",
        state=state,
        created_at=at,
        state_since=at,
        wake_at=at,
    )


def test_without_parameters_it_is_the_first_page_of_everything() -> None:
    assert Listing.parse({}) == Listing(limit=DEFAULT_LIMIT, states=ALL_STATES, collecting=True)


@pytest.mark.parametrize(
    ("query", "states", "collecting"),
    [
        ("live", {State.LIVE}, False),
        ("live,training", {State.LIVE, State.TRAINING}, False),
        ("collecting", set(), True),
        ("collecting,queued,", {State.QUEUED}, True),
        ("", set(State), True),
        (",", set(State), True),
    ],
)
def test_states_are_taken_by_commas(query: str, states: set[State], collecting: bool) -> None:
    listing = Listing.parse({"state": query})
    assert (set(listing.states), listing.collecting) == (states, collecting)


@pytest.mark.parametrize(
    "query",
    [
        {"state": "alive"},
        {"state": "live,' or state ne '"},
        {"dataset": "it's"},
        {"dataset": "x" * 41},
        {"dataset": "Chats"},
        {"limit": "0"},
        {"limit": str(MAX_LIMIT + 1)},
        {"limit": "-1"},
        {"limit": "1e3"},
        {"limit": "٣"},
        {"limit": "9" * 5000},
        {"continuation": "next"},
        {"continuation": "20261340T000000.000000~a"},
        {"continuation": "20261122T120000.000000~a'b"},
        {"continuation": "20261122T120000.000000~" + "a" * 121},
    ],
)
def test_what_can_not_be_meant_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(PermanentError) as caught:
        Listing.parse(query)
    assert caught.value.code == "BadRequest"
    assert len(caught.value.message) < 200


def test_a_place_comes_back_from_its_continuation() -> None:
    place = Place(NOW + timedelta(microseconds=7), "chats-v1-0a")
    assert Listing.parse({"continuation": place.continuation()}).after == place


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("limit", [1, 8, 1000])
def test_the_pages_hold_every_tuning_once_the_newest_first(count: int, limit: int) -> None:
    """Of the same moment, too."""
    rows = [tuning(f"t{number:03d}", minutes=number // 3) for number in range(count)]
    expected = [row.id for row in reversed(rows)]
    random.Random(3).shuffle(rows)
    found: list[str] = []
    listing = Listing(limit=limit)
    while page := newest(rows, listing):
        assert len(page) <= limit
        found += [row.id for row in page]
        listing = Listing.parse({"limit": str(limit), "continuation": Place.of(page[-1]).continuation()})
    assert found == expected


def test_a_page_holds_what_it_is_asked_for() -> None:
    rows = [
        tuning("a", 1),
        tuning("b", 2, dataset="chats-more"),
        tuning("c", 3, state=State.FAILED),
        tuning("d", 4, state=State.TRAINING),
        tuning("e", 5, dataset=""),
    ]
    assert [row.id for row in newest(rows, Listing())] == ["e", "d", "c", "b", "a"]
    assert [row.id for row in newest(rows, Listing(dataset="chats"))] == ["d", "c", "a"]
    assert [row.id for row in newest(rows, Listing(states=frozenset({State.FAILED, State.TRAINING})))] == ["d", "c"]
    assert newest(rows, Listing(states=frozenset())) == []
