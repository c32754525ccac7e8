"""Endpoints that nobody calls go; those that somebody wants to keep, or that are not ours, stay."""

from __future__ import annotations

import pytest

from tests.e2e.playground import FOREIGN_ENDPOINT, UNUSED_DATASET, Playground

pytestmark = [pytest.mark.localcloud, pytest.mark.training]


def test_an_unused_endpoint_is_marked_then_deleted_and_its_model_stays(playground: Playground) -> None:
    retired = playground.until(UNUSED_DATASET, "retired", "failed", "rolled_back", deadline=360)
    assert retired["state"] == "retired"
    assert retired["reason"]["code"] == "Idle"
    assert "marked at" in retired["reason"]["message"]
    (endpoint,) = playground.of_dataset("endpoints", UNUSED_DATASET)
    assert endpoint["state"] == "Deleted"
    assert endpoint["tags"]["droptune-idle-since"]
    assert len(playground.of_dataset("models", UNUSED_DATASET)) == 1


def test_endpoints_that_are_not_ours_are_never_touched(playground: Playground) -> None:
    playground.until(UNUSED_DATASET, "retired", deadline=360)
    foreign = playground.arm.get_endpoint(FOREIGN_ENDPOINT)
    assert foreign is not None
    assert foreign.tags == {"team": "search"}


def test_an_endpoint_with_a_keep_tag_outlives_its_idle_time(playground: Playground) -> None:
    """The main job's tests set the tag; by now its idle time is long over."""
    kept = [item for item in playground.client.endpoints() if item["keep"]]
    if not kept:
        pytest.skip("test_main_job.py, which makes the endpoint that is kept, was not run")
    playground.until(UNUSED_DATASET, "retired", deadline=360)
    assert [item["idle_since"] for item in kept] == [None]
    assert playground.arm.get_endpoint(kept[0]["name"]) is not None
