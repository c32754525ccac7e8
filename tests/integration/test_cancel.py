"""An operator cancels tunings, on Azurite and the emulator: nothing of them is left, and nobody else's is touched."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.errors import PermanentError
from shared.lifecycle.tuning import State, Tuning
from tests.integration.azureml_support import Cloud
from tests.integration.lifecycle_harness import App, app_on

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = pytest.mark.localcloud


@pytest.fixture
def app(azureml_cloud: Cloud) -> Iterator[App]:
    with app_on(azureml_cloud) as found:
        yield found
    azureml_cloud.control("DELETE", "/faults")


def begun(app: App, dataset: str, *states: State) -> Tuning:
    """A tuning of the dataset, once it is in one of the states."""
    app.upload_version(dataset)
    app.instance().intake.version_changed(dataset, "v1")
    found: Tuning = app.until(
        lambda: next((item for item in app.tunings_of(dataset) if item.state in states), None), 60
    )
    return found


def test_a_canceled_tuning_ends_as_failed_and_leaves_nothing_running(app: App) -> None:
    with app.workers(2):
        tuning = begun(app, "stopped", State.TRAINING, State.REGISTERED, State.DEPLOYING)
        app.instance().canceler.cancel(tuning.id)
        (ended,) = app.until(lambda: [item for item in app.tunings_of("stopped") if item.ended], 60)
    assert (ended.state, ended.reason.code if ended.reason else "") == (State.FAILED, "Canceled")
    assert all(job["status"] in ("Canceled", "Completed") for job in app.of_dataset("jobs", "stopped"))
    assert [item for item in app.of_dataset("deployments", "stopped") if not item.get("deleted")] == []


def test_what_is_live_ended_or_unknown_is_not_canceled(app: App) -> None:
    with app.workers(2):
        live = begun(app, "serving", State.LIVE)
        with pytest.raises(PermanentError, match=r"NotCancelable.*sleep"):
            app.instance().canceler.cancel(live.id)
    for unknown in ("nobody-v1-00000000", "../tunings", ""):
        with pytest.raises(PermanentError, match="NotFound"):
            app.instance().canceler.cancel(unknown)
    assert app.tunings_of("serving")[0].state is State.LIVE


def test_of_two_operators_one_cancels(app: App) -> None:
    with app.workers(1):
        tuning = begun(app, "twice", State.TRAINING, State.REGISTERED, State.DEPLOYING)

    def cancel(_: int) -> str:
        try:
            app.instance().canceler.cancel(tuning.id)
        except PermanentError as error:
            return error.code
        return "canceled"

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(cancel, range(4)))
    assert said == ["NotCancelable", "NotCancelable", "NotCancelable", "canceled"]
    (row,) = app.tunings_of("twice")
    assert sum("Canceled" in entry.message for entry in row.history) == 1
