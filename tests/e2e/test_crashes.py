"""The Functions host dies by SIGKILL at side effects of a main job, and the main job ends as if nothing had happened.

This is a sample that is drawn by a seed; `make crash` kills before and after every side effect.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.e2e.crashes.cloud import CrashCloud, crash_cloud
from tests.e2e.crashes.enumeration import Reference, at_random, chain, first_of_each, reference
from tests.e2e.crashes.plan import Moment

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("crashes")]

SEED = 4
CHAIN = 9
RANDOM_KILLS = 3
DATASETS = 2
DEADLINE = 240.0


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashCloud]:
    with crash_cloud(tmp_path_factory.mktemp("crashes")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def undisturbed(crashing: CrashCloud) -> Reference:
    return reference(crashing, runs=1)


def test_side_effects_on_all_services_are_seen(undisturbed: Reference) -> None:
    services = {moment.name.partition(":")[0] for moment in undisturbed.effects}
    assert services == {"azure ml", "blob", "event grid", "queue", "scoring", "table"}
    for effect in (
        Moment("preparing", "azure ml: PUT /jobs/*-v1-*", 1, "before"),
        Moment("training", "azure ml: PUT /models/Phi-3-tiny-local-*/versions/*", 1, "before"),
        Moment("deploying", "azure ml: PUT /onlineEndpoints/*", 1, "before"),
        Moment("deploying", "azure ml: PUT /onlineEndpoints/*/deployments/t-*", 1, "before"),
        Moment("promoting", "azure ml: PUT /onlineEndpoints/* with traffic", 1, "before"),
        Moment("promoting", "table: replace in tunings live", 1, "before"),
    ):
        assert effect in undisturbed.effects


def test_an_undisturbed_main_job_ends_live_with_all_events_published(undisturbed: Reference) -> None:
    facts = undisturbed.end.facts
    assert [tuning["state"] for tuning in facts["tunings"]] == ["live"]
    assert facts["events missing"] == []
    assert facts["events of another kind"] == []
    assert [len(facts["cloud"][kind]) for kind in ("jobs", "models", "endpoints", "deployments")] == [1, 1, 1, 1]


def test_one_main_job_killed_again_and_again_ends_as_if_nothing_had_happened(
    crashing: CrashCloud, undisturbed: Reference
) -> None:
    deaths = len(crashing.deaths)
    chance = random.Random(SEED)
    moments = [
        replace(moment, when=chance.choice(("before", "after")))
        for moment in chance.sample(first_of_each(undisturbed.effects), CHAIN)
    ]
    end = chain(crashing, "chain", "crash1", moments, DEADLINE)
    assert end.differences(undisturbed.end) == []
    assert len(crashing.journal("chain").killed) >= CHAIN - 1, "a seen effect may not come again after a kill"
    assert crashing.deaths[deaths:] == ["-9"] * len(crashing.journal("chain").killed)


def test_main_jobs_at_once_end_as_usual_when_the_host_is_killed_at_random_moments(
    crashing: CrashCloud, undisturbed: Reference
) -> None:
    kills, ends = at_random(
        crashing, seed=SEED, kills=RANDOM_KILLS, datasets=DATASETS, known=undisturbed, deadline=DEADLINE
    )
    assert kills == RANDOM_KILLS
    assert [line for end in ends.values() for line in end.differences(undisturbed.end)] == []
