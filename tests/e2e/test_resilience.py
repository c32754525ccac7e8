"""The same end, whatever happens to events and processes on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.playground import Playground, wait_for

pytestmark = [pytest.mark.localcloud, pytest.mark.training]


@pytest.fixture
def event_grid(playground: Playground) -> Iterator[Playground]:
    """Faults of Event Grid end with the test."""
    yield playground
    playground.control("events", {"enabled": True, "duplicate": False})


def assert_one_of_each(playground: Playground, dataset: str) -> None:
    assert len(playground.tunings_of(dataset)) == 1
    for kind in ("jobs", "models", "deployments"):
        assert len(playground.of_dataset(kind, dataset)) == 1, kind


def test_every_event_delivered_twice_makes_no_difference(event_grid: Playground, small_dataset: Path) -> None:
    event_grid.control("events", {"duplicate": True})
    event_grid.upload(small_dataset, "twice")
    assert event_grid.until("twice", "live", "failed", "rolled_back", deadline=180)["state"] == "live"
    assert_one_of_each(event_grid, "twice")


def test_without_event_grid_the_main_job_ends_only_later(event_grid: Playground, small_dataset: Path) -> None:
    event_grid.control("events", {"enabled": False})
    event_grid.upload(small_dataset, "silent")
    assert event_grid.until("silent", "live", "failed", "rolled_back", deadline=240)["state"] == "live"
    assert_one_of_each(event_grid, "silent")


@pytest.mark.parametrize("state", ["training", "deploying"])
def test_a_cloud_that_was_killed_goes_on_from_the_ledger(
    playground: Playground, small_dataset: Path, state: str
) -> None:
    dataset = f"killed-{state}"
    playground.upload(small_dataset, dataset)
    playground.until(dataset, state, deadline=180)
    playground.cloud.stop_functions(kill=True)
    playground.cloud.stop_azure(kill=True)
    playground.cloud.start_azure()
    playground.cloud.start_functions()
    assert playground.until(dataset, "live", "failed", "rolled_back", deadline=240)["state"] == "live"
    assert_one_of_each(playground, dataset)


def test_several_files_within_the_settle_time_make_one_tuning(playground: Playground, small_dataset: Path) -> None:
    for _ in range(3):
        playground.upload(small_dataset, "burst")
    playground.upload_bytes("burst/v1/tuning.json", b'{"smoke": {"min_characters": 1}}')
    playground.until("burst", "preparing", "training", "registered", deadline=60)
    wait_for(lambda: True if not playground.client.tunings()["collecting"] else None, 30, playground.client.tunings)
    assert len(playground.tunings_of("burst")) == 1
    assert playground.client.tuning(playground.tunings_of("burst")[0]["id"])["report"]["valid"] is True
