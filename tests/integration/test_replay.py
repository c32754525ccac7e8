"""An operator's replay goes on from the stage that failed, on Azurite and the emulator; nothing done is done again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.lifecycle.listing import Listing
from shared.lifecycle.records import VersionState
from shared.lifecycle.tuning import State, Tuning
from tests.integration.azureml_support import MODEL, Cloud
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud

REFUSED = {"status": 400, "body": {"error": {"code": "UserError", "message": "Not like this."}}}
OLD_MODEL = b'{"base_model": "%b", "base_model_version": "12"}' % MODEL.encode()
"""Asked for by one dataset only, so that faults of it concern no other."""

STAGES: dict[str, tuple[State, list[dict[str, Any]]]] = {
    "again-preparing": (State.PREPARING, [{"method": "PUT", "path": "/jobs/again-preparing", **REFUSED}]),
    "again-training": (State.TRAINING, [{"method": "PUT", "path": "/models/.*again-training/", **REFUSED}]),
    "again-deploying": (State.DEPLOYING, [{"method": "PUT", "path": "again-deploying.*/deployments/", **REFUSED}]),
    "again-testing": (State.TESTING, [{"method": "POST", "path": "again-testing.*/listKeys", **REFUSED}]),
    "again-promoting": (
        State.PROMOTING,
        [
            {"method": "PUT", "path": "/onlineEndpoints/again-promoting[^/]*$"},  # its creation is let through
            {"method": "PUT", "path": "/onlineEndpoints/again-promoting[^/]*$", **REFUSED},
        ],
    ),
}
"""Dataset → the stage in which it fails, and by which faults."""


@pytest.fixture
def app(azureml_cloud: Cloud) -> Iterator[App]:
    with app_on(azureml_cloud) as found:
        yield found
    azureml_cloud.control("DELETE", "/faults")


def the_tuning(app: App, dataset: str, *states: State) -> Tuning | None:
    found = app.tunings_of(dataset)
    return found[-1] if found and found[-1].state in states else None


def test_a_replay_goes_on_from_the_failed_stage(app: App) -> None:
    for dataset, (_, faults) in STAGES.items():
        app.cloud.control("POST", "/faults", faults)
        app.upload_version(dataset)
        app.instance().intake.version_changed(dataset, "v1")
    with app.workers(3):
        app.until(lambda: all(the_tuning(app, dataset, State.FAILED, State.LIVE) for dataset in STAGES), 90)
        failed = {dataset: app.tunings_of(dataset)[0] for dataset in STAGES}
        assert {dataset: tuning.failed_stage for dataset, tuning in failed.items()} == {
            dataset: stage for dataset, (stage, _) in STAGES.items()
        }
        assert all("Not like this" in str(tuning.reason) for tuning in failed.values())
        for tuning in failed.values():
            app.instance().replayer.replay(tuning.id)
        app.until(lambda: all(the_tuning(app, dataset, State.FAILED, State.LIVE) for dataset in STAGES), 90)
    for dataset in STAGES:
        (tuning,) = app.tunings_of(dataset)
        assert tuning.state is State.LIVE, tuning
        assert len(app.of_dataset("jobs", dataset)) == 1, "what was trained is not trained again"
        assert len(app.of_dataset("models", dataset)) == 1
        entries = [entry.message for entry in tuning.history]
        assert any(entry.startswith("replayed by an operator") for entry in entries)


def test_a_version_given_up_before_it_was_planned_is_taken_anew(app: App) -> None:
    fault = {"method": "GET", "path": f"/models/{MODEL}/versions/12", "status": 403, "times": 5}
    app.cloud.control("POST", "/faults", [fault])
    app.upload("again-planning/v1/tuning.json", OLD_MODEL)
    app.upload_version("again-planning")
    app.instance().intake.version_changed("again-planning", "v1")
    with app.workers(2):
        failed = app.until(lambda: the_tuning(app, "again-planning", State.FAILED))
        assert failed.splits == ()
        assert failed.reason is not None
        assert failed.reason.code == "UnexpectedError"
        assert "403" in failed.reason.message
        app.instance().replayer.replay(failed.id)
        taken = app.until(lambda: the_tuning(app, "again-planning", State.TRAINING, State.REGISTERED, State.DEPLOYING))
        assert taken.id != failed.id
    assert "its version is taken anew" in app.tunings_of("again-planning")[0].history[-1].message


def test_a_version_that_can_not_be_planned_within_the_deadline_is_a_failed_tuning(azureml_cloud: Cloud) -> None:
    later = {"status": 503, "headers": {"Retry-After": "1"}, "times": 500}
    fault = {"method": "GET", "path": f"/models/{MODEL}/versions/12", **later}
    with app_on(azureml_cloud, preparing_deadline_minutes=0.02) as app:
        app.cloud.control("POST", "/faults", [fault])
        app.upload("never-planned/v1/tuning.json", OLD_MODEL)
        app.upload_version("never-planned")
        app.instance().intake.version_changed("never-planned", "v1")
        try:
            with app.workers(2):
                failed = app.until(lambda: the_tuning(app, "never-planned", State.FAILED))
        finally:
            app.cloud.control("DELETE", "/faults")
        assert failed.reason is not None
        assert "503" in failed.reason.message
        row = app.instance().lifecycle.ledger.version("never-planned", "v1")
        assert row is not None
        assert (row.value.state, row.value.tuning_id) == (VersionState.TAKEN, failed.id)
        shown = {item["id"]: item for item in app.instance().status.tunings(Listing())["tunings"]}
        assert "503" in shown[failed.id]["reason"]["message"]


def test_only_the_wish_for_it_returns_to_a_tuning_that_was_superseded(app: App) -> None:
    with app.workers(3):
        for version in ("v1", "v2"):
            app.upload_version("return", version)
            app.instance().intake.version_changed("return", version)
            app.until(lambda: the_tuning(app, "return", State.LIVE), 60)
        older, newer = app.until(lambda: _of_two(app, State.SUPERSEDED, State.LIVE))
        with pytest.raises(PermanentError, match="as_newest"):
            app.instance().replayer.replay(older.id)
        app.instance().replayer.replay(older.id, as_newest=True)
        returned, outrun = app.until(lambda: _of_two(app, State.LIVE, State.SUPERSEDED), 60)
    assert (returned.id, outrun.id) == (older.id, newer.id)
    (endpoint,) = [item for item in app.of_dataset("endpoints", "return") if not item.get("deleted")]
    live = app.instance().lifecycle.arm.get_endpoint(endpoint["name"])
    assert live is not None
    assert {name: share for name, share in live.traffic.items() if share} == {returned.deployment: 100}
    assert len(app.of_dataset("jobs", "return")) == 2


@pytest.mark.parametrize("tuning_id", ["", "no-such-tuning", "../tunings", "a'b", "x" * 5000, "a\x00b", "ａ"])
def test_what_is_no_tuning_is_not_found(app: App, tuning_id: str) -> None:
    with pytest.raises(PermanentError, match="NotFound"):
        app.instance().replayer.replay(tuning_id)
    assert app.instance().status.tuning(tuning_id) is None


def _of_two(app: App, older: State, newer: State) -> list[Tuning] | None:
    found = app.tunings_of("return")
    return found if [item.state for item in found] == [older, newer] else None
