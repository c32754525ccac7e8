"""Many workers at once, on Azurite and the emulator: one job per content, and never more jobs than allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from shared.lifecycle.job_slots import JobSlots
from shared.lifecycle.listing import Listing
from shared.lifecycle.tuning import State
from tests.integration.azureml_support import Cloud
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud

TRAINED = (State.REGISTERED, State.DEPLOYING, State.TESTING, State.PROMOTING, State.LIVE, State.FAILED)


@pytest.fixture
def app(azureml_cloud: Cloud) -> Iterator[App]:
    with app_on(azureml_cloud) as found:
        yield found


def at_once(count: int, act: Callable[[], None]) -> None:
    """The same call on `count` threads that start together; errors of any are raised."""
    barrier, errors = threading.Barrier(count), list[Exception]()

    def run() -> None:
        barrier.wait()
        try:
            act()
        except Exception as error:  # noqa: BLE001 - raised by the test
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_blob_events_of_one_version_handled_by_eight_workers_at_once_make_one_job(app: App) -> None:
    app.upload_version("eight")
    instances = iter([app.instance() for _ in range(8)])
    at_once(8, lambda: next(instances).intake.file_uploaded("eight/v1/train_sft.jsonl"))
    with app.workers(8):
        (tuning,) = app.until(lambda: [item for item in app.tunings_of("eight") if item.state in TRAINED])
    assert tuning.state is not State.FAILED
    assert len(app.of_dataset("jobs", "eight")) == 1
    assert len(app.tunings_of("eight")) == 1


def test_wake_ups_of_one_tuning_handled_by_eight_workers_at_once_are_one_chain_of_looks(app: App) -> None:
    app.upload_version("chain")
    intake = app.instance().intake
    intake.version_changed("chain", "v1")
    with app.workers(2):
        (tuning,) = app.until(lambda: [item for item in app.tunings_of("chain") if item.state is State.TRAINING])
        for _ in range(8):
            app.instance().lifecycle.wake_ups.tuning(tuning.id)
        app.until(lambda: [item for item in app.tunings_of("chain") if item.state in (State.LIVE, State.FAILED)])
        app.until(lambda: app.waiting_messages() == 0)
    (ended,) = app.tunings_of("chain")
    assert ended.state is State.LIVE, ended
    for kind in ("jobs", "models", "deployments"):
        assert len(app.of_dataset(kind, "chain")) == 1, kind


def test_no_more_jobs_run_than_allowed_and_they_start_in_order_of_arrival(azureml_cloud: Cloud) -> None:
    datasets = [f"line-{number}" for number in range(4)]
    with app_on(azureml_cloud, max_active_jobs=1) as app, app.workers(4):
        lifecycle = app.instance().lifecycle
        taken = lifecycle.ledger.job_slots()
        lifecycle.ledger.put(replace(taken, value=JobSlots(holders=("a-tuning-that-died",))))
        for dataset in datasets:
            app.upload_version(dataset)
            app.instance().intake.version_changed(dataset, "v1")
        app.until(lambda: all(_state(app, dataset) is State.QUEUED for dataset in datasets), 60)
        arrived = sorted((app.tunings_of(dataset)[0] for dataset in datasets), key=lambda item: item.arrived)
        shown = {item["id"]: item for item in app.instance().status.tunings(Listing())["tunings"]}
        assert [shown[tuning.id]["waiting_for"] for tuning in arrived] == [
            f"waiting for a job slot: position {place} of 4" for place in range(1, 5)
        ]
        assert all(shown[tuning.id]["deadline"] for tuning in arrived)
        assert [len(app.of_dataset("jobs", dataset)) for dataset in datasets] == [0] * 4

        app.instance().reconciler.run()  # finds that nobody of this name can hold the slot
        app.until(lambda: all(_state(app, dataset) in TRAINED for dataset in datasets), 60)
        jobs = {item["name"]: item for item in app.cloud.control("GET", "/resources")["jobs"]}
        for earlier, later in pairwise(jobs[tuning.id] for tuning in arrived):
            assert earlier["ended"] <= later["created"], (earlier, later)
        slots = lifecycle.ledger.job_slots().value
        assert (slots.holders, slots.waiting) == ((), ())


def _state(app: App, dataset: str) -> State | None:
    found = app.tunings_of(dataset)
    return found[0].state if found else None
